#include "grid.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>

namespace bench {
namespace {

constexpr double longest = 10e-3, shortest = 20e-6;  // seconds of a call

// Of a call, roughly, on one thread of a common machine.
double seconds(const AttentionRow& row) { return row.flop() / 40e9 + row.bytes() / 20e9; }

// Query heads: the first for which a call is short enough. Batches grow until it takes long enough.
AttentionRow cell(std::int64_t queries, std::int64_t keys, std::int64_t dim, std::int64_t group) {
  AttentionRow row;
  row.name = "q" + std::to_string(queries) + "_k" + std::to_string(keys) + "_d" + std::to_string(dim) + "_g" +
      std::to_string(group);
  row.batch = 1;
  row.query_length = queries;
  row.key_length = keys;
  row.head_dim = dim;
  const std::vector<std::int64_t> possible =
      group == 1 ? std::vector<std::int64_t>{12, 8, 4, 2, 1} : std::vector<std::int64_t>{16, 8, 4};
  for (const std::int64_t heads : possible) {
    row.query_heads = heads;
    row.kv_heads = heads / group;
    if (seconds(row) <= longest) break;
  }
  while (row.batch < 64 && seconds(row) < shortest) row.batch *= 2;
  return row;
}

}  // namespace

std::vector<AttentionRow> cells(bool long_rows) {
  std::vector<AttentionRow> result;
  for (const std::int64_t queries : {1, 4, 16, 49, 128, 512})
    for (const std::int64_t keys : {16, 64, 256, 1024, 4096})
      for (const std::int64_t dim : {40, 64, 128}) {
        result.push_back(cell(queries, keys, dim, 1));
        if (long_rows && dim == 64) result.push_back(cell(queries, keys, dim, 4));
      }
  return result;
}

}  // namespace bench
