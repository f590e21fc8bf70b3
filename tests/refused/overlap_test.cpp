// Every result against everything that a call reads, and against every other result: where they share an element the
// status names both and nothing is written, where they only touch all is well.
#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/problem.hpp"

namespace {

using attn::AttentionArgs;
using attn::Path;
using std::int64_t;

// Batch 2, heads 4 over 2, 3 queries, 4 keys, head_dim 5, value_dim 6; packed: 5 queries, 7 keys in all.
constexpr test::Shape shape{2, 4, 2, 3, 4, 5, 6};

struct Result {
  const char* name;
  int64_t floats, packed_floats;  // packed: 0, not served
  bool blas_only;
  std::function<void(AttentionArgs&, float*)> set;
};

const Result results[] = {
    {"output", 2 * 4 * 3 * 6, 4 * 5 * 6, false,
     [](AttentionArgs& a, float* x) { a.output = attn::bhtd(x, 4, a.cu_query_lengths ? 5 : 3, 6); }},
    {"weights", 2 * 4 * 3 * 4, 0, false, [](AttentionArgs& a, float* x) { a.weights = attn::bhtd(x, 4, 3, 4); }},
    {"scores", 2 * 4 * 3 * 4, 0, true, [](AttentionArgs& a, float* x) { a.scores = attn::bhtd(x, 4, 3, 4); }},
    {"logsumexp", 2 * 4 * 3, 4 * 5, false, [](AttentionArgs& a, float* x) { a.logsumexp = x; }},
    {"key_weight_sums", 2 * 4 * 4, 4 * 7, false, [](AttentionArgs& a, float* x) { a.key_weight_sums = x; }},
};

// What is read: its bytes, of which those of integers must hold something that is valid.
struct Input {
  const char* name;
  std::vector<int64_t> integers;
  std::size_t bytes;
  std::function<void(AttentionArgs&, const void*)> set;
};

template <class T>
const T* as(const void* x) {
  return static_cast<const T*>(x);
}

const std::vector<Input>& inputs() {
  static const int64_t cu_queries[] = {0, 2, 5}, cu_keys[] = {0, 4, 7};
  static const std::vector<Input> list = {
      {"query",
       {},
       2 * 4 * 3 * 5 * 4,
       [](AttentionArgs& a, const void* x) { a.query = attn::bhtd(as<float>(x), 4, 3, 5); }},
      {"key",
       {},
       2 * 2 * 4 * 5 * 4,
       [](AttentionArgs& a, const void* x) { a.key = attn::bhtd(as<float>(x), 2, 4, 5); }},
      {"value",
       {},
       2 * 2 * 4 * 6 * 2,
       [](AttentionArgs& a, const void* x) { a.value = attn::bhtd(as<attn::f16>(x), 2, 4, 6); }},
      {"mask",
       {},
       3 * 4,
       [](AttentionArgs& a, const void* x) {
         a.mask = {as<std::uint8_t>(x), 0, 0, 4, 1};
       }},
      {"bias",
       {},
       2 * 4 * 4,
       [](AttentionArgs& a, const void* x) {
         a.bias = {as<float>(x), 4, 0, 0, 1};
       }},
      {"alibi_slopes", {}, 4 * 4, [](AttentionArgs& a, const void* x) { a.alibi_slopes = as<float>(x); }},
      {"sinks", {}, 4 * 4, [](AttentionArgs& a, const void* x) { a.sinks = as<float>(x); }},
      {"query_offsets",
       {0, -1},
       16,
       [](AttentionArgs& a, const void* x) { a.alignment = attn::Alignment::given, a.query_offsets = as<int64_t>(x); }},
      {"key_lengths", {3, 2}, 16, [](AttentionArgs& a, const void* x) { a.key_lengths = as<int64_t>(x); }},
      {"cu_query_lengths",
       {0, 2, 5},
       24,
       [](AttentionArgs& a, const void* x) { a.cu_query_lengths = as<int64_t>(x), a.cu_key_lengths = cu_keys; }},
      {"cu_key_lengths",
       {0, 4, 7},
       24,
       [](AttentionArgs& a, const void* x) { a.cu_query_lengths = cu_queries, a.cu_key_lengths = as<int64_t>(x); }},
  };
  return list;
}

bool contains(const attn::Status& status, const std::string& part) {
  return std::string(status.message()).find(part) != std::string::npos;
}

// Refused, with both names, and the memory as it was.
void check_refused(const AttentionArgs& a, const char* one, const char* other, const std::vector<float>& memory) {
  const std::vector<float> before = memory;
  const attn::Status status = attn::attention(a);
  INFO(one << " over " << other << ", " << test::name_of(a.path) << ": " << status.message());
  CHECK(status.code() == attn::StatusCode::invalid_argument);
  CHECK(contains(status, one));
  CHECK(contains(status, other));
  CHECK(test::bits_equal(memory, before));
}

}  // namespace

