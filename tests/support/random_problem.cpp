#include "support/random_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "support/compare.hpp"
#include "support/random_strides.hpp"

namespace test {
namespace {

using std::int64_t;

attn::DType half_type(Random& random) { return random.flip() ? attn::DType::f16 : attn::DType::bf16; }

}  // namespace

std::uint16_t to_half(float x, attn::DType type) {
  if (type == attn::DType::bf16) return static_cast<std::uint16_t>(bits(x) >> 16);
  const double size = std::fabs(static_cast<double>(x));
  int low = 0, high = 0x7bff;
  while (low < high) {  // the largest f16 that is not above
    const std::uint16_t middle = static_cast<std::uint16_t>((low + high + 1) / 2);
    const attn::Tensor one{&middle, attn::DType::f16, 0, 0, 0};
    element_of(one, 0, 0, 0, 0) <= size ? low = middle : high = middle - 1;
  }
  return static_cast<std::uint16_t>(low | (x < 0 ? 0x8000 : 0));
}

RandomProblem::RandomProblem(Random& random, attn::Path path, bool large) {
  const std::vector<int64_t> lengths{0, 1, 2, 5, 11, 12, 13, 16, 17, 31, 48, 49, 64, 65, 96, 97, 128, 130};
  const std::vector<int64_t> dims{1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 65, 80, 100};
  Shape s;
  s.batch = random.pick(std::vector<int64_t>{0, 1, 1, 2, 3});
  s.kv_heads = random.integer(1, 2);
  s.query_heads = s.kv_heads * random.integer(1, 3);
  s.query_length = random.pick(lengths);
  s.key_length = random.integer(0, 9) == 0 ? random.integer(500, 1100) : random.pick(lengths);
  s.head_dim = random.pick(dims);
  s.value_dim = random.pick(dims);
  if (large) {
    s.batch = random.integer(1, 2);
    s.key_length = random.integer(400, 2200);
    s.head_dim = random.integer(20, 70);
    s.value_dim = random.integer(20, 70);
  }
  while (s.batch * s.query_heads * s.query_length * s.key_length * (s.head_dim + s.value_dim) >
         (large ? 20000000 : 1000000)) {
    s.query_length = s.query_length / 2;
    s.head_dim = s.head_dim / 2 + 1;
    s.value_dim = s.value_dim / 2 + 1;
  }
  problem = std::make_unique<Problem>(s);
  attn::AttentionArgs& a = args();
  a.path = path;

  int64_t queries = s.query_length, keys = s.key_length, batch = s.batch;
  if (third(random)) {  // packed
    cu_queries_ = cu_keys_ = {0};
    for (int64_t b = 0; b < s.batch; ++b) {
      cu_queries_.push_back(cu_queries_.back() + random.integer(0, s.query_length));
      cu_keys_.push_back(cu_keys_.back() + random.integer(0, s.key_length));
    }
    a.cu_query_lengths = cu_queries_.data();
    a.cu_key_lengths = cu_keys_.data();
    queries = cu_queries_.back();
    keys = cu_keys_.back();
    batch = 1;
  }
  const Rows rows = path == attn::Path::blas ? Rows::forward : Rows::any;
  a.query = store(random, {batch, s.query_heads, queries, s.head_dim}, rows, q_);
  a.key = store(random, {batch, s.kv_heads, keys, s.head_dim}, rows, k_);
  a.value = store(random, {batch, s.kv_heads, keys, s.value_dim}, rows, v_);
  o_.strided = random_layout(random, {batch, s.query_heads, queries, s.value_dim}, rows, Use::result, canary);
  a.output = stored_result(o_, third(random) ? half_type(random) : attn::DType::f32);
  choose_keys(random);
  choose_scores(random);
  if (random.flip()) problem->want_logsumexp();
  if (third(random)) problem->want_key_weight_sums();
  const bool weights = third(random), scores = third(random);
  if (weights) problem->want_weights(static_cast<attn::DType>(random.integer(0, 2)));
  if (!scores) return;
  const attn::ScoresStage stage = static_cast<attn::ScoresStage>(random.integer(0, 2));
  problem->want_scores(stage, static_cast<attn::DType>(random.integer(0, 2)));
}

attn::Output RandomProblem::stored_result(Stored& stored, attn::DType type) {
  attn::Output x = stored.strided.output();
  if (type == attn::DType::f32) return x;
  stored.halves.assign(stored.strided.storage.size(), half_canary);
  x.dtype = type;
  x.data = stored.halves.data() + stored.strided.start;
  return x;
}

attn::Tensor RandomProblem::store(Random& random, const Dims& dims, Rows rows, Stored& stored) {
  stored.strided = random_layout(random, dims, rows, Use::input);
  attn::Tensor t = stored.strided.tensor();
  if (!third(random)) return t;
  t.dtype = half_type(random);
  for (const float x : stored.strided.storage) stored.halves.push_back(to_half(x, t.dtype));
  t.data = stored.halves.data() + stored.strided.start;
  return t;
}

void RandomProblem::choose_keys(Random& random) {
  attn::AttentionArgs& a = args();
  a.causal = third(random);
  if (third(random)) a.window_left = random.integer(0, 60);
  if (third(random)) a.window_right = random.integer(0, 60);
  a.alignment = static_cast<attn::Alignment>(random.integer(0, 2));
  for (std::size_t b = 0; b < static_cast<std::size_t>(a.batch); ++b) {
    offsets_.push_back(random.integer(-9, a.key_length + 3));
    key_lengths_.push_back(random.integer(0, a.cu_key_lengths ? cu_keys_[b + 1] - cu_keys_[b] : a.key_length));
  }
  if (a.alignment == attn::Alignment::given) a.query_offsets = offsets_.data();
  if (third(random)) a.key_lengths = key_lengths_.data();
  if (!third(random)) return;
  int64_t count, start;
  choose_strides(random, a.mask, {a.batch, a.query_heads, a.query_length, a.key_length}, count, start);
  const int64_t kind = random.integer(0, 4), period = random.integer(1, 200);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t draw = random.integer(0, 255);
    mask_.push_back(static_cast<std::uint8_t>(
        kind == 0       ? std::max<int64_t>(draw - 63, 0)  // scattered
            : kind == 1 ? i / period % 2  // stripes
            : kind == 2 ? 1  // all
            : kind == 3 ? 0  // none
                        : draw < 12));  // few
  }
  a.mask.data = mask_.data() + start;
}

