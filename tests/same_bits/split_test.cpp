// P1 in any mixture of options: an item of the batch, or a sequence of a packed one, has the same bits when it is
// computed alone, all its rows at once or a few, and whatever else is asked for.
#include <algorithm>
#include <string>
#include <vector>

#include "call/addresses.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::AttentionArgs;
using std::int64_t;

// Item b of a batch: where its rows stand, and how many there are.
struct Item {
  Item(const AttentionArgs& a, int64_t b) : b(b), tensor_item(a.cu_query_lengths ? 0 : b) {
    queries = a.query_length;
    keys = a.key_length;
    if (!a.cu_query_lengths) return;
    first_query = a.cu_query_lengths[b];
    queries = a.cu_query_lengths[b + 1] - first_query;
    first_key = a.cu_key_lengths[b];
    keys = a.cu_key_lengths[b + 1] - first_key;
  }
  int64_t b, tensor_item, first_query = 0, queries, first_key = 0, keys;
};

void move(const AttentionArgs& a, attn::Tensor& x, int64_t item, int64_t row) {
  const int64_t elements = (a.batch > 1 ? item * x.batch_stride : 0) + row * x.row_stride;
  x.data = static_cast<const char*>(x.data) + attn::bytes_of(x.dtype, elements);
}
void move(const AttentionArgs& a, attn::Scales& x, int64_t item, int64_t row) {
  if (x.data) x.data += (a.batch > 1 ? item * x.batch_stride : 0) + row * x.row_stride;
}

// A call for rows [t, t + rows) of one item, with dense results of its own.
struct Part {
  enum class Wanted { output, all };
  Part(const AttentionArgs& whole, const Item& item, int64_t t, int64_t rows, Wanted wanted) : a(whole) {
    a.batch = 1;
    a.query_length = rows;
    a.key_length = item.keys;
    a.cu_query_lengths = a.cu_key_lengths = nullptr;
    move(whole, a.query, item.tensor_item, item.first_query + t);
    const bool panels = a.key_layout == attn::KeyLayout::panels;
    if (a.page_table) {
      a.page_table += item.b * a.page_table_stride;
    } else if (item.keys > 0) {
      move(whole, a.key, item.tensor_item, panels ? item.first_key / 16 : item.first_key);
      move(whole, a.value, item.tensor_item, item.first_key);
      move(whole, a.key_scales, item.tensor_item, item.first_key);
      move(whole, a.value_scales, item.tensor_item, item.first_key);
    }
    // The stride of a dimension of size 1 is never used.
    const auto place = [&](const auto& x) {
      return (whole.batch > 1 ? item.b * x.batch_stride : 0) + (whole.query_length > 1 ? t * x.row_stride : 0);
    };
    if (a.mask.data) a.mask.data += place(a.mask);
    if (a.bias.data)
      a.bias.data = static_cast<const char*>(a.bias.data) + place(a.bias) * (a.bias.dtype == attn::DType::f32 ? 4 : 2);
    if (a.key_lengths) a.key_lengths += item.b;
    offset = t +
        (whole.alignment == attn::Alignment::top_left ? 0
             : whole.query_offsets                    ? whole.query_offsets[item.b]
             : a.key_lengths                          ? *a.key_lengths - item.queries
                                                      : item.keys - item.queries);
    a.alignment = attn::Alignment::given;
    a.query_offsets = &offset;

    output.assign(a.query_heads * rows * a.value_dim, test::canary);
    a.output = attn::bhtd(output.data(), a.query_heads, rows, a.value_dim);
    a.output.dtype = whole.output.dtype;
    a.weights = a.scores = {};
    a.logsumexp = a.key_weight_sums = nullptr;
    if (wanted == Wanted::output) return;
    log_sum_exp.assign(a.query_heads * rows, test::canary);
    a.logsumexp = log_sum_exp.data();
    weights.assign(a.query_heads * rows * a.key_length, test::canary);
    a.weights = attn::bhtd(weights.data(), a.query_heads, rows, a.key_length);
    a.weights.dtype = whole.weights.dtype;
    scores = weights;
    if (whole.scores.data) a.scores = attn::bhtd(scores.data(), a.query_heads, rows, a.key_length);
    a.scores.dtype = whole.scores.dtype;
    sums.assign(a.query_heads * a.key_length, test::canary);
    a.key_weight_sums = sums.data();
  }
  Part(const Part&) = delete;

  AttentionArgs a;
  int64_t offset;
  std::vector<float> output, log_sum_exp, weights, scores, sums;
};

