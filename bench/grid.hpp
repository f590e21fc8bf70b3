// The grid of shapes: a cell for every mixture of some sizes. grid.py has the same rule.
#pragma once

#include <vector>

#include "shape.hpp"

namespace bench {

// Named q1_k256_d64_g4: queries, keys, head_dim, query heads for each KV head. Groups only with long_rows.
std::vector<AttentionRow> cells(bool long_rows);

}  // namespace bench
