// A sentence encoder: BERT with mean pooling, as all-MiniLM-L6-v2. Attention and all products are attn's layers, on the
// threads of one attn::Parallel; what is between them is in rows.hpp. The same bits whatever the threads and the batch.
#pragma once

#include <cstdint>
#include <vector>

#include "attn/layers.hpp"
#include "examples/encoder/weights.hpp"

namespace encoder {

// Token ids of several sequences: padded to one length, or packed, which computes nothing for padding.
struct Batch {
  const std::int64_t* tokens = nullptr;  // [batch, length]; packed: [cu_lengths[batch]]
  std::int64_t batch = 0;
  std::int64_t length = 0;  // packed: not read
  const std::int64_t* lengths = nullptr;  // [batch]: tokens from there on are padding; null: none is
  const std::int64_t* cu_lengths =
      nullptr;  // [batch + 1]: not null: packed, sequence i is [cu_lengths[i], cu_lengths[i + 1])
};

class Encoder {
 public:
  // Throws std::invalid_argument if the sizes do not fit each other.
  explicit Encoder(Weights weights);

  // embeddings: [batch, width], of length 1 each; batch may be 0. One call at a time: it keeps its memory for the next
  // one. Throws std::invalid_argument that names the sequence if one is empty or longer than `positions`, or a token is
  // none.
  void embed(const Batch& batch, float* embeddings, const attn::Parallel* parallel = nullptr);

  [[nodiscard]] std::int64_t width() const { return weights_.width; }

 private:
  struct Layer {
    attn::MultiHeadAttention attention;
    attn::Linear up, down;
    NormWeights attention_norm, output_norm;
  };

  void run_layer(const Layer& layer, const Batch& batch, std::int64_t rows, const attn::Parallel* parallel);
  void finish_rows(const Layer& layer, std::int64_t begin, std::int64_t end, float* hidden);
  void finish_rows_together(const Layer& layer, std::int64_t rows, const attn::Parallel* parallel);

  Weights weights_;  // without those of the layers
  std::vector<Layer> layers_;
  // Of a call: a row for each token. x_: the layer's input, then its output; attended_, hidden_: between.
  std::vector<float> x_, attended_, hidden_;
};

}  // namespace encoder
