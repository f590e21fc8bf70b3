#include "examples/encoder/weights.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>

namespace encoder {
namespace {

std::int64_t size_of(const SafeTensors& file, const std::string& name, std::size_t axis) {
  const TensorInfo& tensor = file.info(name);
  if (tensor.shape.size() <= axis || tensor.shape[axis] == 0)
    throw std::runtime_error("tensor " + name + " has no axis " + std::to_string(axis) + ", or it is empty");
  return tensor.shape[axis];
}

LinearWeights read_linear(SafeTensors& file, const std::string& name, std::int64_t out, std::int64_t in) {
  return {file.floats(name + ".weight", {out, in}), file.floats(name + ".bias", {out})};
}

NormWeights read_norm(SafeTensors& file, const std::string& name, std::int64_t width) {
  return {file.floats(name + ".weight", {width}), file.floats(name + ".bias", {width})};
}

LayerWeights read_layer(SafeTensors& file, const std::string& name, std::int64_t width, std::int64_t hidden) {
  LayerWeights layer;
  layer.query = read_linear(file, name + "attention.self.query", width, width);
  layer.key = read_linear(file, name + "attention.self.key", width, width);
  layer.value = read_linear(file, name + "attention.self.value", width, width);
  layer.attention_output = read_linear(file, name + "attention.output.dense", width, width);
  layer.attention_norm = read_norm(file, name + "attention.output.LayerNorm", width);
  layer.up = read_linear(file, name + "intermediate.dense", hidden, width);
  layer.down = read_linear(file, name + "output.dense", width, hidden);
  layer.output_norm = read_norm(file, name + "output.LayerNorm", width);
  return layer;
}

}  // namespace

Weights read_weights(SafeTensors& file, std::int64_t heads) {
  Weights weights;
  const std::string words = "embeddings.word_embeddings.weight", places = "embeddings.position_embeddings.weight";
  const std::string types = "embeddings.token_type_embeddings.weight";
  weights.vocabulary = size_of(file, words, 0);
  weights.width = size_of(file, words, 1);
  weights.positions = size_of(file, places, 0);
  weights.hidden = size_of(file, "encoder.layer.0.intermediate.dense.weight", 0);
  weights.heads = heads == 0 ? weights.width / 32 : heads;
  weights.words = file.floats(words, {weights.vocabulary, weights.width});
  weights.places = file.floats(places, {weights.positions, weights.width});
  weights.type = file.floats(types, {size_of(file, types, 0), weights.width});
  weights.type.resize(static_cast<std::size_t>(weights.width));
  weights.norm = read_norm(file, "embeddings.LayerNorm", weights.width);
  for (;;) {
    const std::string name = "encoder.layer." + std::to_string(weights.layers.size()) + ".";
    if (!file.has(name + "attention.self.query.weight")) return weights;
    weights.layers.push_back(read_layer(file, name, weights.width, weights.hidden));
  }
}

}  // namespace encoder
