#include "problem.hpp"

#include <cstdint>
#include <cstring>

#include "attn/kv_cache.hpp"
#include "attn/status.hpp"
#include "call/addresses.hpp"

namespace bench {
namespace {

// Rounds keys and values into a cache of another type, which the call reads instead.
void store_cache(Problem& p) {
  const std::int64_t rows = p.row.batch * p.row.kv_heads * p.row.key_length;
  const auto dense = [&](std::vector<char>& memory) {
    memory.resize(static_cast<std::size_t>(rows * attn::bytes_of(p.row.cache, p.row.head_dim)));
    attn::Output x = attn::bhtd(static_cast<float*>(nullptr), p.row.kv_heads, p.row.key_length, p.row.head_dim);
    x.data = memory.data();
    x.dtype = p.row.cache;
    return x;
  };
  const auto scales = [&](std::vector<float>& memory) -> attn::MutableScales {
    if (p.row.cache != attn::DType::i8) return {};
    memory.resize(static_cast<std::size_t>(rows));
    return {memory.data(), p.row.kv_heads * p.row.key_length, p.row.key_length, 1};
  };
  std::vector<std::int64_t> used(static_cast<std::size_t>(p.row.batch));
  attn::AppendArgs append;
  append.batch = p.row.batch;
  append.kv_heads = p.row.kv_heads;
  append.new_length = append.capacity = p.row.key_length;
  append.head_dim = append.value_dim = p.row.head_dim;
  append.key = p.args.key;
  append.value = p.args.value;
  append.key_cache = dense(p.key_cache);
  append.value_cache = dense(p.value_cache);
  append.key_scales = scales(p.key_scales);
  append.value_scales = scales(p.value_scales);
  append.lengths = used.data();
  attn::throw_if_error(attn::append(append));
  p.args.key = append.key_cache;
  p.args.value = append.value_cache;
  p.args.key_scales = append.key_scales;
  p.args.value_scales = append.value_scales;
  p.k = {};
  p.v = {};
}

// Rounds the queries to bf16, which the call reads instead.
void store_bf16_queries(Problem& p) {
  const AttentionRow& row = p.row;
  p.bf16_queries.resize(p.q.size());
  std::vector<std::int64_t> used(static_cast<std::size_t>(row.batch));
  attn::AppendArgs append;
  append.batch = row.batch;
  append.kv_heads = row.query_heads;
  append.new_length = append.capacity = row.query_length;
  append.head_dim = row.head_dim;
  append.key = p.args.query;
  append.key_cache = attn::bhtd(p.bf16_queries.data(), row.query_heads, row.query_length, row.head_dim);
  append.lengths = used.data();
  attn::throw_if_error(attn::append(append));
  p.args.query = append.key_cache;
  for (std::size_t i = 0; i < p.q.size(); ++i) {  // what they hold now, for the plain loops
    const std::uint32_t bits = static_cast<std::uint32_t>(p.bf16_queries[i].bits) << 16;
    std::memcpy(&p.q[i], &bits, sizeof bits);
  }
}

}  // namespace

Problem::Problem(const AttentionRow& r)
    : row(r),
      q(normals(row.batch * row.query_heads * row.query_length * row.head_dim, 1)),
      k(normals(row.batch * row.kv_heads * row.key_length * row.head_dim, 2)),
      v(normals(row.batch * row.kv_heads * row.key_length * row.head_dim, 3)),
      output(q.size()) {
  args.batch = row.batch;
  args.query_heads = row.query_heads;
  args.kv_heads = row.kv_heads;
  args.query_length = row.query_length;
  args.key_length = row.key_length;
  args.head_dim = args.value_dim = row.head_dim;
  args.query = attn::bhtd(static_cast<const float*>(q.data()), row.query_heads, row.query_length, row.head_dim);
  args.key = attn::bhtd(static_cast<const float*>(k.data()), row.kv_heads, row.key_length, row.head_dim);
  args.value = attn::bhtd(static_cast<const float*>(v.data()), row.kv_heads, row.key_length, row.head_dim);
  args.output = attn::bhtd(output.data(), row.query_heads, row.query_length, row.head_dim);
  args.causal = row.causal;
  if (row.cache != attn::DType::f32) store_cache(*this);
  if (row.query == attn::DType::bf16) store_bf16_queries(*this);
  args.bf16_weights = row.bf16_weights;
}

double Problem::error() {
  if (!reference_) reference_.emplace(args);
  return reference_->error_of(args.output);
}

std::shared_ptr<Problem> problem_of(const AttentionRow& row) {
  static std::shared_ptr<Problem> last;
  if (last && last->row.name == row.name) return last;
  last.reset();  // before the next one is made: both may not fit memory
  last = std::make_shared<Problem>(row);
  return last;
}

Call::Call(const attn::AttentionArgs& what, attn::Path path, std::int64_t threads)
    : pool(threads), parallel(pool.parallel()), args(what) {
  args.path = path;
  args.parallel = &parallel;
  workspace.resize(attn::workspace_size(args));
  args.workspace = workspace.data();
  args.workspace_bytes = workspace.size();
}

void Call::operator()() const { attn::throw_if_error(attn::attention(args)); }

}  // namespace bench
