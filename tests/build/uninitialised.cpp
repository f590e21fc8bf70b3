// The library under MemorySanitizer (the preset msan): no decision and no result may come from memory that was never
// written. Without Catch2 and streams, whose code in libstdc++.so the sanitizer does not see; with one instruction set,
// as the suite. Argument: how many mixtures of options to try.
#include "support/uninitialised.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "attn/attn.hpp"
#include "support/layer.hpp"
#include "support/layer_call.hpp"
#include "support/options.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::DType;
using attn::KeyLayout;
using std::int64_t;
using test::Random;

bool ok = true;
int64_t calls = 0;

// `failure` is "" or what is wrong.
void expect(const std::string& failure, const char* what) {
  ++calls;
  if (failure.empty()) return;
  std::printf("FAILED: %s: %s\n", what, failure.c_str());
  ok = false;
}

void expect(const attn::Status& status, const char* what) { expect(std::string(status.message()), what); }

template <class T>
void expect_written(const std::vector<T>& x) {
  test::expect_written(x.data(), x.size() * sizeof(T));
}

// Memory that a call is to write, and nothing else has.
template <class T>
class Unwritten {
 public:
  explicit Unwritten(int64_t count) : x_(static_cast<std::size_t>(count)) {
    test::forget(x_.data(), x_.size() * sizeof(T));
  }
  T* data() { return x_.data(); }
  void expect_written() const { ::expect_written(x_); }

 private:
  std::vector<T> x_;
};

// Every option alone, in tiles and in place, in one block of keys and in two. Results are read as the suite reads them;
// that they are right is the suite's to say, without a sanitizer.
void options(const attn::Parallel* parallel) {
  for (const test::Option& option : test::options())
    for (const int64_t rows : {1, 5, 50})
      for (const int64_t keys : {40, 600}) {
        Random random(1);
        test::OptionMemory memory(rows, keys);
        test::Problem p(test::option_shape(rows, keys), random);
        p.args.path = attn::Path::streaming;
        p.args.parallel = parallel;
        option.set(p, memory);
        for (std::vector<float>* x : {&p.output, &p.weights, &p.logsumexp, &p.key_weight_sums})
          test::forget(x->data(), x->size() * sizeof(float));
        if (p.args.output.data != p.output.data()) test::forget(memory.halves_out.data(), memory.halves_out.size() * 2);
        expect(p.run(), option.name);
        expect_written(p.results());
      }
}

void mixtures(int64_t count) {
  for (int64_t round = 0; round < count; ++round) {
    Random random(static_cast<std::uint64_t>(round));
    test::RandomProblem p(random, attn::Path::streaming, round % 49 == 0);  // of each kind in turn
    if (random.flip()) p.vary_bias(random);
    if (random.flip()) p.add_structure(random);
    if (random.flip()) p.lay_cache(random, static_cast<int>(round));
    const std::vector<std::uint32_t> results = p.results();
    expect(results.empty() ? "no results" : "", test::describe(p.args()).c_str());
    expect_written(results);
  }
}

// The library allocates what the call needs; shares of a call write every result between them.
void own_workspace_and_shares() {
  Random random(2);
  for (const int64_t shares : {1, 3}) {
    constexpr int64_t heads = 4, rows = 70, keys = 700, dim = 20;
    const std::vector<float> q = random.normals(heads * rows * dim), k = random.normals(heads * keys * dim);
    Unwritten<float> output(heads * rows * dim), weights(heads * rows * keys), sums(heads * keys), lse(heads * rows);
    attn::AttentionArgs a;
    a.query_heads = a.kv_heads = heads;
    a.query_length = rows;
    a.key_length = keys;
    a.head_dim = a.value_dim = dim;
    a.query = attn::bhtd(q.data(), heads, rows, dim);
    a.key = a.value = attn::bhtd(k.data(), heads, keys, dim);
    a.output = attn::bhtd(output.data(), heads, rows, dim);
    a.weights = attn::bhtd(weights.data(), heads, rows, keys);
    a.key_weight_sums = sums.data();
    a.logsumexp = lse.data();
    a.path = attn::Path::streaming;
    a.causal = true;
    a.share_count = shares;
    for (a.share_index = 0; a.share_index < shares; ++a.share_index) expect(attn::attention(a), "share");
    for (const Unwritten<float>* x : {&output, &weights, &sums, &lse}) x->expect_written();
  }
}

void softmax() {
  Random random(3);
  for (int64_t columns = 1; columns <= 80; ++columns) {
    const std::vector<float> x = random.normals(3 * columns);
    Unwritten<float> y(3 * columns);
    expect(attn::softmax(x.data(), y.data(), 3, columns, columns, columns, 0.5f), "softmax");
    y.expect_written();
  }
}

