#include <algorithm>

#include "blas/blas.hpp"
#include "blas/rows.hpp"

namespace attn::blas_path {
namespace {

bool finite(const Rows& rows, KeyRange keys) noexcept {
  for (std::int64_t j = keys.begin; j < keys.end; ++j)
    if (!rows.kernels.all_finite(rows.value.row(j), rows.problem.value_dim)) return false;
  return true;
}

void multiply(const Rows& rows, KeyRange keys) noexcept {
  blas::sgemm(
      {rows.count, rows.problem.value_dim, keys.end - keys.begin},
      {rows.weights.data + keys.begin, rows.weights.stride}, blas::Op::none,
      {rows.value.row(keys.begin), rows.value.stride}, blas::To::overwrite, rows.output);
}

}  // namespace

// A weight of 0 times NaN or Inf is NaN: a key that some row must not see is multiplied for all only if it is finite.
// Else each row adds its own keys one by one.
void multiply_values(const Rows& rows) noexcept {
  const KeyRange all = rows.all;
  KeyRange common = rows.common;
  const Visibility& visibility = rows.problem.visibility;
  if (visibility.has_holes()) common.end = std::min(common.end, visibility.first_hole(rows.sequence));
  if (common.empty()) common = {all.end, all.end};
  if (finite(rows, {all.begin, common.begin}) && finite(rows, {common.end, all.end})) return multiply(rows, all);

  multiply(rows, common);
  for (std::int64_t r = 0; r < rows.count; ++r)
    for (std::int64_t j = rows.range[r].begin; j < rows.range[r].end; ++j) {
      if ((j >= common.begin && j < common.end) || !rows.unmasked(r, j)) continue;
      for (std::int64_t e = 0; e < rows.problem.value_dim; ++e)
        rows.output.row(r)[e] += rows.weights.row(r)[j] * rows.value.row(j)[e];
    }
}

}  // namespace attn::blas_path
