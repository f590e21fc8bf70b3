#include <attn/attn.hpp>

// The mean of two numbers: softmax weighs equal scores the same.
float mean(float a, float b) {
  const float scores[] = {0, 0};
  float weights[2];
  attn::throw_if_error(attn::softmax(scores, weights, 1, 2, 2, 2));
  return weights[0] * a + weights[1] * b;
}
