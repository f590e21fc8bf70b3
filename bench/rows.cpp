#include "rows.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>

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

bool add(Rows& rows, const std::string& kind, std::istringstream& line) {
  std::string name;
  bool word = false;
  line >> name;
  if (kind == "attention") {
    AttentionRow row{name, 0, 0, 0, 0, 0, 0, false};
    if (!numbers(
            line, {&row.batch, &row.query_heads, &row.kv_heads, &row.query_length, &row.key_length, &row.head_dim},
            "causal", row.causal))
      return false;
    rows.attention.push_back(row);
    return true;
  }
  if (kind == "layer") {
    LayerRow row{name, 0, 0, 0, 0};
    if (!numbers(line, {&row.batch, &row.length, &row.embed_dim, &row.num_heads}, "", word)) return false;
    rows.layer.push_back(row);
    return true;
  }
  SoftmaxRow row{name, 0, 0};
  if (kind != "softmax" || !numbers(line, {&row.rows, &row.columns}, "solo", word)) return false;
  rows.softmax.push_back(row);
  return true;
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
    if (!(line >> kind) || kind[0] == '#' || add(rows, kind, line)) continue;
    std::fprintf(stderr, "error: not a row of %s: %s\n", path, text.c_str());
    std::exit(1);
  }
  return rows;
}

}  // namespace

const Rows& rows() {
  static const Rows all = read();
  return all;
}

const AttentionRow& attention_row(const std::string& name) {
  for (const AttentionRow& row : rows().attention)
    if (row.name == name) return row;
  std::fprintf(stderr, "error: %s has no attention row %s\n", path, name.c_str());
  std::exit(1);
}

}  // namespace bench
