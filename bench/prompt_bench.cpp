// options/<isa>/<shape>/shared_prompt: sequences behind one prompt, a token each, as tests/examples/shared_prefix.cpp
// does it: a call on the prompt, one on their own keys, a merge. In turn, each sequence reading all of its keys:
// counter plain_seconds.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attn/merge.hpp"
#include "bench.hpp"
#include "problem.hpp"
#include "shape.hpp"

namespace {

using attn::AttentionArgs;
using std::int64_t;

constexpr int64_t own_keys = 64;  // of each sequence; the others are the prompt
// Each head with keys of its own: bound by memory. And groups of four, where arithmetic takes as long.
constexpr const char* shapes[] = {"16,4,4,1,4160,128", "16,8,2,1,4160,128"};

// A prompt for all: every item gets the first keys and values of item 0.
void share_prompt(bench::Problem& p, int64_t prompt) {
  const bench::AttentionRow& row = p.row;
  const int64_t head = row.key_length * row.head_dim, item = row.kv_heads * head;
  for (std::vector<float>* x : {&p.k, &p.v})
    for (int64_t b = 1; b < row.batch; ++b)
      for (int64_t h = 0; h < row.kv_heads; ++h)
        std::copy_n(x->begin() + h * head, prompt * row.head_dim, x->begin() + b * item + h * head);
}

// Two parts [heads, sequences]: over the prompt, over the sequences' own keys.
struct Parts {
  explicit Parts(bench::Problem& p) : problem(p), row(p.row) {
    const int64_t queries = row.batch * row.query_heads, item = row.kv_heads * row.key_length;
    outputs.resize(2 * p.output.size());
    logsumexps.resize(static_cast<std::size_t>(2 * queries));
    for (int64_t b = 0; b <= row.batch; ++b) {
      starts.push_back(b);
      key_starts.push_back(b < row.batch ? b * item : key_starts.back() + own_keys);
    }
    lengths.assign(static_cast<std::size_t>(row.batch), own_keys);

    AttentionArgs prompt = part(0), own = part(1);
    prompt.batch = 1;
    prompt.query_length = row.batch;
    prompt.key_length = row.key_length - own_keys;
    own.query_length = 1;
    own.key_length = item;  // the most rows from one sequence's first to the next one's
    own.cu_query_lengths = starts.data();
    own.cu_key_lengths = key_starts.data();
    own.key_lengths = lengths.data();
    const int64_t first = (row.key_length - own_keys) * row.head_dim;
    own.key.data = p.k.data() + first;
    own.value.data = p.v.data() + first;
    calls.push_back(std::make_unique<bench::Call>(prompt, attn::Path::streaming, 1));
    calls.push_back(std::make_unique<bench::Call>(own, attn::Path::streaming, 1));
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  // The call with the queries of all sequences as rows of one.
  AttentionArgs part(int64_t i) {
    AttentionArgs a = problem.args;
    a.query = attn::bthd(problem.q.data(), row.query_heads, row.batch, row.head_dim);
    a.output = attn::bthd(outputs.data() + i * size(), row.query_heads, row.batch, row.head_dim);
    a.logsumexp = logsumexps.data() + i * row.batch * row.query_heads;
    return a;
  }
  int64_t size() const { return row.batch * row.query_heads * row.head_dim; }

  void operator()() {
    for (const std::unique_ptr<bench::Call>& call : calls) (*call)();
    attn::MergeArgs m;
    m.parts = 2;
    m.rows = row.batch;
    m.value_dim = row.head_dim;
    m.part_stride = size();
    m.row_stride = m.output_row_stride = row.query_heads * row.head_dim;
    m.logsumexp_part_stride = row.batch * row.query_heads;
    for (int64_t h = 0; h < row.query_heads; ++h) {
      m.outputs = outputs.data() + h * row.head_dim;
      m.logsumexps = logsumexps.data() + h * row.batch;
      m.output = problem.output.data() + h * row.head_dim;
      attn::throw_if_error(attn::merge(m));
    }
  }

  bench::Problem& problem;
  const bench::AttentionRow& row;
  std::vector<float> outputs, logsumexps;
  std::vector<int64_t> starts, key_starts, lengths;
  std::vector<std::unique_ptr<bench::Call>> calls;
};

bench::Work work_of(const bench::AttentionRow& row) {
  const auto problem = std::make_shared<bench::Problem>(row);
  share_prompt(*problem, row.key_length - own_keys);
  const auto parts = std::make_shared<Parts>(*problem);
  const auto plain = std::make_shared<bench::Call>(problem->args, attn::Path::streaming, 1);
  bench::Work work;
  work.error = [problem] { return problem->error(); };
  work.call = [problem, parts] { (*parts)(); };
  work.plain = [problem, plain] { (*plain)(); };
  work.shape = row.text();
  return work;
}

void add_all() {
  for (const std::string& isa : bench::runnable_isas())
    if (isa != "scalar")
      for (const char* shape : shapes)
        bench::add_in_turn(std::string("options/") + isa + "/" + shape + "/shared_prompt", isa, [shape] {
          bench::AttentionRow row;
          bench::set_shape(row, shape);
          return work_of(row);
        });
}

const bench::Registration registration("prompt", add_all);

}  // namespace
