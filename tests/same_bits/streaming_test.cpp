// P1: the streaming path gives the same bits whatever computes it. Every case has one hash of its output and
// log-sum-exp, and every way to compute it must give that hash: each instruction set, 1 to 4 threads, the whole batch
// or one item at a time, all rows at once or a few (prefill or decode), dense or strided, with or without padding keys
// behind the end. The hashes are the same for every compiler and machine.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/catch.hpp"
#include "support/dense.hpp"
#include "support/hashes.hpp"
#include "support/isas.hpp"

namespace {

struct Case {
  const char* name;
  std::int64_t batch, query_heads, kv_heads, query_length, key_length, head_dim, value_dim;
  bool causal;
  attn::Alignment alignment;
  std::int64_t window_left, window_right;
  bool lengths;  // shorter and shorter key_lengths along the batch
  float scale;  // 0: the default
};

constexpr auto br = attn::Alignment::bottom_right, tl = attn::Alignment::top_left, given = attn::Alignment::given;

constexpr Case cases[] = {
    {"one key", 1, 1, 1, 1, 1, 1, 1, false, br, -1, -1, false, 0},
    {"seed", 1, 1, 1, 64, 64, 32, 32, false, br, -1, -1, false, 0},
    {"tails", 2, 2, 1, 13, 37, 19, 21, false, br, -1, -1, false, 0},
    {"vector widths", 1, 2, 2, 48, 64, 64, 64, false, br, -1, -1, false, 0},
    {"past a block", 1, 1, 1, 7, 513, 33, 65, false, br, -1, -1, false, 0},
    {"three blocks", 1, 2, 1, 50, 1300, 16, 80, false, br, -1, -1, false, 0},
    {"causal square", 2, 2, 2, 130, 130, 24, 24, true, br, -1, -1, false, 0},
    {"causal, more keys", 1, 4, 2, 67, 600, 17, 16, true, br, -1, -1, false, 0},
    {"causal, more queries", 1, 2, 1, 90, 31, 8, 9, true, br, -1, -1, false, 0},
    {"causal, top left", 1, 2, 1, 40, 70, 8, 48, true, tl, -1, -1, false, 0},
    {"causal, lengths", 3, 2, 1, 60, 560, 20, 20, true, br, -1, -1, true, 0},
    {"lengths", 4, 2, 2, 20, 100, 64, 64, false, br, -1, -1, true, 0},
    {"window", 1, 2, 1, 120, 700, 16, 16, false, br, 40, 3, false, 0},
    {"causal window", 1, 2, 2, 150, 1100, 16, 33, true, br, 64, -1, false, 0},
    {"window, given", 3, 1, 1, 33, 600, 16, 16, false, given, 10, 10, true, 0},
    {"causal, given", 3, 2, 1, 25, 90, 40, 40, true, given, -1, -1, false, 0},
    {"many heads a group", 2, 8, 1, 5, 530, 32, 32, true, br, -1, -1, false, 0},
    {"decode", 2, 8, 2, 1, 1030, 64, 64, false, br, -1, -1, true, 0},
    {"scale", 1, 1, 1, 30, 90, 48, 48, false, br, -1, -1, false, 0.3f},
    {"negative scale", 1, 1, 1, 30, 90, 48, 48, false, br, -1, -1, false, -0.3f},
    {"large scores", 1, 1, 1, 30, 1030, 32, 32, false, br, -1, -1, false, 40.0f},
    {"wide heads", 1, 1, 1, 18, 70, 257, 129, true, br, -1, -1, false, 0},
};

// In [-2, 2), exact on every machine: an integer hash of the place, times a power of two.
float value_at(std::uint64_t place) {
  std::uint64_t z = place * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<float>(static_cast<std::int32_t>(z >> 40)) * 0x1p-22f - 2.0f;
}

std::vector<float> values(std::uint64_t salt, std::int64_t count) {
  std::vector<float> x(count);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = value_at(salt * 1000003u + i);
  return x;
}

// A case with its memory: dense inputs and results.
struct Run {
  explicit Run(const Case& c)
      : q(values(1, c.batch * c.query_heads * c.query_length * c.head_dim)),
        k(values(2, c.batch * c.kv_heads * c.key_length * c.head_dim)),
        v(values(3, c.batch * c.kv_heads * c.key_length * c.value_dim)),
        output(c.batch * c.query_heads * c.query_length * c.value_dim, 77.0f),
        lse(c.batch * c.query_heads * c.query_length, 77.0f) {
    args.batch = c.batch;
    args.query_heads = c.query_heads;
    args.kv_heads = c.kv_heads;
    args.query_length = c.query_length;
    args.key_length = c.key_length;
    args.head_dim = c.head_dim;
    args.value_dim = c.value_dim;
    args.query = attn::bhtd(q.data(), c.query_heads, c.query_length, c.head_dim);
    args.key = attn::bhtd(k.data(), c.kv_heads, c.key_length, c.head_dim);
    args.value = attn::bhtd(v.data(), c.kv_heads, c.key_length, c.value_dim);
    args.output = attn::bhtd(output.data(), c.query_heads, c.query_length, c.value_dim);
    args.logsumexp = lse.data();
    args.causal = c.causal;
    args.alignment = c.alignment;
    args.window_left = c.window_left;
    args.window_right = c.window_right;
    args.scale = c.scale;
    args.path = attn::Path::streaming;
    for (std::int64_t b = 0; b < c.batch; ++b) {
      lengths.push_back(c.key_length - b * (c.key_length / (c.batch + 1)));
      offsets.push_back(7 * b - 5);
    }
    if (c.lengths) args.key_lengths = lengths.data();
    if (c.alignment == given) args.query_offsets = offsets.data();
  }
  Run(const Run&) = delete;

