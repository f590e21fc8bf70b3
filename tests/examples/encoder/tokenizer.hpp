// WordPiece, as BERT's uncased models have it, for text in ASCII.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace encoder {

class Tokenizer {
 public:
  // vocab.txt: token i stands in line i. Throws std::runtime_error that names the file, or the token that it lacks.
  explicit Tokenizer(const std::string& path);

  // [CLS] text [SEP]: lower case; words end at spaces and at punctuation, which stands alone; each word is cut into the
  // longest pieces that there are, or is [UNK]. Throws std::runtime_error at a byte beyond ASCII: stripping accents
  // takes tables of Unicode, which this program does not have.
  [[nodiscard]] std::vector<std::int64_t> tokens(const std::string& text) const;

 private:
  [[nodiscard]] std::int64_t id(const std::string& token) const;  // -1: there is none
  void append_pieces(const std::string& word, std::vector<std::int64_t>& tokens) const;

  std::unordered_map<std::string, std::int64_t> ids_;
  std::int64_t unknown_, first_, last_;
};

}  // namespace encoder
