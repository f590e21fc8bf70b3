// Masks and biases with a structure, and results in any layout, for a mixture of options.
#include <algorithm>
#include <limits>

#include "support/random_problem.hpp"

namespace test {
namespace {

using std::int64_t;

enum class Kind { padding, left_padding, blocks, rows, one_key };

}  // namespace

void RandomProblem::add_structure(Random& random) {
  attn::AttentionArgs& a = args();
  const Kind kind = static_cast<Kind>(random.integer(0, 4));
  // Everything a kind needs is drawn before, so that an element does not depend on the order of the loop.
  const int64_t rows = std::max<int64_t>(a.query_length, 1), keys = std::max<int64_t>(a.key_length, 1);
  const int64_t size = random.pick(std::vector<int64_t>{1, 8, 16, 48, 64});
  std::vector<int64_t> lengths, starts;
  for (int64_t b = 0; b < a.batch; ++b) {
    lengths.push_back(random.integer(0, keys));
    starts.push_back(random.integer(0, keys));
  }
  std::vector<char> kept_rows(rows), kept_blocks(37);
  for (char& kept : kept_rows) kept = random.integer(0, 2) != 0;
  for (char& kept : kept_blocks) kept = random.flip();
  const int64_t one = random.integer(0, keys - 1);
  const auto allowed = [&](int64_t b, int64_t h, int64_t t, int64_t j) {
    switch (kind) {
      case Kind::padding:
        return j < lengths[b];
      case Kind::left_padding:
        return j >= starts[b];
      case Kind::blocks:
        return kept_blocks[(h * 31 + t / size * 7 + j / size * 3) % 37] != 0;
      case Kind::rows:
        return kept_rows[t] != 0;
      case Kind::one_key:
        return j == (one + t / size) % keys;
    }
    return true;
  };
  // Dense along rows and keys; along items and heads, too, or broadcast.
  const bool by_item = kind == Kind::padding || kind == Kind::left_padding || random.flip(), by_head = random.flip();
  const int64_t head_stride = by_head ? a.query_length * a.key_length : 0;
  const int64_t batch_stride = by_item ? (by_head ? a.query_heads : 1) * a.query_length * a.key_length : 0;
  const int64_t items = by_item ? a.batch : 1, heads = by_head ? a.query_heads : 1;
  std::vector<char> pattern;
  for (int64_t b = 0; b < items; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t t = 0; t < a.query_length; ++t)
        for (int64_t j = 0; j < a.key_length; ++j) pattern.push_back(b < a.batch && allowed(b, h, t, j));
  pattern.push_back(0);  // an address for a mask without elements
  if (random.integer(0, 3) != 0) {
    mask_.assign(pattern.begin(), pattern.end());
    a.mask = {mask_.data(), batch_stride, head_stride, a.key_length, 1};
  } else {  // the same by -inf: whole rows, whole blocks of it
    bias_.clear();
    for (const char kept : pattern) bias_.push_back(kept ? random.normal() : -std::numeric_limits<float>::infinity());
    bias_start_ = 0;
    a.bias = {bias_.data(), attn::DType::f32, batch_stride, head_stride, a.key_length, 1};
  }

  const Dims dims = result_dims(a, a.key_length);
  const auto result = [&](Stored& stored) {
    const Rows rows = a.path == attn::Path::blas ? Rows::forward : Rows::any;
    stored.strided = random_layout(random, dims, rows, Use::result, canary);
    return stored_result(stored, static_cast<attn::DType>(random.integer(0, 2)));
  };
  if (random.flip()) a.weights = result(w_);
  if (random.flip()) {
    a.scores = result(s_);
    a.scores_stage = static_cast<attn::ScoresStage>(random.integer(0, 2));
  }
}

}  // namespace test