  std::uint64_t result() const { return test::Hash().add(output).add(lse).value(); }

  std::uint64_t operator()() {
    const attn::Status status = attn::attention(args);
    return status.ok() ? result() : 0;
  }

  std::int64_t offset_of(std::int64_t b) const {
    const std::int64_t keys = args.key_lengths ? lengths[b] : args.key_length;
    return args.alignment == tl ? 0 : args.alignment == given ? offsets[b] : keys - args.query_length;
  }

  attn::AttentionArgs args;
  std::vector<float> q, k, v, output, lse;
  std::vector<std::int64_t> lengths, offsets;
};

std::uint64_t item_by_item(const Case& c) {
  Run all(c);
  for (std::int64_t b = 0; b < c.batch; ++b) {
    attn::AttentionArgs one = all.args;
    one.batch = 1;
    one.query.data = all.q.data() + b * one.query.batch_stride;
    one.key.data = all.k.data() + b * one.key.batch_stride;
    one.value.data = all.v.data() + b * one.value.batch_stride;
    one.output.data = static_cast<float*>(one.output.data) + b * one.output.batch_stride;
    one.logsumexp += b * c.query_heads * c.query_length;
    if (one.key_lengths) one.key_lengths += b;
    if (one.query_offsets) one.query_offsets += b;
    if (!attn::attention(one).ok()) return 0;
  }
  return all.result();
}

// Rows [0, step), [step, 2 step), ... in calls of their own, each telling where its first row stands.
std::uint64_t rows_by_rows(const Case& c, std::int64_t step) {
  Run all(c);
  std::vector<std::int64_t> at(c.batch);
  for (std::int64_t t = 0; t < c.query_length; t += step) {
    attn::AttentionArgs some = all.args;
    some.query_length = std::min(step, c.query_length - t);
    some.query.data = all.q.data() + t * some.query.row_stride;
    some.output.data = static_cast<float*>(some.output.data) + t * some.output.row_stride;
    std::vector<float> lse(c.batch * c.query_heads * some.query_length);
    some.logsumexp = lse.data();
    some.alignment = given;
    for (std::int64_t b = 0; b < c.batch; ++b) at[b] = all.offset_of(b) + t;
    some.query_offsets = at.data();
    if (!attn::attention(some).ok()) return 0;
    const std::int64_t heads = c.batch * c.query_heads;
    const test::Dense into(all.lse, heads, c.query_length), from(lse, heads, some.query_length);
    for (std::int64_t row = 0; row < heads; ++row)
      for (std::int64_t i = 0; i < some.query_length; ++i) into(row, t + i) = from(row, i);
  }
  return all.result();
}

// [batch, rows, heads, columns] with gaps between rows, at an odd address; the gaps hold NaN.
struct Strided {
  std::vector<float> data;
  std::int64_t batch_stride, head_stride, row_stride;