void RandomProblem::choose_scores(Random& random) {
  attn::AttentionArgs& a = args();
  a.scale = random.pick(std::vector<float>{0.0f, 0.0f, 0.3f, -0.3f});
  if (third(random)) a.softcap = random.pick(std::vector<float>{0.3f, 1, 5, 20});
  const auto fill = [&](std::vector<float>& x, int64_t n, float size) {
    for (int64_t i = 0; i < n; ++i) x.push_back(size * random.normal());
  };
  if (third(random)) {
    int64_t count, start;
    choose_strides(random, a.bias, {a.batch, a.query_heads, a.query_length, a.key_length}, count, start);
    fill(bias_, count, 1);
    for (float& x : bias_)
      if (random.integer(0, 30) == 0) x = -std::numeric_limits<float>::infinity();
    a.bias.data = bias_.data() + start;
    bias_start_ = start;
  }
  if (third(random)) {
    fill(slopes_, a.query_heads, 0.1f);
    a.alibi_slopes = slopes_.data();
  }
  if (third(random)) {
    fill(sinks_, a.query_heads, 2);
    if (third(random)) sinks_[0] = -std::numeric_limits<float>::infinity();
    a.sinks = sinks_.data();
  }
}

void RandomProblem::vary_bias(Random& random) {
  attn::AttentionArgs& a = args();
  a.bias = {};
  bias_.clear();
  int64_t count;
  choose_strides(random, a.bias, {a.batch, a.query_heads, a.query_length, a.key_length}, count, bias_start_);
  const int64_t kind = random.integer(0, 3), period = random.integer(1, 200);
  for (int64_t i = 0; i < count; ++i) {
    const float x = random.normal();
    const bool out = kind == 3 ? i / period % 2 == 0 : random.integer(0, 5) == 0, plain = kind == 1 || i / period % 3;
    bias_.push_back(out ? -std::numeric_limits<float>::infinity() : kind == 0 || !plain ? x : 0);
  }
  a.bias.dtype = static_cast<attn::DType>(random.integer(0, 2));
  a.bias.data = bias_.data() + bias_start_;
  if (a.bias.dtype != attn::DType::f32) {
    bias_halves_.resize(bias_.size());
    for (std::size_t i = 0; i < bias_.size(); ++i) put_bias(i, bias_[i]);
    a.bias.data = bias_halves_.data() + bias_start_;
  }
  if (random.flip()) return;
  for (int64_t h = 0; h < a.query_heads; ++h) factors_.push_back(random.pick(std::vector<float>{0, 1, 0.3f, -2}));
  a.bias.head_factors = factors_.data();
}

