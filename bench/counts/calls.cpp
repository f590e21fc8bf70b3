// A fixed set of small calls, for counting their instructions (check.py): attn_counts <isa> <case>. Each call is made
// once to warm up, so that what is set up once is not counted, and then twice by attn_counted.
// Without arguments: what built it, then the names of the cases.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attn/attn.hpp"

// Callgrind counts from where this is entered to where it is left.
extern "C" [[gnu::noinline]] void attn_counted(void (*call)(void*), void* data) {
  call(data);
  call(data);
}

namespace {

using Call = std::function<void()>;

// n numbers in [-1, 1), the same on every machine.
std::vector<float> numbers(std::int64_t n, std::uint32_t seed) {
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
  }
  return x;
}

struct Shape {
  std::int64_t batch, query_heads, kv_heads, queries, keys, head_dim;
};

// A call with its memory, and a workspace, so that it allocates nothing.
struct Attention {
  explicit Attention(const Shape& s, attn::DType cache = attn::DType::f32)
      : q(numbers(s.batch * s.query_heads * s.queries * s.head_dim, 1)),
        k(numbers(s.batch * s.kv_heads * s.keys * s.head_dim, 2)),
        v(numbers(s.batch * s.kv_heads * s.keys * s.head_dim, 3)),
        output(q.size()) {
    args.batch = s.batch;
    args.query_heads = s.query_heads;
    args.kv_heads = s.kv_heads;
    args.query_length = s.queries;
    args.key_length = s.keys;
    args.head_dim = args.value_dim = s.head_dim;
    args.query = attn::bhtd(q.data(), s.query_heads, s.queries, s.head_dim);
    args.key = attn::bhtd(k.data(), s.kv_heads, s.keys, s.head_dim);
    args.value = attn::bhtd(v.data(), s.kv_heads, s.keys, s.head_dim);
    args.output = attn::bhtd(output.data(), s.query_heads, s.queries, s.head_dim);
    if (cache != attn::DType::f32) store(cache);
  }

  void store(attn::DType type) {
    half_keys.resize(k.size());
    half_values.resize(v.size());
    std::vector<std::int64_t> used(static_cast<std::size_t>(args.batch));
    attn::AppendArgs append;
    append.batch = args.batch;
    append.kv_heads = args.kv_heads;
    append.new_length = append.capacity = args.key_length;
    append.head_dim = append.value_dim = args.head_dim;
    append.key = args.key;
    append.value = args.value;
    append.key_cache = attn::bhtd(half_keys.data(), args.kv_heads, args.key_length, args.head_dim);
    append.value_cache = attn::bhtd(half_values.data(), args.kv_heads, args.key_length, args.head_dim);
    append.key_cache.dtype = append.value_cache.dtype = type;
    append.lengths = used.data();
    attn::throw_if_error(attn::append(append));
    args.key = append.key_cache;
    args.value = append.value_cache;
  }

  void run() {
    workspace.resize(attn::workspace_size(args));
    args.workspace = workspace.data();
    args.workspace_bytes = workspace.size();
    attn::throw_if_error(attn::attention(args));
  }

  std::vector<float> q, k, v, output;
  std::vector<attn::f16> half_keys, half_values;  // bits, of f16 or bf16
  std::vector<std::uint8_t> mask;
  std::vector<float> bias;
  std::vector<char> workspace;
  attn::AttentionArgs args;
};

using Made = std::shared_ptr<Attention>;

Made make(const Shape& s, attn::DType cache = attn::DType::f32) { return std::make_shared<Attention>(s, cache); }
Call call(const Made& a) {
  return [a] { a->run(); };
}

constexpr Shape square{1, 1, 1, 100, 90, 64};  // whole tiles, and what is left over

Call masked() {
  const Made a = make(square);
  const std::int64_t keys = a->args.key_length, queries = a->args.query_length;
  a->mask.resize(static_cast<std::size_t>(queries * keys));
  for (std::size_t i = 0; i < a->mask.size(); ++i) a->mask[i] = i % 7 != 3;
  a->args.mask.data = a->mask.data();
  a->args.mask.row_stride = keys;
  a->args.mask.column_stride = 1;
  return call(a);
}

Call biased() {
  const Made a = make(square);
  a->bias = numbers(a->args.query_length * a->args.key_length, 4);
  a->args.bias.data = a->bias.data();
  a->args.bias.row_stride = a->args.key_length;
  a->args.bias.column_stride = 1;
  return call(a);
}

Call causal() {
  const Made a = make(square);
  a->args.causal = true;
  return call(a);
}

