#include "examples/encoder/self_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "examples/encoder/encoder.hpp"
#include "examples/encoder/reference.hpp"
#include "examples/encoder/rows.hpp"
#include "examples/encoder/safetensors.hpp"
#include "examples/encoder/tokenizer.hpp"

namespace encoder {
namespace {

bool expect(bool right, const std::string& what) {
  if (!right) std::printf("WRONG: %s\n", what.c_str());
  return right;
}

// ---- A model file of random weights ----

// Tensors of the file, which grow one by one.
class ModelFile {
 public:
  void add(const std::string& name, const std::vector<std::int64_t>& shape, float mean, float deviation) {
    std::int64_t count = 1;
    std::string sizes;
    for (const std::int64_t n : shape) {
      count *= n;
      sizes += (sizes.empty() ? "" : ",") + std::to_string(n);
    }
    std::normal_distribution<float> normal(mean, deviation);
    header_ += (header_.empty() ? "{\"__metadata__\":{\"format\":\"pt\"}," : ",") + ("\"" + name) +
        "\":{\"dtype\":\"F32\",\"shape\":[" + sizes + "],\"data_offsets\":[" + std::to_string(4 * data_.size());
    for (std::int64_t i = 0; i < count; ++i) data_.push_back(normal(generator_));
    header_ += "," + std::to_string(4 * data_.size()) + "]}";
  }
  void add_linear(const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", {out, in}, 0, 1.5f / std::sqrt(static_cast<float>(in)));
    add(name + ".bias", {out}, 0, 0.3f);
  }
  void add_norm(const std::string& name, std::int64_t width) {
    add(name + ".weight", {width}, 1, 0.2f);
    add(name + ".bias", {width}, 0, 0.2f);
  }
  [[nodiscard]] std::string header() const { return header_ + "} "; }
  [[nodiscard]] std::string data() const {
    return {reinterpret_cast<const char*>(data_.data()), data_.size() * sizeof(float)};
  }

 private:
  std::mt19937 generator_{11};
  std::string header_;
  std::vector<float> data_;
};

ModelFile tiny_model() {
  constexpr std::int64_t width = 44, hidden = 75, vocabulary = 50, positions = 100;
  ModelFile file;
  file.add("embeddings.word_embeddings.weight", {vocabulary, width}, 0, 1);
  file.add("embeddings.position_embeddings.weight", {positions, width}, 0, 0.5f);
  file.add("embeddings.token_type_embeddings.weight", {2, width}, 0, 0.5f);
  file.add_norm("embeddings.LayerNorm", width);
  for (const std::string layer : {"encoder.layer.0.", "encoder.layer.1."}) {
    for (const char* name : {"self.query", "self.key", "self.value", "output.dense"})
      file.add_linear(layer + "attention." + name, width, width);
    file.add_norm(layer + "attention.output.LayerNorm", width);
    file.add_linear(layer + "intermediate.dense", hidden, width);
    file.add_linear(layer + "output.dense", width, hidden);
    file.add_norm(layer + "output.LayerNorm", width);
  }
  return file;
}

void write(const std::string& path, const std::string& header, const std::string& data) {
  std::ofstream file(path, std::ios::binary);
  for (int i = 0; i < 8; ++i) file.put(static_cast<char>(header.size() >> (8 * i) & 255));
  file << header << data;
}

// ---- What is checked ----

// Files that are not as they should be, and a word of what is said of each.
bool check_refusals(const std::string& path) {
  const std::string four = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const struct {
    std::string header, data, word;
  } files[] = {
      {"[]", "", "no '{'"},
      {four, "1234", "no '}'"},
      {four + "} x", "1234", "more than one"},
      {four + R"(,"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}})", "12345678", "second tensor a"},
      {four + R"(,"b":{"dtype":"F32","dtype":"F32","data_offsets":[4,8]}})", "12345678", "second dtype"},
      {four + R"(,"b":{"dtype":"F32","data_offsets":[4,8]}})", "12345678", "tensor b lacks"},
      {four + R"(,"b":{"dtype":"F32","shape":[-1],"data_offsets":[4,8]}})", "12345678", "not a whole number"},
      {four + R"(,"b":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[4,8]}})", "12345678", "too large"},
      {four + R"(,"b":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[4,8]}})", "12345678",
       "b is too large"},
      {four + R"(,"b":{"dtype":"F33","shape":[1],"data_offsets":[4,8]}})", "12345678", "unknown dtype F33"},
      {four + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,8]}})", "12345678", "needs 8 bytes"},
      {four + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234", "not at 4"},
      {four + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})", "123456789012", "not at 4"},
      {four + "}", "12345", "the file has 5"},
      {four + "}", "123", "the file has 3"},
      {R"({"a)", "", "without end"}};
  bool right = true;
  for (const auto& file : files) {
    write(path, file.header, file.data);
    std::string said = "nothing";
    try {
      SafeTensors tensors(path);
    } catch (const std::exception& error) {
      said = error.what();
    }
    right &= expect(said.find(file.word) != std::string::npos, file.header + ": " + said + ", not " + file.word);
  }
  return right;
}

bool check_tokenizer(const std::string& path) {
  std::ofstream(path) << "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n##ly\n,\n##lyx\n";
  const Tokenizer tokenizer(path);
  const std::vector<std::int64_t> want{2, 4, 7, 5, 6, 5, 8, 1, 7, 3};
  return expect(tokenizer.tokens(" Hello, WORLDLY\tworldlyx worldlyz,") == want, "tokens");
}

