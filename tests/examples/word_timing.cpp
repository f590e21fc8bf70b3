// When was a word said? A speech model (whisper) reads it off the attention weights of a few heads over the frames of
// the recording. All heads are computed without weights; a second call gives the weights of those few alone. Without
// value columns it reads no values and writes no output.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "attn/attn.hpp"
#include "recipe.hpp"

namespace {

constexpr std::int64_t heads = 8, dim = 64, tokens = 12, frames = 1500;
constexpr double seconds = 0.02;  // of a frame
// The heads that follow the speech: first, first + step, ... If they are no such row of numbers, a call for each.
constexpr std::int64_t first_head = 2, head_step = 3, timed_heads = 2;

std::int64_t spoken_at(std::int64_t token) { return 40 + 110 * token; }  // what the call is to find

}  // namespace

int main() {
  std::vector<float> q = recipe::normals(heads * tokens * dim, 1);
  const std::vector<float> k = recipe::normals(heads * frames * dim, 2), v = recipe::normals(heads * frames * dim, 3);
  for (std::int64_t i = 0; i < timed_heads; ++i)  // as a trained model does: a token's query is like its frame's key
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t h = first_head + i * head_step;
      std::copy_n(&k[(h * frames + spoken_at(t)) * dim], dim, &q[(h * tokens + t) * dim]);
    }

  std::vector<float> output(q.size());
  attn::AttentionArgs a;
  a.query_heads = a.kv_heads = heads;
  a.query_length = tokens;
  a.key_length = frames;
  a.head_dim = a.value_dim = dim;
  a.query = attn::bhtd(q.data(), heads, tokens, dim);
  a.key = attn::bhtd(k.data(), heads, frames, dim);
  a.value = attn::bhtd(v.data(), heads, frames, dim);
  a.output = attn::bhtd(output.data(), heads, tokens, dim);
  attn::throw_if_error(attn::attention(a));

  std::vector<float> weights(timed_heads * tokens * frames);
  attn::AttentionArgs timed = a;
  timed.query_heads = timed.kv_heads = timed_heads;
  timed.query = attn::bhtd(&q[first_head * tokens * dim], heads, tokens, dim);
  timed.query.head_stride *= head_step;
  timed.key = attn::bhtd(&k[first_head * frames * dim], heads, frames, dim);
  timed.key.head_stride *= head_step;
  timed.value_dim = 0;
  timed.weights = attn::bhtd(weights.data(), timed_heads, tokens, frames);
  attn::throw_if_error(attn::attention(timed));

  double worst = 0;
  bool found = true;
  for (std::int64_t t = 0; t < tokens; ++t) {
    std::vector<double> mean(frames), right(frames);
    for (std::int64_t i = 0; i < timed_heads; ++i) {
      const std::int64_t h = first_head + i * head_step;
      recipe::Plain plain(&q[(h * tokens + t) * dim], dim, dim);
      std::vector<double> exps;
      for (std::int64_t j = 0; j < frames; ++j)
        exps.push_back(plain.see(&k[(h * frames + j) * dim], &v[(h * frames + j) * dim]));
      for (std::int64_t j = 0; j < frames; ++j) {
        mean[j] += static_cast<double>(weights[(i * tokens + t) * frames + j]) / timed_heads;
        right[j] += exps[j] / plain.sum() / timed_heads;
      }
      worst = std::max(worst, plain.difference(&output[(h * tokens + t) * dim]));
    }
    for (std::int64_t j = 0; j < frames; ++j) worst = std::max(worst, recipe::off(mean[j], right[j]));
    const std::int64_t frame = std::max_element(mean.begin(), mean.end()) - mean.begin();
    std::printf("token %2d at %5.2f s\n", static_cast<int>(t), static_cast<double>(frame) * seconds);
    found = found && frame == spoken_at(t);
  }
  return recipe::near("output and weights", worst) && found ? 0 : 1;
}