  Strided(
      const std::vector<float>& dense, std::int64_t batch, std::int64_t heads, std::int64_t rows,
      std::int64_t columns) {
    head_stride = columns + 3;
    row_stride = heads * head_stride + 5;
    batch_stride = (rows + 1) * row_stride;
    data.assign(batch * batch_stride + 1, std::numeric_limits<float>::quiet_NaN());
    std::size_t from = 0;
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t h = 0; h < heads; ++h)
        for (std::int64_t r = 0; r < rows; ++r)
          for (std::int64_t c = 0; c < columns; ++c) at(b, h, r, c) = dense[from++];
  }
  float& at(std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t c) {
    return data[1 + b * batch_stride + h * head_stride + r * row_stride + c];
  }
  attn::Tensor tensor() { return {&data[1], attn::DType::f32, batch_stride, head_stride, row_stride}; }
};

std::uint64_t strided(const Case& c) {
  Run run(c);
  Strided q(run.q, c.batch, c.query_heads, c.query_length, c.head_dim),
      k(run.k, c.batch, c.kv_heads, c.key_length, c.head_dim), v(run.v, c.batch, c.kv_heads, c.key_length, c.value_dim),
      o(run.output, c.batch, c.query_heads, c.query_length, c.value_dim);
  run.args.query = q.tensor();
  run.args.key = k.tensor();
  run.args.value = v.tensor();
  run.args.output = {&o.data[1], attn::DType::f32, o.batch_stride, o.head_stride, o.row_stride};
  if (!attn::attention(run.args).ok()) return 0;
  std::size_t to = 0;
  for (std::int64_t b = 0; b < c.batch; ++b)
    for (std::int64_t h = 0; h < c.query_heads; ++h)
      for (std::int64_t r = 0; r < c.query_length; ++r)
        for (std::int64_t e = 0; e < c.value_dim; ++e) run.output[to++] = o.at(b, h, r, e);
  return run.result();
}

// Keys of NaN behind the end, which key_lengths cuts off.
std::uint64_t padded(const Case& c) {
  Run run(c);
  constexpr std::int64_t more = 70;
  const auto widen = [&](const std::vector<float>& dense, std::int64_t columns) {
    const std::int64_t row = c.key_length * columns, wide = (c.key_length + more) * columns;
    std::vector<float> x(c.batch * c.kv_heads * wide, std::numeric_limits<float>::quiet_NaN());
    for (std::int64_t i = 0; i < c.batch * c.kv_heads; ++i)
      std::copy_n(dense.begin() + i * row, row, x.begin() + i * wide);
    return x;
  };
  const std::vector<float> k = widen(run.k, c.head_dim), v = widen(run.v, c.value_dim);
  if (!run.args.key_lengths) run.lengths.assign(c.batch, c.key_length);
  run.args.key_lengths = run.lengths.data();
  run.args.key_length = c.key_length + more;
  run.args.key = attn::bhtd(k.data(), c.kv_heads, c.key_length + more, c.head_dim);
  run.args.value = attn::bhtd(v.data(), c.kv_heads, c.key_length + more, c.value_dim);
  return run();
}

}  // namespace

TEST_CASE("the same bits as everywhere, from every batch, split, layout and thread count", "[same_bits][hashes]") {
  for (const Case& c : cases) {
    const auto difference = [&](std::uint64_t hash) {
      return test::hash_difference(std::string("streaming/") + c.name, hash);
    };
    CHECK(difference(Run(c)()) == "");
    if (test::quick() && test::scalar_is_active()) continue;
    CHECK(difference(item_by_item(c)) == "");
    CHECK(difference(rows_by_rows(c, 1)) == "");
    CHECK(difference(rows_by_rows(c, 17)) == "");
    CHECK(difference(strided(c)) == "");
    CHECK(difference(padded(c)) == "");
    for (std::int64_t threads = 2; threads <= 4; ++threads) {
      attn::ThreadPool pool(threads);
      const attn::Parallel parallel = pool.parallel();
      CAPTURE(threads);
      Run run(c);
      run.args.parallel = &parallel;
      CHECK(difference(run()) == "");
    }
  }
}

TEST_CASE("the hashes see every element", "[same_bits]") {
  Run run(cases[2]);
  const std::uint64_t hash = run();
  REQUIRE(hash != 0);
  for (std::vector<float>* x : {&run.output, &run.lse})
    for (float& value : *x) {
      const float before = value;
      value = std::nextafter(value, 100.0f);
      CHECK(run.result() != hash);
      value = before;
    }
}
