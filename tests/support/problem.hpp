// One attention call with the memory that it needs, and its check against the oracle.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/layout.hpp"
#include "support/oracle.hpp"
#include "support/random.hpp"

namespace test {

struct Shape {
  std::int64_t batch = 1, query_heads = 1, kv_heads = 1, query_length = 1, key_length = 1, head_dim = 1, value_dim = 1;
};

std::string describe(const attn::AttentionArgs& args);

inline const char* name_of(attn::Path path) { return path == attn::Path::blas ? "blas" : "streaming"; }

inline constexpr float canary = 123.0f;
inline constexpr std::uint16_t half_canary = 0x7fff;  // a NaN of f16 and bf16, not the one that results hold

// Dense [B,H,T,D] tensors, which a test may point elsewhere through `args`. Q, K and V are normal draws, or 0 without a
// generator; results hold the canary until the call.
class Problem {
 public:
  explicit Problem(const Shape& shape, Random* random = nullptr);
  Problem(const Shape& shape, Random& random) : Problem(shape, &random) {}
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  // Dense, in the layout that `args` has by then: items, or the sequences of a packed batch.
  void want_weights(attn::DType type = attn::DType::f32);
  void want_logsumexp();
  void want_key_weight_sums();
  void want_scores(attn::ScoresStage stage, attn::DType type = attn::DType::f32);

  // Runs the call, in a workspace full of NaN that shows what is read before it is written: "" or what is wrong.
  std::string run();
  // Runs it and compares all results with the oracle. Q, K and V must be unchanged, empty rows and excluded keys
  // exactly 0 or -inf. "" if all is well, else what is wrong.
  //
  // The tolerance: a score that is off by e changes its weight by the factor 1 + e; the exponential and the division
  // add a few u = 2^-24, the sum over the keys up to sqrt(keys) u. So the output is off by about max|v| (e + (3 +
  // sqrt(keys) / 4) u), with e one standard deviation, as errors of different keys average out. Over a dozen seeds the
  // largest error of any element was 0.51 of this.
  std::string check();

  // All results of the last call as float, one after the other: for tests of their bits.
  std::vector<float> results() const;

  attn::AttentionArgs args;
  std::vector<float> q, k, v, output, weights, logsumexp, key_weight_sums, scores;
  std::vector<std::uint16_t> half_weights, half_scores;  // in place of the floats
};

// The dimensions of a result with so many columns: a packed batch has all sequences in one item.
Dims result_dims(const attn::AttentionArgs& a, std::int64_t columns);

// The elements of a result, read through its strides, dense and as float.
std::vector<float> gather(
    const attn::Output& x, std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t columns);
inline std::vector<float> gather(const attn::Output& x, const Dims& d) {
  return gather(x, d.batch, d.heads, d.rows, d.columns);
}

}  // namespace test
