// P1 of softmax(), merge() and append(): stored hashes of everything that they write.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "attn/kv_cache.hpp"
#include "attn/merge.hpp"
#include "attn/softmax.hpp"
#include "support/catch.hpp"
#include "support/hashes.hpp"
#include "support/random.hpp"
#include "support/random_problem.hpp"

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// Normal draws times a power of two, one in `rare` of them -inf: the same on every machine.
std::vector<float> draws(test::Random& random, std::int64_t count, float power_of_two, std::int64_t rare) {
  std::vector<float> x = random.normals(count);
  for (float& value : x) value = random.integer(1, rare) == 1 ? -infinity : value * power_of_two;
  return x;
}

std::uint64_t softmax_hash(std::int64_t columns, float scale) {
  constexpr std::int64_t rows = 5;
  test::Random random(91);
  const std::vector<float> x = draws(random, rows * columns, 8, 9);
  std::vector<float> y(x.size());
  const attn::Status status = attn::softmax(x.data(), y.data(), rows, columns, columns, columns, scale);
  return status.ok() ? test::Hash().add(y).value() : 0;
}

std::uint64_t merge_hash(std::int64_t parts, std::int64_t value_dim) {
  constexpr std::int64_t rows = 7;
  test::Random random(92);
  const std::vector<float> outputs = draws(random, parts * rows * value_dim, 1, 1000);
  const std::vector<float> sums = draws(random, parts * rows, 16, 5);
  std::vector<float> output(rows * value_dim), sum(rows);
  attn::MergeArgs a;
  a.parts = parts;
  a.rows = rows;
  a.value_dim = value_dim;
  a.outputs = outputs.data();
  a.part_stride = rows * value_dim;
  a.row_stride = value_dim;
  a.logsumexps = sums.data();
  a.logsumexp_part_stride = rows;
  a.output = output.data();
  a.output_row_stride = value_dim;
  a.logsumexp = sum.data();
  return attn::merge(a).ok() ? test::Hash().add(output).add(sum).value() : 0;
}

// Float32 rows, of normal and subnormal halves, into caches of T, behind 3 and 0 rows in use.
template <class T>
std::uint64_t append_hash() {
  test::Random random(93);
  std::vector<float> rows = draws(random, 2 * 2 * 5 * 19, 1, 50);
  for (std::size_t i = 0; i < rows.size(); i += 7) rows[i] *= 0x1p-18f;
  std::vector<T> keys(2 * 2 * 9 * 19), values(2 * 2 * 9 * 19);
  std::vector<std::int64_t> lengths{3, 0};
  attn::AppendArgs a;
  a.batch = 2;
  a.kv_heads = 2;
  a.new_length = 5;
  a.capacity = 9;
  a.head_dim = a.value_dim = 19;
  a.key = a.value = attn::bhtd(static_cast<const float*>(rows.data()), 2, 5, 19);
  a.key_cache = attn::bhtd(keys.data(), 2, 9, 19);
  a.value_cache = attn::bhtd(values.data(), 2, 9, 19);
  a.lengths = lengths.data();
  if (!attn::append(a).ok() || lengths != std::vector<std::int64_t>{8, 5}) return 0;
  test::Hash hash;
  for (const std::vector<T>* cache : {&keys, &values})
    for (const T& element : *cache) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &element, sizeof element);
      hash.add(bits, sizeof element);
    }
  return hash.value();
}

// Rows of type `source`, of many sizes: one of zeros, one of subnormals, one with a NaN. Keys become i8, values q8_0.
std::uint64_t append_int8_hash(attn::DType source, attn::KeyLayout layout) {
  constexpr std::int64_t rows = 20, columns = 64, capacity = 32;
  test::Random random(84);
  std::vector<float> x = draws(random, rows * columns, 1, 50);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      x[r * columns + c] *= r == 3 ? 0 : r == 5 ? 0x1p-135f : std::ldexp(1.0f, static_cast<int>(r % 9 - 4));
  x[7 * columns + 9] = std::nanf("");
  std::vector<std::uint16_t> halves;
  for (const float y : x) halves.push_back(test::to_half(y, attn::DType::bf16));
  std::vector<std::int8_t> keys(capacity * columns);
  std::vector<char> values(capacity * columns / 32 * 34);
  std::vector<float> scales(capacity);
  std::int64_t length = 0;
  attn::AppendArgs a;
  a.batch = a.kv_heads = 1;
  a.new_length = rows;
  a.capacity = capacity;
  a.head_dim = a.value_dim = columns;
  a.key = a.value = {x.data(), attn::DType::f32, 0, 0, columns};
  if (source == attn::DType::bf16) a.key = a.value = {halves.data(), source, 0, 0, columns};
  a.key_layout = layout;
  a.key_cache = {keys.data(), attn::DType::i8, 0, 0, layout == attn::KeyLayout::panels ? 16 * columns : columns};
  a.key_scales = {scales.data(), 0, 0, 1};
  a.value_cache = {values.data(), attn::DType::q8_0, 0, 0, columns};
  a.lengths = &length;
  if (!attn::append(a).ok() || length != rows) return 0;
  test::Hash hash;
  for (const std::int8_t key : keys) hash.add(static_cast<std::uint8_t>(key), 1);
  for (const char byte : values) hash.add(static_cast<std::uint8_t>(byte), 1);
  return hash.add(scales).value();
}

}  // namespace

TEST_CASE("function bits: softmax", "[same_bits][softmax][hashes]") {
  for (const int columns : {1, 5, 16, 17, 100, 513, 1300})
    for (const char* scale : {"1", "-0.3", "0.125"}) {
      const std::string name = "softmax/" + std::to_string(columns) + " columns, scale " + scale;
      CHECK(test::hash_difference(name, softmax_hash(columns, std::stof(scale))) == "");
    }
}

TEST_CASE("function bits: merge", "[same_bits][merge][hashes]") {
  for (const int parts : {1, 2, 3, 40})
    for (const int value_dim : {1, 16, 37, 130}) {
      const std::string name = "merge/" + std::to_string(parts) + " parts, " + std::to_string(value_dim) + " columns";
      CHECK(test::hash_difference(name, merge_hash(parts, value_dim)) == "");
    }
}

TEST_CASE("function bits: append", "[same_bits][kv_cache][hashes]") {
  CHECK(test::hash_difference("append/f32", append_hash<float>()) == "");
  CHECK(test::hash_difference("append/f16", append_hash<attn::f16>()) == "");
  CHECK(test::hash_difference("append/bf16", append_hash<attn::bf16>()) == "");
  for (const auto layout : {attn::KeyLayout::rows, attn::KeyLayout::panels})
    for (const attn::DType source : {attn::DType::f32, attn::DType::bf16}) {
      const std::string from = source == attn::DType::f32 ? "f32" : "bf16";
      const std::string to = layout == attn::KeyLayout::rows ? "i8" : "panels of i8";
      CHECK(test::hash_difference("append/" + from + " to " + to, append_int8_hash(source, layout)) == "");
    }
}
