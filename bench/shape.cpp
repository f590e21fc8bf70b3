#include "shape.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace bench {
namespace {

constexpr std::int64_t most = 1 << 20;  // of one number
constexpr std::int64_t most_elements = 1 << 30;  // of one tensor

// False unless all of the word is a number in [1, most].
bool number(const std::string& word, std::int64_t& result) {
  const char* const end = word.data() + word.size();
  const auto parsed = std::from_chars(word.data(), end, result);
  return parsed.ec == std::errc() && parsed.ptr == end && result >= 1 && result <= most;
}

const struct {
  const char* word;
  attn::DType type;
} caches[] = {
    {"f16", attn::DType::f16}, {"bf16", attn::DType::bf16}, {"i8", attn::DType::i8}, {"q8_0", attn::DType::q8_0}};

bool set_word(AttentionRow& row, const std::string& word) {
  const attn::DType before = row.cache;
  if (word == "causal" && !row.causal) {
    row.causal = true;
    return true;
  }
  if (word == "bf16_queries" && row.query == attn::DType::f32) {
    row.query = attn::DType::bf16;
    return true;
  }
  if (word == "bf16_weights" && !row.bf16_weights) {
    row.bf16_weights = true;
    return true;
  }
  for (const auto& cache : caches)
    if (word == cache.word) row.cache = cache.type;
  return before == attn::DType::f32 && row.cache != before;
}

bool too_large(std::int64_t batch, std::int64_t heads, std::int64_t length, std::int64_t dim) {
  return static_cast<double>(batch) * static_cast<double>(heads) * static_cast<double>(length * dim) >
      static_cast<double>(most_elements);
}

std::string check(const AttentionRow& row) {
  const auto two = [](std::int64_t a, std::int64_t b) { return std::to_string(a) + " and " + std::to_string(b); };
  if (row.query_heads % row.kv_heads != 0)
    return "query heads must be a multiple of KV heads, not " + two(row.query_heads, row.kv_heads);
  if (row.causal && row.query_length != row.key_length)  // with others, systems differ in what causal means
    return "causal needs as many queries as keys, not " + two(row.query_length, row.key_length);
  if (row.bf16_weights && row.cache != attn::DType::bf16) return "bf16_weights needs a cache of bf16";
  if (row.cache == attn::DType::q8_0 && row.head_dim % 32 != 0)
    return "q8_0 needs a head_dim that is a multiple of 32, not " + std::to_string(row.head_dim);
  if (too_large(row.batch, row.query_heads, row.query_length, row.head_dim) ||
      too_large(row.batch, row.kv_heads, row.key_length, row.head_dim) ||
      too_large(row.batch, row.query_heads, 1, row.key_length))
    return "a tensor would have more than 2^30 elements";
  return "";
}

}  // namespace

std::string AttentionRow::text() const {
  std::string result = std::to_string(batch);
  for (const std::int64_t number : {query_heads, kv_heads, query_length, key_length, head_dim})
    result += "," + std::to_string(number);
  if (causal) result += ",causal";
  for (const auto& c : caches)
    if (cache == c.type) result += std::string(",") + c.word;
  if (query == attn::DType::bf16) result += ",bf16_queries";
  if (bf16_weights) result += ",bf16_weights";
  return result;
}

double AttentionRow::cached_row() const {
  const double columns = static_cast<double>(head_dim);
  switch (cache) {
    case attn::DType::f32:
      return 4 * columns;
    case attn::DType::f16:
    case attn::DType::bf16:
      return 2 * columns;
    case attn::DType::i8:
      return columns + 4;
    case attn::DType::q8_0:
      return columns / 32 * static_cast<double>(sizeof(attn::q8_0));
  }
  return 0;
}

std::string set_shape(AttentionRow& row, const std::vector<std::string>& words) {
  const struct {
    const char* name;
    std::int64_t* value;
  } numbers[] = {{"batch", &row.batch},          {"query heads", &row.query_heads}, {"KV heads", &row.kv_heads},
                 {"queries", &row.query_length}, {"keys", &row.key_length},         {"head_dim", &row.head_dim}};
  std::size_t next = 0;
  for (const auto& [name, value] : numbers) {
    if (next == words.size()) return std::string(name) + " is missing";
    if (!number(words[next], *value))
      return std::string(name) + " is \"" + words[next] + "\", not a number from 1 to " + std::to_string(most);
    ++next;
  }
  for (; next < words.size(); ++next)
    if (!set_word(row, words[next])) return "\"" + words[next] + "\" is no word of a shape, or stands there twice";
  return check(row);
}

std::string set_shape(AttentionRow& row, const std::string& text) {
  row.name = text;
  std::vector<std::string> words;
  std::istringstream stream(text + ",");
  for (std::string word; std::getline(stream, word, ',');) words.push_back(word);
  return set_shape(row, words);
}

}  // namespace bench