void merge() {
  Random random(4);
  for (int64_t columns = 1; columns <= 40; ++columns) {
    constexpr int64_t parts = 3, rows = 4;
    const std::vector<float> x = random.normals(parts * rows * columns), lse = random.normals(parts * rows);
    Unwritten<float> y(rows * columns), y_lse(rows);
    attn::MergeArgs a;
    a.parts = parts;
    a.rows = rows;
    a.value_dim = a.row_stride = a.output_row_stride = columns;
    a.part_stride = rows * columns;
    a.logsumexp_part_stride = rows;
    a.outputs = x.data();
    a.logsumexps = lse.data();
    a.output = y.data();
    a.logsumexp = y_lse.data();
    expect(attn::merge(a), "merge");
    y.expect_written();
    y_lse.expect_written();
  }
}

// Then attends to the rows in use of a cache of which the rest was never written.
void append(DType type, KeyLayout layout) {
  Random random(5);
  for (int64_t dim = 1; dim <= 40; ++dim) {
    constexpr int64_t batch = 2, heads = 2, added = 5, capacity = 40;
    const std::vector<float> x = random.normals(batch * heads * added * dim);
    Unwritten<float> keys(batch * heads * attn::panel_rows(capacity) * dim), values(batch * heads * capacity * dim);
    int64_t lengths[batch] = {0, 0};
    const int64_t new_lengths[batch] = {added, added - 2};
    attn::AppendArgs a;
    a.batch = batch;
    a.kv_heads = heads;
    a.capacity = capacity;
    a.new_length = added;
    a.head_dim = a.value_dim = dim;
    a.key = a.value = attn::bhtd(x.data(), heads, added, dim);
    a.key_layout = layout;
    a.key_cache = layout == KeyLayout::rows ? attn::bhtd(keys.data(), heads, capacity, dim)
                                            : attn::key_panels(keys.data(), heads, capacity, dim);
    a.value_cache = attn::bhtd(values.data(), heads, capacity, dim);
    a.key_cache.dtype = a.value_cache.dtype = type;
    a.lengths = lengths;
    a.new_lengths = new_lengths;
    for (int i = 0; i < 3; ++i) expect(attn::append(a), "append");
    test::expect_written(lengths, sizeof lengths);

    Unwritten<float> output(batch * heads * added * dim);
    attn::AttentionArgs b;
    b.batch = batch;
    b.query_heads = b.kv_heads = heads;
    b.query_length = added;
    b.key_length = capacity;
    b.head_dim = b.value_dim = dim;
    b.query = a.key;
    b.key = a.key_cache;
    b.key_layout = layout;
    b.value = a.value_cache;
    b.output = attn::bhtd(output.data(), heads, added, dim);
    b.key_lengths = lengths;
    expect(attn::attention(b), "attention to a cache");
    output.expect_written();
  }
}

// The memory between the projections and the attention is the library's own.
void layers() {
  Random random(6);
  for (int64_t dim = 1; dim <= 40; ++dim) {
    test::Layer layer = test::make_layer(random, dim, 4, 2, dim % 9 + 1);
    test::add_biases(layer, random);
    test::add_output_projection(layer, random, true);
    layer.projection = attn::Projection::tiles;
    test::LayerCall call;
    call.batch = 2;
    call.length = 7;
    call.x = random.normals(static_cast<std::size_t>(14 * dim));
    call.key_lengths = {7, 3};
    call.options.causal = dim % 2 == 0;
    call.options.average_weights = dim % 3 == 0;
    if (dim % 4 == 0) call.cache.push_back(test::make_cache(random, layer, {0, 5}, 20, DType::bf16));
    const test::LayerFloats got = test::run(attn::MultiHeadAttention(layer.config()), layer, call, true);
    ++calls;
    expect_written(got.output);
    expect_written(got.weights);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* expected = std::getenv("ATTN_EXPECT_ISA");
  for (std::size_t i = 0; expected && i < attn::isa_count(); ++i)
    if (std::strcmp(attn::isa(i).name, expected) == 0 && !attn::isa(i).runnable) return 77;  // "skipped" to ctest
  if (expected && (!attn::active_isa() || std::strcmp(attn::active_isa(), expected) != 0)) return 1;

  attn::ThreadPool pool(2);
  const attn::Parallel parallel = pool.parallel();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  options(nullptr);
  options(&parallel);
  mixtures(argc > 1 ? std::atoll(argv[1]) : 2000);
  own_workspace_and_shares();
  softmax();
  merge();
  for (const DType type : {DType::f32, DType::f16, DType::bf16})
    for (const KeyLayout layout : {KeyLayout::rows, KeyLayout::panels}) append(type, layout);
  layers();
  std::printf("%s: %lld calls\n", attn::active_isa(), static_cast<long long>(calls));
  return ok ? 0 : 1;
}