TEST_CASE("overlap: of every result with everything that is read", "[refused][attention][error]") {
  const Path path = GENERATE(Path::blas, Path::streaming);
  for (const Result& result : results)
    for (const Input& input : inputs()) {
      const bool packed = std::strncmp(input.name, "cu_", 3) == 0;
      const int64_t floats = packed ? result.packed_floats : result.floats;
      if (floats == 0 || (result.blas_only && path != Path::blas)) continue;
      test::Random random(85);
      test::Problem p(shape, random);
      AttentionArgs& a = p.args;
      a.path = path;
      // The result stands in the middle, the input at its first or last bytes, or close before or behind it. Multiples
      // of eight bytes, for the integers' sake.
      constexpr std::size_t room = 1024;
      const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float), step = 8;
      const std::size_t input_end = (input.bytes + step - 1) / step * step;
      std::vector<float> memory((bytes + 2 * room) / sizeof(float), 1.0f);
      char* const base = reinterpret_cast<char*>(memory.data());
      const struct {
        std::size_t place;
        bool shared;
      } places[] = {{room - input_end, false},
                    {room - input_end + step, true},
                    {room, true},
                    {room + bytes - step, true},
                    {room + bytes, false}};
      for (const auto& at : places) {
        std::fill(memory.begin(), memory.end(), 1.0f);
        if (!input.integers.empty()) std::memcpy(base + at.place, input.integers.data(), input.bytes);
        AttentionArgs call = a;
        input.set(call, base + at.place);
        // Dense, as the packed tensors are [1, heads, 5 or 7, columns].
        if (packed) {
          call.query = attn::bhtd(as<float>(a.query.data), 4, 5, 5);
          call.key = attn::bhtd(as<float>(a.key.data), 2, 7, 5);
          call.value = attn::bhtd(as<float>(a.value.data), 2, 7, 6);
          call.output = attn::bhtd(p.output.data(), 4, 5, 6);
        }
        result.set(call, memory.data() + room / sizeof(float));
        // The end of an input may be less than a step, and its last bytes not be shared at all.
        const bool shared = at.shared && (at.place >= room || at.place + input.bytes > room);
        if (shared) {
          check_refused(call, result.name, input.name, memory);
        } else {
          const attn::Status status = attn::attention(call);
          INFO(result.name << " beside " << input.name << ", " << test::name_of(path) << ": " << status.message());
          CHECK(status.ok());
        }
      }
    }
}

TEST_CASE("overlap: of every result with every other", "[refused][attention][error]") {
  const Path path = GENERATE(Path::blas, Path::streaming);
  const bool packed = GENERATE(false, true);
  static const int64_t cu_queries[] = {0, 2, 5}, cu_keys[] = {0, 4, 7};
  for (const Result& one : results)
    for (const Result& other : results) {
      const int64_t n = packed ? one.packed_floats : one.floats, m = packed ? other.packed_floats : other.floats;
      if (&one == &other || n == 0 || m == 0) continue;
      if ((one.blas_only || other.blas_only) && path != Path::blas) continue;
      for (const bool shared : {true, false}) {
        test::Random random(86);
        test::Problem p(shape, random);
        AttentionArgs a = p.args;
        a.path = path;
        if (packed) {
          a.cu_query_lengths = cu_queries, a.cu_key_lengths = cu_keys;
          a.query = attn::bhtd(as<float>(a.query.data), 4, 5, 5);
          a.key = attn::bhtd(as<float>(a.key.data), 2, 7, 5);
          a.value = attn::bhtd(as<float>(a.value.data), 2, 7, 6);
          a.output = attn::bhtd(p.output.data(), 4, 5, 6);
        }
        std::vector<float> memory(static_cast<std::size_t>(n + m), 1.0f);
        one.set(a, memory.data());
        other.set(a, memory.data() + n - (shared ? 1 : 0));  // the last element of the one is the other's first
        if (shared) {
          check_refused(a, one.name, other.name, memory);
        } else {
          const attn::Status status = attn::attention(a);
          INFO(one.name << " beside " << other.name << ", " << test::name_of(path) << ": " << status.message());
          CHECK(status.ok());
        }
      }
    }
}

TEST_CASE("overlap: cu arrays whose sequences are empty share nothing", "[refused][attention][error]") {
  // No element is written, so nothing can be overwritten.
  const Path path = GENERATE(Path::blas, Path::streaming);
  test::Problem p(shape);
  std::vector<int64_t> zeros(3);
  p.args.path = path;
  p.args.cu_query_lengths = p.args.cu_key_lengths = zeros.data();
  p.args.output.data = zeros.data();
  CHECK(attn::attention(p.args).ok());
  CHECK(zeros == std::vector<int64_t>(3));
}