std::vector<std::uint32_t> RandomProblem::inputs() const {
  std::vector<std::uint32_t> all;
  for (const Stored* x : {&q_, &k_, &v_}) {
    for (const float value : x->strided.storage) all.push_back(bits(value));
    all.insert(all.end(), x->halves.begin(), x->halves.end());
  }
  for (const std::vector<float>* x : {&bias_, &slopes_, &sinks_, &factors_})
    for (const float value : *x) all.push_back(bits(value));
  for (const Int8* x : {&k8_, &v8_}) {
    all.insert(all.end(), x->bytes.begin(), x->bytes.end());
    for (const float value : x->scales.storage) all.push_back(bits(value));
    for (const attn::q8_0& block : x->blocks) {
      all.push_back(block.scale.bits);
      all.insert(all.end(), block.values, block.values + 32);
    }
  }
  all.insert(all.end(), mask_.begin(), mask_.end());
  all.insert(all.end(), bias_halves_.begin(), bias_halves_.end());
  all.insert(all.end(), panels_.begin(), panels_.end());
  all.insert(all.end(), pages_.keys.begin(), pages_.keys.end());
  all.insert(all.end(), pages_.values.begin(), pages_.values.end());
  all.insert(all.end(), pages_.table.begin(), pages_.table.end());
  for (const std::vector<float>* x : {&pages_.key_scales, &pages_.value_scales})
    for (const float value : *x) all.push_back(bits(value));
  return all;
}

std::string RandomProblem::check() {
  const std::vector<std::uint32_t> before = inputs();
  if (const std::string failure = problem->check(); !failure.empty()) return failure;
  if (inputs() != before) return "an input was modified";
  const attn::AttentionArgs& a = args();
  if (const std::string d = result_gaps_kept(o_, result_dims(a, a.value_dim)); !d.empty()) return d;
  for (const Stored* x : {&w_, &s_})
    if (const std::string d = result_gaps_kept(*x, result_dims(a, a.key_length)); !d.empty())
      return d + " of the weights or scores";
  return "";
}

std::string RandomProblem::result_gaps_kept(const Stored& x, const Dims& dims) {
  if (x.strided.storage.empty()) return "";
  if (x.halves.empty()) return gaps_kept(x.strided, dims, canary);
  Strided halves = x.strided;  // their bits, as numbers
  std::copy(x.halves.begin(), x.halves.end(), halves.storage.begin());
  return gaps_kept(halves, dims, half_canary);
}

std::vector<std::uint32_t> RandomProblem::results() {
  const attn::AttentionArgs& a = args();
  std::vector<std::uint32_t> all;
  if (const std::string failure = problem->run(); !failure.empty()) return all;
  const std::vector<float> output = gather(a.output, result_dims(a, a.value_dim));
  std::vector<float> weights;
  if (a.weights.data) weights = gather(a.weights, result_dims(a, a.key_length));
  all.push_back(1);  // not empty
  const std::vector<float>* const parts[] = {&output, &weights, &problem->logsumexp, &problem->key_weight_sums};
  for (const std::vector<float>* x : parts)
    for (const float value : *x) all.push_back(bits(value));
  return all;
}

}  // namespace test
