#include "rows.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <sstream>
#include <utility>

namespace bench {
namespace {

constexpr const char* path = ATTN_BENCH_ROWS;

// Takes the numbers that a row needs and the word that may follow. False if a number is missing, or anything is left.
bool numbers(std::istringstream& line, std::initializer_list<std::int64_t*> wanted, const char* word, bool& found) {
  for (std::int64_t* number : wanted)
    if (!(line >> *number) || *number < 1) return false;
  std::string rest;
  found = static_cast<bool>(line >> rest);
  return (!found || rest == word) && !(line >> rest);
}

// Returns what is wrong with the line, or "".
std::string add(Rows& rows, const std::string& kind, std::istringstream& line) {
  std::string name;
  bool word = false;
  line >> name;
  if (kind == "attention") {
    AttentionRow row;
    row.name = name;
    const std::vector<std::string> words{std::istream_iterator<std::string>(line), {}};
    std::string problem = set_shape(row, words);
    rows.attention.push_back(std::move(row));
    return problem;
  }
  if (kind == "layer") {
    LayerRow row{name, 0, 0, 0, 0};
    if (!numbers(line, {&row.batch, &row.length, &row.embed_dim, &row.num_heads}, "", word)) return "not a layer";
    rows.layer.push_back(row);
    return "";
  }
  SoftmaxRow row{name, 0, 0};
  if (kind != "softmax" || !numbers(line, {&row.rows, &row.columns}, "solo", word)) return "not a row";
  rows.softmax.push_back(row);
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
    std::string kind;
    if (!(line >> kind) || kind[0] == '#') continue;
    const std::string problem = add(rows, kind, line);
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
