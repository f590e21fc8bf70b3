// The paths that this build has: without a BLAS (ATTN_BLAS=OFF) Path::blas is refused.
#pragma once

#include <vector>

#include "attn/attention.hpp"
#include "blas/blas.hpp"

namespace test {

inline std::vector<attn::Path> paths() {
  if (attn::blas::built) return {attn::Path::blas, attn::Path::streaming};
  return {attn::Path::streaming};
}

}  // namespace test