bool check_gelu() {
  double largest = 0;
  for (int i = -150000; i <= 150000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    const double want = 0.5 * static_cast<double>(x) * std::erfc(-static_cast<double>(x) / std::sqrt(2.0));
    float got = x;
    gelu(&got, 1);
    const double error = std::fabs(static_cast<double>(got) - want) / std::max(std::fabs(want), 0.1);
    largest = std::isnan(error) ? HUGE_VAL : std::max(largest, error);
  }
  float nan = std::nanf("");
  gelu(&nan, 1);
  std::printf("gelu: largest error %.2g\n", largest);
  return expect(largest <= 4e-7, "gelu") && expect(std::isnan(nan), "gelu of NaN");
}

struct Sequences {
  std::vector<std::int64_t> lengths, tokens, cu_lengths{0};

  explicit Sequences(std::vector<std::int64_t> of_lengths) : lengths(std::move(of_lengths)) {
    std::mt19937 generator(5);
    for (const std::int64_t n : lengths) {
      for (std::int64_t t = 0; t < n; ++t) tokens.push_back(static_cast<std::int64_t>(generator() % 50));
      cu_lengths.push_back(cu_lengths.back() + n);
    }
  }
  [[nodiscard]] Batch packed() const {
    return {tokens.data(), static_cast<std::int64_t>(lengths.size()), 0, nullptr, cu_lengths.data()};
  }
};

// Packed and padded, on one thread and on two: the same bits, near the plain loops.
bool check_batch(const Weights& weights, Encoder& encoder, const Sequences& all) {
  const auto batch = static_cast<std::int64_t>(all.lengths.size());
  const std::int64_t length =
      std::min(*std::max_element(all.lengths.begin(), all.lengths.end()) + 2, weights.positions);
  std::vector<std::int64_t> padded(static_cast<std::size_t>(batch * length), 1 << 30);  // no token, and never read
  std::vector<double> want;
  for (std::size_t b = 0; b < all.lengths.size(); ++b) {
    const auto begin = all.tokens.begin() + all.cu_lengths[b], end = all.tokens.begin() + all.cu_lengths[b + 1];
    std::copy(begin, end, padded.begin() + static_cast<std::int64_t>(b) * length);
    const std::vector<double> row = plain_embedding(weights, {begin, end});
    want.insert(want.end(), row.begin(), row.end());
  }
  attn::ThreadPool pool(2);
  const attn::Parallel two = pool.parallel();
  std::vector<std::vector<float>> results;
  for (const Batch& form : {all.packed(), Batch{padded.data(), batch, length, all.lengths.data(), nullptr}})
    for (const attn::Parallel* parallel : {static_cast<const attn::Parallel*>(nullptr), &two}) {
      results.emplace_back(want.size(), std::nanf(""));
      encoder.embed(form, results.back().data(), parallel);
    }
  double error = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double difference = std::fabs(static_cast<double>(results[0][i]) - want[i]);
    if (!(difference <= error)) error = difference;
  }
  std::printf(
      "%d sequences, %d tokens: largest error %.2g\n", static_cast<int>(batch), static_cast<int>(all.tokens.size()),
      error);
  bool right = expect(error <= 2e-7, "error");
  for (const std::vector<float>& result : results)
    right &= expect(
        std::memcmp(result.data(), results[0].data(), result.size() * sizeof(float)) == 0,
        "packed and padded, one and two threads: not the same bits");
  return right;
}

bool check_bad_batches(Encoder& encoder) {
  const std::vector<std::int64_t> bad_token{3, 50}, lengths[] = {{2, 0, 3}, {101}};
  std::vector<float> embeddings(static_cast<std::size_t>(3 * encoder.width()), 7.0f);
  std::vector<Batch> batches{{bad_token.data(), 1, 2, nullptr, nullptr}};
  const Sequences empty(lengths[0]), large(lengths[1]);
  batches.push_back(empty.packed());
  batches.push_back(large.packed());
  const char* words[] = {"sequence 0 has the token 50", "sequence 1 has 0 tokens", "sequence 0 has 101 tokens"};
  encoder.embed(Sequences({}).packed(), embeddings.data());  // no sequence: nothing happens
  bool right = true;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    std::string said = "nothing";
    try {
      encoder.embed(batches[i], embeddings.data());
    } catch (const std::invalid_argument& error) {
      said = error.what();
    }
    right &= expect(said.find(words[i]) == 0 && embeddings[0] == 7.0f, said + ", not " + words[i]);
  }
  return right;
}

}  // namespace

bool self_check() {
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  const std::string path = (folder / ("attn_encoder_" + std::to_string(std::random_device{}()))).string();
  bool right = check_refusals(path);
  right &= check_tokenizer(path);
  right &= check_gelu();
  const ModelFile model = tiny_model();
  write(path, model.header(), model.data());
  SafeTensors file(path);
  const Weights weights = read_weights(file, 4);
  std::filesystem::remove(path);
  right &= expect(weights.layers.size() == 2, "layers read");
  Encoder encoder(weights);
  right &= check_batch(weights, encoder, Sequences({5, 1, 33, 17}));  // few rows: threads share each product
  right &= check_batch(weights, encoder, Sequences({90, 64, 11, 100}));  // many rows: each thread has some
  right &= check_bad_batches(encoder);
  return right;
}

}  // namespace encoder
