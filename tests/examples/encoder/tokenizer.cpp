#include "examples/encoder/tokenizer.hpp"

#include <cctype>
#include <fstream>
#include <stdexcept>

namespace encoder {

Tokenizer::Tokenizer(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " cannot be read");
  std::int64_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    ids_.emplace(line, count);
  }
  for (const char* name : {"[UNK]", "[CLS]", "[SEP]"})
    if (id(name) < 0) throw std::runtime_error(path + " has no token " + name);
  unknown_ = id("[UNK]");
  first_ = id("[CLS]");
  last_ = id("[SEP]");
}

std::int64_t Tokenizer::id(const std::string& token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

void Tokenizer::append_pieces(const std::string& word, std::vector<std::int64_t>& tokens) const {
  constexpr std::size_t longest_word = 100;  // as in BERT
  const std::size_t before = tokens.size();
  for (std::size_t begin = 0; begin < word.size() && word.size() <= longest_word;) {
    std::size_t end = word.size();
    std::int64_t piece = -1;
    for (; end > begin && piece < 0; --end) piece = id((begin > 0 ? "##" : "") + word.substr(begin, end - begin));
    if (piece < 0) break;
    tokens.push_back(piece);
    begin = end + 1;
    if (begin == word.size()) return;
  }
  tokens.resize(before);
  if (!word.empty()) tokens.push_back(unknown_);
}

std::vector<std::int64_t> Tokenizer::tokens(const std::string& text) const {
  std::vector<std::int64_t> result{first_};
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 128) throw std::runtime_error("text beyond ASCII: give its token ids by --tokens");
    if (std::isalnum(byte) != 0) {
      word += static_cast<char>(std::tolower(byte));
      continue;
    }
    if (std::iscntrl(byte) != 0 && std::isspace(byte) == 0) continue;  // BERT drops them
    append_pieces(word, result);
    word.clear();
    if (std::ispunct(byte) != 0) append_pieces(std::string(1, c), result);
  }
  append_pieces(word, result);
  result.push_back(last_);
  return result;
}

}  // namespace encoder