// The results of the whole call.
struct Whole {
  explicit Whole(test::RandomProblem& p) : a(p.args()), problem(*p.problem) {
    const bool packed = a.cu_query_lengths != nullptr;
    queries = packed ? a.cu_query_lengths[a.batch] : a.query_length;
    keys = packed ? a.cu_key_lengths[a.batch] : a.key_length;
    output = test::gather(a.output, packed ? 1 : a.batch, a.query_heads, queries, a.value_dim);
    if (a.weights.data) weights = test::gather(a.weights, test::result_dims(a, a.key_length));
    if (a.scores.data) scores = test::gather(a.scores, test::result_dims(a, a.key_length));
  }

  // Rows [first, first + count) of every head of the item, of an array [items, heads, length, columns].
  std::vector<float> slice(
      const std::vector<float>& x, const Item& item, int64_t length, int64_t first, int64_t count,
      int64_t columns) const {
    return slice(x, item, length, first, count, columns, columns);
  }
  // Of each row its first `wanted` columns.
  std::vector<float> slice(
      const std::vector<float>& x, const Item& item, int64_t length, int64_t first, int64_t count, int64_t columns,
      int64_t wanted) const {
    std::vector<float> part;
    for (int64_t h = 0; h < a.query_heads; ++h)
      for (int64_t r = first; r < first + count; ++r) {
        const auto row = x.begin() + ((item.tensor_item * a.query_heads + h) * length + r) * columns;
        part.insert(part.end(), row, row + wanted);
      }
    return part;
  }

  // Computes rows [t, t + rows) alone: "" if they are as they were.
  std::string compare(const Item& item, int64_t t, int64_t rows, Part::Wanted wanted) const {
    Part part(a, item, t, rows, wanted);
    if (const attn::Status s = attn::attention(part.a); !s.ok()) return s.message();
    const std::vector<float> got = test::gather(part.a.output, 1, a.query_heads, rows, a.value_dim);
    const auto differs = [&](const char* what, const std::vector<float>& now, const std::vector<float>& was) {
      const std::string d = test::bits_difference(now, was);
      return d.empty() ? d
                       : what + (" of rows " + std::to_string(t)) + " on, item " + std::to_string(item.b) + ": " + d;
    };
    const int64_t first = item.first_query + t;
    std::string d = differs("output", got, slice(output, item, queries, first, rows, a.value_dim));
    if (wanted == Part::Wanted::output) return d;
    if (d.empty() && a.logsumexp)
      d = differs("logsumexp", part.log_sum_exp, slice(problem.logsumexp, item, queries, first, rows, 1));
    const auto matrix = [&](const attn::Output& x) { return test::gather(x, 1, a.query_heads, rows, item.keys); };
    if (d.empty() && a.weights.data)
      d = differs(
          "weights", matrix(part.a.weights), slice(weights, item, queries, first, rows, a.key_length, item.keys));
    if (d.empty() && a.scores.data)
      d = differs("scores", matrix(part.a.scores), slice(scores, item, queries, first, rows, a.key_length, item.keys));
    if (d.empty() && a.key_weight_sums && rows == item.queries)
      d = differs("sums", part.sums, slice(problem.key_weight_sums, item, keys, item.first_key, item.keys, 1));
    return d;
  }

  const AttentionArgs& a;
  const test::Problem& problem;
  int64_t queries, keys;
  std::vector<float> output, weights, scores;
};

}  // namespace

TEST_CASE("split: items, sequences and rows alone have the same bits", "[same_bits][mixtures][bits]") {
  for (int round = 0; round < test::rounds(2000); ++round) {
    test::Random random(static_cast<std::uint64_t>(15000 + round));
    test::RandomProblem p(random, attn::Path::streaming, round % 20 == 0);
    if (round % 2 == 1) p.vary_bias(random);
    if (round % 4 >= 2)
      p.weigh_in_bf16();
    else if (round % 3 == 2)
      p.quantise(random);
    if (round % 5 < 2 && p.args().key.dtype != attn::DType::q8_0) p.lay_in_panels(random);
    if (round % 3 == 0 || round % 7 == 1) p.lay_in_pages(random);
    INFO("round " << round << ": " << test::describe(p.args()));
    REQUIRE(!p.results().empty());
    const Whole whole(p);
    for (int64_t b = 0; b < p.args().batch; ++b) {
      const Item item(p.args(), b);
      if (item.queries == 0) continue;
      REQUIRE(whole.compare(item, 0, item.queries, Part::Wanted::all) == "");
      REQUIRE(whole.compare(item, 0, item.queries, Part::Wanted::output) == "");
      // The first and last row, as in decoding; and a cut anywhere.
      REQUIRE(whole.compare(item, 0, 1, Part::Wanted::all) == "");
      REQUIRE(whole.compare(item, item.queries - 1, 1, Part::Wanted::output) == "");
      const int64_t cut = random.integer(0, item.queries - 1);
      if (cut > 0) REQUIRE(whole.compare(item, 0, cut, Part::Wanted::output) == "");
      REQUIRE(whole.compare(item, cut, item.queries - cut, Part::Wanted::all) == "");
    }
  }
}
