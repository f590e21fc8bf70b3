// What a mixture's queries can see of its tensors, element by element, and poison put there or everywhere else.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "support/random_problem.hpp"

namespace test {
namespace {

using std::int64_t;

// A float as a half that is as bad: NaN, infinite, or the largest that is finite.
std::uint16_t as_half(float x, attn::DType type) {
  const int infinity = type == attn::DType::f16 ? 0x7c00 : 0x7f80, sign = std::signbit(x) ? 0x8000 : 0;
  return static_cast<std::uint16_t>(sign | (std::isnan(x) ? 0x7fff : std::isinf(x) ? infinity : infinity - 1));
}

void mark(std::vector<char>& seen, const Strided& s, int64_t b, int64_t h, int64_t r, int64_t columns) {
  const int64_t row = s.start + b * s.batch_stride + h * s.head_stride + r * s.row_stride;
  std::fill_n(seen.begin() + row, columns, 1);
}

}  // namespace

const RandomProblem::Seen& RandomProblem::seen() {
  if (seen_) return *seen_;
  attn::AttentionArgs a = problem->args;
  a.scores = {};
  const std::vector<char> allowed = attend(a).allowed;
  seen_.emplace();
  Seen& seen = *seen_;
  seen = {
      std::vector<char>(q_.strided.storage.size()), std::vector<char>(k_.strided.storage.size()),
      std::vector<char>(v_.strided.storage.size()), std::vector<char>(bias_.size())};
  const bool packed = a.cu_query_lengths != nullptr;
  std::size_t next = 0;  // in `allowed`, which goes by item, head, query and key
  for (int64_t b = 0; b < a.batch; ++b) {
    const int64_t item = packed ? 0 : b, first_query = packed ? a.cu_query_lengths[b] : 0,
                  queries = packed ? a.cu_query_lengths[b + 1] - first_query : a.query_length,
                  first_key = packed ? a.cu_key_lengths[b] : 0,
                  keys = packed ? a.cu_key_lengths[b + 1] - first_key : a.key_length;
    for (int64_t h = 0; h < a.query_heads; ++h) {
      const int64_t kv_head = h / (a.query_heads / a.kv_heads);
      std::vector<char> keys_seen(keys);
      for (int64_t t = 0; t < queries; ++t) {
        bool any = false;
        for (int64_t j = 0; j < keys; ++j) {
          if (!allowed[next++]) continue;
          any = true;
          keys_seen[j] = 1;
          if (a.bias.data)
            seen.bias
                [bias_start_ + b * a.bias.batch_stride + h * a.bias.head_stride + t * a.bias.row_stride +
                 j * a.bias.column_stride] = 1;
        }
        if (any) mark(seen.q, q_.strided, item, h, first_query + t, a.head_dim);
      }
      for (int64_t j = 0; j < keys; ++j)
        if (keys_seen[j]) {
          mark(seen.k, k_.strided, item, kv_head, first_key + j, a.head_dim);
          mark(seen.v, v_.strided, item, kv_head, first_key + j, a.value_dim);
        }
    }
  }
  return seen;
}

void RandomProblem::put(Stored& stored, std::size_t i, attn::DType type, float x) {
  if (type == attn::DType::f32) stored.strided.storage[i] = x;
  if (type != attn::DType::f32) stored.halves[i] = as_half(x, type);
}

// As the float that it is, too: how it was drawn decides what else may be spoilt.
void RandomProblem::put_bias(std::size_t i, float x) {
  const attn::DType type = args().bias.dtype;
  if (type == attn::DType::f32) bias_[i] = x;
  if (type != attn::DType::f32)
    bias_halves_[i] = std::isfinite(x) && std::fabs(x) < 100 ? to_half(x, type) : as_half(x, type);
}

void RandomProblem::spoil_unseen(float poison) {
  const Seen& seen = this->seen();
  const attn::AttentionArgs& a = args();
  const auto spoil = [&](Stored& stored, attn::DType type, const std::vector<char>& sees) {
    for (std::size_t i = 0; i < sees.size(); ++i)
      if (!sees[i]) put(stored, i, type, poison);
  };
  spoil(q_, a.query.dtype, seen.q);
  spoil(k_, a.key.dtype, seen.k);
  spoil(v_, a.value.dtype, seen.v);
  for (std::size_t i = 0; i < bias_.size(); ++i)  // a bias of -inf is what hides its key
    if (!seen.bias[i] && bias_[i] != -std::numeric_limits<float>::infinity()) put_bias(i, poison);
}

std::string RandomProblem::spoil_seen(Random& random) {
  const Seen& seen = this->seen();
  const auto pick = [&](const std::vector<char>& sees) {
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < sees.size(); ++i)
      if (sees[i]) places.push_back(i);
    return places.empty() ? sees.size() : random.pick(places);
  };
  const attn::AttentionArgs& a = args();
  constexpr float poison = std::numeric_limits<float>::quiet_NaN();
  const struct {
    const char* name;
    Stored& stored;
    attn::DType type;
    const std::vector<char>& sees;
  } tensors[] = {
      {"query", q_, a.query.dtype, seen.q}, {"key", k_, a.key.dtype, seen.k}, {"value", v_, a.value.dtype, seen.v}};
  const int64_t kind = random.integer(0, 5);
  if (kind < 3) {
    const std::size_t i = pick(tensors[kind].sees);
    if (i == tensors[kind].sees.size()) return "";
    put(tensors[kind].stored, i, tensors[kind].type, poison);
    return tensors[kind].name;
  }
  std::vector<float>& floats = kind == 3 ? bias_ : kind == 4 ? slopes_ : sinks_;
  const std::size_t i = pick(kind == 3 ? seen.bias : std::vector<char>(floats.size(), 1));
  if (i == floats.size()) return "";
  kind == 3 ? put_bias(i, poison) : static_cast<void>(floats[i] = poison);
  return kind == 3 ? "bias" : kind == 4 ? "alibi_slopes" : "sinks";
}

}  // namespace test
