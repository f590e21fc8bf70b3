// The weights of a BERT encoder.
#pragma once

#include <cstdint>
#include <vector>

#include "examples/encoder/safetensors.hpp"

namespace encoder {

// y = x W^T + b, as torch.nn.Linear.
struct LinearWeights {
  std::vector<float> w;  // [out, in]
  std::vector<float> b;  // [out]
};

struct NormWeights {
  std::vector<float> gain, shift;  // [width]
};

struct LayerWeights {
  LinearWeights query, key, value, attention_output;  // [width, width]
  NormWeights attention_norm;
  LinearWeights up, down;  // [hidden, width], [width, hidden]
  NormWeights output_norm;
};

struct Weights {
  std::int64_t width = 0, heads = 0, hidden = 0, vocabulary = 0, positions = 0;
  double epsilon = 1e-12;  // of the norms
  std::vector<float> words;  // [vocabulary, width]
  std::vector<float> places;  // [positions, width]
  std::vector<float> type;  // [width]: of a first (here: the only) sentence
  NormWeights norm;
  std::vector<LayerWeights> layers;
};

// Those of a BertModel of transformers. Sizes are those of its tensors. heads 0: 32 wide, as those of MiniLM; the file
// does not say. Throws std::runtime_error that names the tensor which is missing or of another shape.
Weights read_weights(SafeTensors& file, std::int64_t heads);

}  // namespace encoder
