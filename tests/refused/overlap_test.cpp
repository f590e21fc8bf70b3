// Every result against everything that a call reads, and against every other result: where they share an element the
// status names both and nothing is written, where they only touch all is well.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/options.hpp"
#include "support/paths.hpp"

namespace {

using attn::AttentionArgs;
using attn::Path;
using std::int64_t;
using test::OptionMemory;

// Batch 2, or packed: the same rows and keys as one item.
constexpr int64_t rows = 3, keys = 4;
const test::Shape shape = test::option_shape(rows, keys);

struct Result {
  const char* name;
  int64_t floats;  // of one item
  void (*set)(AttentionArgs&, float*);
};

const Result results[] = {
    {"output", 4 * rows * 37, [](AttentionArgs& a, float* x) { a.output = attn::bhtd(x, 4, rows, 37); }},
    {"weights", 4 * rows* keys, [](AttentionArgs& a, float* x) { a.weights = attn::bhtd(x, 4, rows, keys); }},
    {"scores", 4 * rows* keys, [](AttentionArgs& a, float* x) { a.scores = attn::bhtd(x, 4, rows, keys); }},
    {"logsumexp", 4 * rows, [](AttentionArgs& a, float* x) { a.logsumexp = x; }},
    {"key_weight_sums", 4 * keys, [](AttentionArgs& a, float* x) { a.key_weight_sums = x; }},
};

// How many floats the call writes.
int64_t floats_of(const Result& result, const AttentionArgs& a) {
  return a.cu_query_lengths ? result.floats : shape.batch * result.floats;
}

template <class T>
const T* as(const void* x) {
  return static_cast<const T*>(x);
}

// Something that is read, and the option that has it read.
struct Input {
  test::OptionInput array;
  const test::Option* option;
};

std::vector<Input> inputs(const test::Problem& p, const OptionMemory& memory) {
  const std::size_t q_bytes = p.q.size() * 4, k_bytes = p.k.size() * 4, v_bytes = p.v.size() * 2;
  std::vector<Input> list = {
      {{"query", p.q.data(), q_bytes, [](AttentionArgs& a, const void* x) { a.query.data = x; }}, nullptr},
      {{"key", p.k.data(), k_bytes, [](AttentionArgs& a, const void* x) { a.key.data = x; }}, nullptr},
      {{"value", memory.f16.data(), v_bytes,
        [](AttentionArgs& a, const void* x) { a.value = attn::bhtd(as<attn::f16>(x), 2, keys, 37); }},
       nullptr}};
  for (const test::Option& option : test::options())
    if (option.reads)
      for (const test::OptionInput& array : option.reads(memory)) list.push_back({array, &option});
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
  const Path path = GENERATE(from_range(test::paths()));
  OptionMemory options_memory(rows, keys);
  test::Random random(85);
  test::Problem plain(shape, random);
  for (const Result& result : results)
    for (const Input& input : inputs(plain, options_memory)) {
      test::Problem p(shape);
      AttentionArgs& a = p.args;
      a.query = plain.args.query;
      a.key = plain.args.key;
      a.value = plain.args.value;
      a.path = path;
      if (input.option) input.option->set(p, options_memory);
      const int64_t floats = floats_of(result, a);
      // The result stands in the middle, the input at its first or last bytes, or close before or behind it. Multiples
      // of eight bytes, for the integers' sake.
      constexpr std::size_t room = 16384, step = 8;
      const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
      const std::size_t input_end = (input.array.bytes + step - 1) / step * step;
      REQUIRE(input_end + step <= room);
      std::vector<float> memory((bytes + 2 * room) / sizeof(float), 1.0f);
      char* const base = reinterpret_cast<char*>(memory.data());
      const struct {
        std::size_t place;
        bool shared;
      } places[] = {
          {room - input_end, false},
          {room - input_end + step, true},
          {room, true},
          {room + bytes - step, true},
          {room + bytes, false}};
      for (const auto& at : places) {
        std::fill(memory.begin(), memory.end(), 1.0f);
        std::memcpy(base + at.place, input.array.data, input.array.bytes);
        AttentionArgs call = a;
        input.array.place(call, base + at.place);
        result.set(call, memory.data() + room / sizeof(float));
        // The end of an input may be less than a step, and its last bytes not be shared at all.
        const bool shared = at.shared && (at.place >= room || at.place + input.array.bytes > room);
        if (shared) {
          check_refused(call, result.name, input.array.argument, memory);
        } else {
          const attn::Status status = attn::attention(call);
          INFO(
              result.name << " beside " << input.array.argument << ", " << test::name_of(path) << ": "
                          << status.message());
          CHECK(status.ok());
        }
      }
    }
}

TEST_CASE("overlap: of every result with every other", "[refused][attention][error]") {
  const Path path = GENERATE(from_range(test::paths()));
  const bool packed = GENERATE(false, true);
  OptionMemory options_memory(rows, keys);
  for (const Result& one : results)
    for (const Result& other : results) {
      test::Random random(86);
      test::Problem p(shape, random);
      p.args.path = path;
      if (packed) {
        p.args.cu_query_lengths = options_memory.cu_queries.data();
        p.args.cu_key_lengths = options_memory.cu_keys.data();
      }
      const int64_t n = floats_of(one, p.args), m = floats_of(other, p.args);
      if (&one == &other || n == 0 || m == 0) continue;
      for (const bool shared : {true, false}) {
        AttentionArgs a = p.args;
        std::vector<float> memory(n + m, 1.0f);
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
  const Path path = GENERATE(from_range(test::paths()));
  test::Problem p(shape);
  std::vector<int64_t> zeros(3);
  p.args.path = path;
  p.args.cu_query_lengths = p.args.cu_key_lengths = zeros.data();
  p.args.output.data = zeros.data();
  CHECK(attn::attention(p.args).ok());
  CHECK(zeros == std::vector<int64_t>(3));
}
