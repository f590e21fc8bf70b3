// The project's seed, line by line: four tokens of eight dimensions through single-head self-attention.
//
//   np.random.seed(42)
//   X = np.random.randn(4, 8)
//   attention = SelfAttention(embed_dim=8, head_dim=8)     # W_q, W_k, W_v = 0.1 * np.random.randn(8, 8)
//   output, weights = attention.forward(X)
//
// example_seed <folder of tests/data> also compares with what NumPy gave.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "../../src/layers/numpy_random.hpp"  // NumPy's generator; not part of the public interface
#include "attn/layers.hpp"
#include "support/data_file.hpp"

namespace {

// As NumPy prints a float32: the fewest decimals that give the same float back, at most eight.
std::string shortest(float x) {
  char text[64];
  for (int decimals = 1; decimals <= 8; ++decimals) {
    std::snprintf(text, sizeof text, "%.*f", decimals, static_cast<double>(x));
    if (std::strtof(text, nullptr) == x) break;
  }
  std::string result = text;
  result.erase(result.find_last_not_of('0') + 1);
  return result;
}

// [[a b ...]
//  [c d ...]] with the decimal points of all rows below each other.
void print(const char* title, const std::vector<float>& matrix, std::size_t columns) {
  std::size_t before = 0, after = 0;
  for (const float x : matrix) {
    const std::string text = shortest(x);
    before = std::max(before, text.find('.'));
    after = std::max(after, text.size() - text.find('.'));
  }
  std::printf("%s:\n", title);
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    const std::string text = shortest(matrix[i]);
    const std::size_t point = text.find('.');
    std::printf(
        "%s%*s%-*s",
        i == 0                 ? "[["
            : i % columns == 0 ? " ["
                               : " ",
        static_cast<int>(before), text.substr(0, point).c_str(), static_cast<int>(after), text.substr(point).c_str());
    if (i % columns == columns - 1) std::printf("%s\n", i + 1 == matrix.size() ? "]]" : "]");
  }
}

std::vector<float> randn(attn::RandomState& random, std::size_t count, double factor) {
  std::vector<float> draws(count);
  for (float& x : draws) x = static_cast<float>(factor * random.randn());
  return draws;
}

int run(const char* data_folder) {
  constexpr std::int64_t tokens = 4, embed_dim = 8, head_dim = 8;

  attn::RandomState random(42);
  const std::vector<float> x = randn(random, tokens * embed_dim, 1);
  const std::vector<float> w_q = randn(random, embed_dim * head_dim, 0.1);
  const std::vector<float> w_k = randn(random, embed_dim * head_dim, 0.1);
  const std::vector<float> w_v = randn(random, embed_dim * head_dim, 0.1);

  const attn::SelfAttention attention(embed_dim, head_dim, w_q.data(), w_k.data(), w_v.data());
  const attn::AttentionResult result = attention.forward(x.data(), tokens);

  std::printf(
      "Input shape: (%d, %d)\nOutput shape: (%d, %d)\nAttention weights shape: (%d, %d)\n\n", static_cast<int>(tokens),
      static_cast<int>(embed_dim), static_cast<int>(tokens), static_cast<int>(head_dim), static_cast<int>(tokens),
      static_cast<int>(tokens));
  print("Input", x, embed_dim);
  print("\nOutput", result.output, head_dim);
  print("\nAttention weights", result.weights, tokens);

  if (!data_folder) return 0;
  const test::DataFile numpy = test::read_data_file(std::string(data_folder) + "/seed_example.txt");
  const double output_error = test::largest_error(result.output, numpy.array("output"));
  const double weights_error = test::largest_error(result.weights, numpy.array("weights"));
  std::printf("\nLargest difference from NumPy in float64: output %.2g, weights %.2g\n", output_error, weights_error);
  return output_error <= 1e-6 && weights_error <= 1e-6 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
