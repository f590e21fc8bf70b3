#include "rows.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <sstream>
#include <utility>

#include "bench.hpp"

namespace bench {
namespace {

constexpr const char* path = ATTN_BENCH_ROWS;

using Words = std::vector<std::string>;

// False unless the words are these numbers.
bool numbers(const Words& words, std::initializer_list<std::int64_t*> wanted) {
  if (words.size() != wanted.size()) return false;
  const std::string* word = words.data();
  for (std::int64_t* number : wanted) {
    std::istringstream stream(*word++);
    if (!(stream >> *number) || *number < 1 || !stream.eof()) return false;
  }
  return true;
}

// Takes the word away if it is the last one.
bool ends_in(Words& words, const char* word) {
  if (words.empty() || words.back() != word) return false;
  words.pop_back();
  return true;
}

// Adds a row, unless it is one that only --long measures. Returns what is wrong with the line, or "".
std::string add(Rows& rows, const std::string& kind, const std::string& name, Words words) {
  const bool left_out = ends_in(words, "long") && !settings().long_rows;
  if (kind == "attention") {
    AttentionRow row;
    row.name = name;
    const std::string problem = set_shape(row, words);
    if (!left_out) rows.attention.push_back(row);
    return problem;
  }
  if (kind == "layer") {
    LayerRow row{name, 0, 0, 0, 0};
    if (!numbers(words, {&row.batch, &row.length, &row.embed_dim, &row.num_heads})) return "not a layer";
    if (!left_out) rows.layer.push_back(row);
    return "";
  }
  SoftmaxRow row{name, 0, 0};
  ends_in(words, "solo");
  if (kind != "softmax" || !numbers(words, {&row.rows, &row.columns})) return "not a row";
  if (!left_out) rows.softmax.push_back(row);
  return "";
}

Rows read() {
  Rows rows;
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "error: cannot read %s\n", path);
    std::exit(1);
  }
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string kind, name;
    if (!(line >> kind) || kind[0] == '#') continue;
    line >> name;
    const std::string problem = add(rows, kind, name, {std::istream_iterator<std::string>(line), {}});
    if (problem.empty()) continue;
    std::fprintf(stderr, "error: %s: %s: %s\n", path, text.c_str(), problem.c_str());
    std::exit(1);
  }
  return rows;
}

std::vector<AttentionRow>& only_shapes() {
  static std::vector<AttentionRow> shapes;
  return shapes;
}

}  // namespace

void measure_only(std::vector<AttentionRow> shapes) { only_shapes() = std::move(shapes); }

const Rows& rows() {
  static const Rows all = only_shapes().empty() ? read() : Rows{only_shapes(), {}, {}};
  return all;
}

const AttentionRow& attention_row(const std::string& name) {
  for (const AttentionRow& row : rows().attention)
    if (row.name == name) return row;
  std::fprintf(stderr, "error: %s has no attention row %s\n", path, name.c_str());
  std::exit(1);
}

}  // namespace bench
