// Two heads of a real sentence encoder (MiniLM, layer 0, heads 0 and 1) on two real sentences of 15 and 8
// tokens, the shorter one padded: example_minilm <folder of tests/data>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "attn/isa.hpp"
#include "attn/layers.hpp"
#include "support/data_file.hpp"

namespace {

int run(const std::string& data_folder) {
  const test::DataFile file = test::read_data_file(data_folder + "/minilm_layer0_heads01.txt");
  const std::vector<float> x = file.array("X").floats();
  const std::vector<float> w_q = file.array("W_q").floats(), b_q = file.array("b_q").floats();
  const std::vector<float> w_k = file.array("W_k").floats(), b_k = file.array("b_k").floats();
  const std::vector<float> w_v = file.array("W_v").floats(), b_v = file.array("b_v").floats();
  const std::vector<std::int64_t> key_lengths = file.array("key_lengths").integers();
  const std::vector<std::int64_t> shape = file.array("X").shape;  // [batch, length, embed_dim]

  attn::MultiHeadConfig config;
  config.embed_dim = shape[2];
  config.num_heads = file.integer("num_heads");
  config.head_dim = file.integer("head_dim");
  config.w_q = w_q.data();
  config.w_k = w_k.data();
  config.w_v = w_v.data();
  config.b_q = b_q.data();
  config.b_k = b_k.data();
  config.b_v = b_v.data();
  const attn::MultiHeadAttention attention(config);

  attn::ForwardOptions options;
  options.key_lengths = key_lengths.data();
  const attn::AttentionResult streamed = attention.forward(x.data(), shape[0], shape[1], options);
  options.need_weights = true;
  const attn::AttentionResult result = attention.forward(x.data(), shape[0], shape[1], options);

  const auto print_shape = [&](const char* name) {
    std::printf("%s: (", name);
    const std::vector<std::int64_t>& sizes = file.array(name).shape;
    for (std::size_t i = 0; i < sizes.size(); ++i) std::printf(i == 0 ? "%d" : ", %d", static_cast<int>(sizes[i]));
    std::printf(")\n");
  };
  print_shape("X");
  print_shape("output");
  print_shape("weights");
  // Every row is compared, those of padding tokens too: they are queries like any other, only not keys.
  const double errors[] = {
      test::largest_error(result.output, file.array("output")),
      test::largest_error(result.weights, file.array("weights")),
      test::largest_error(streamed.output, file.array("output"))};
  std::printf("instruction set: %s\n", attn::active_isa());
  std::printf("largest error with weights:    output %.2g, weights %.2g\n", errors[0], errors[1]);
  std::printf("largest error without weights: output %.2g\n", errors[2]);
  for (const double error : errors)
    if (!(error <= 1e-6)) return 1;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <folder of tests/data>\n", argv[0]);
    return 2;
  }
  try {
    return run(argv[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