Call softmax() {
  const auto x = std::make_shared<std::vector<float>>(numbers(32 * 200, 5));
  const auto y = std::make_shared<std::vector<float>>(x->size());
  return [x, y] { attn::throw_if_error(attn::softmax(x->data(), y->data(), 32, 200, 200, 200, 0.5f)); };
}

// Rows of f32 into a cache of bf16.
Call append() {
  struct State {
    std::vector<float> rows = numbers(8 * 64 * 64, 6);
    std::vector<attn::bf16> keys = std::vector<attn::bf16>(rows.size()), values = keys;
    std::int64_t used = 0;
    attn::AppendArgs args;
  };
  const auto s = std::make_shared<State>();
  s->args.kv_heads = 8;
  s->args.new_length = s->args.capacity = 64;
  s->args.head_dim = s->args.value_dim = 64;
  s->args.key = s->args.value = attn::bhtd(static_cast<const float*>(s->rows.data()), 8, 64, 64);
  s->args.key_cache = attn::bhtd(s->keys.data(), 8, 64, 64);
  s->args.value_cache = attn::bhtd(s->values.data(), 8, 64, 64);
  s->args.lengths = &s->used;
  return [s] {
    s->used = 0;
    attn::throw_if_error(attn::append(s->args));
  };
}

Call merge() {
  struct State {
    std::vector<float> parts = numbers(3 * 64 * 64, 7), sums = numbers(3 * 64, 8), output = std::vector<float>(64 * 64);
    attn::MergeArgs args;
  };
  const auto s = std::make_shared<State>();
  s->args.parts = 3;
  s->args.rows = s->args.value_dim = 64;
  s->args.outputs = s->parts.data();
  s->args.part_stride = 64 * 64;
  s->args.row_stride = s->args.output_row_stride = 64;
  s->args.logsumexps = s->sums.data();
  s->args.logsumexp_part_stride = 64;
  s->args.output = s->output.data();
  return [s] { attn::throw_if_error(attn::merge(s->args)); };
}

Call projection() {
  const auto w = numbers(128 * 128, 9);
  const auto linear = std::make_shared<attn::Linear>(128, 128, w.data());
  const auto x = std::make_shared<std::vector<float>>(numbers(26 * 128, 10));
  const auto y = std::make_shared<std::vector<float>>(x->size());
  return [linear, x, y] { linear->forward_into(x->data(), 26, y->data()); };
}

Call layer() {
  const auto w = numbers(128 * 128, 11);
  attn::MultiHeadConfig config;
  config.embed_dim = 128;
  config.num_heads = 2;
  config.w_q = config.w_k = config.w_v = config.w_o = w.data();
  config.projection = attn::Projection::tiles;
  const auto mha = std::make_shared<attn::MultiHeadAttention>(config);
  const auto x = std::make_shared<std::vector<float>>(numbers(26 * 128, 12));
  const auto y = std::make_shared<std::vector<float>>(x->size());
  return [mha, x, y] { mha->forward_into(x->data(), 1, 26, y->data(), nullptr); };
}

struct Case {
  const char* name;
  Call (*make)();
};

constexpr Case cases[] = {
    {"decode",
     [] {
       return call(make({1, 4, 4, 1, 256, 64}));
     }},
    {"decode_grouped",
     [] {
       return call(make({1, 8, 2, 1, 256, 64}));
     }},
    {"decode_bf16",
     [] {
       return call(make({1, 4, 4, 1, 256, 64}, attn::DType::bf16));
     }},
    {"decode_f16",
     [] {
       return call(make({1, 4, 4, 1, 256, 64}, attn::DType::f16));
     }},
    {"tiny",
     [] {
       return call(make({1, 1, 1, 8, 8, 32}));
     }},
    {"prefill", [] { return call(make(square)); }},
    {"causal", causal},
    {"mask", masked},
    {"bias", biased},
    {"softmax", softmax},
    {"append", append},
    {"merge", merge},
    {"projection", projection},
    {"layer", layer},
};

int run(const char* isa, const char* name) {
  for (const Case& c : cases) {
    if (std::strcmp(c.name, name) != 0) continue;
    if (const attn::Status status = attn::use_isa(isa); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.message());
      return status.code() == attn::StatusCode::unsupported ? 77 : 1;
    }
    Call f = c.make();
    f();
    attn_counted([](void* data) { (*static_cast<Call*>(data))(); }, &f);
    return 0;
  }
  std::fprintf(stderr, "no case is called %s\n", name);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) return run(argv[1], argv[2]);
  std::puts(ATTN_COUNTS_BUILD);
  for (const Case& c : cases) std::puts(c.name);
  return 0;
}
