// The rules for the arguments of layers: each throws std::invalid_argument that names the argument and its value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "attn/layers.hpp"

namespace attn {

[[noreturn]] void bad(const std::string& name, const std::string& rule, std::int64_t value);

// A size of at least `least` that BLAS can hold.
void require_size(const char* name, std::int64_t value, std::int64_t least);

void require_data(const char* name, const float* data);

// A value of the enumeration.
void require_layout(WeightLayout layout);

// The one that multiplies: a library without a BLAS has tiles alone.
Projection checked_projection(Projection projection);

// Null, or one that can run tasks.
void require_parallel(const Parallel* parallel);

// a * b * c, the floats of `name`, if memory can hold them. None is negative.
std::size_t floats(const char* name, std::int64_t a, std::int64_t b, std::int64_t c = 1);

}  // namespace attn
