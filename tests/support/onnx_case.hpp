// A case of ONNX's own tests of its Attention operator (tests/data/onnx_attention), as a call of the library.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attn/attention.hpp"
#include "support/data_file.hpp"
#include "support/elements.hpp"

namespace test {

// How query, key and value of a half-precision case are passed.
enum class Inputs { as_given, widened };

class OnnxCase {
 public:
  // Throws std::runtime_error on what it does not know, so that nothing in a file is ignored.
  OnnxCase(const DataFile& file, Inputs inputs);
  OnnxCase(const OnnxCase&) = delete;
  OnnxCase& operator=(const OnnxCase&) = delete;

  // Makes room for Y in the shape of the file, and sets args.output to it.
  void want_output(attn::DType dtype);
  // Makes room for qk_matmul_output in float32, and sets args.scores or args.weights.
  void want_qk();

  const DataFile& file;
  attn::AttentionArgs args;  // lacks the path and the results
  int qk_mode = 0;  // qk_matmul_output_mode: 0 scaled, 1 capped, 2 biased, 3 weights
  Elements output, qk;

 private:
  // data in the layout of the file: [B, T, H * D] or [B, H, T, D].
  template <class T>
  auto view(T* data, std::int64_t heads, std::int64_t rows, std::int64_t columns) const;
  attn::Tensor input(const char* name, const char* cache, Elements& storage, Inputs inputs);
  void set_mask(const Array& array);
  void set_options();

  bool rank3_ = false;
  std::int64_t past_length_ = 0;
  Elements query_, key_, value_;
  std::vector<float> bias_;
  std::vector<std::uint8_t> mask_;
  std::vector<std::int64_t> key_lengths_, offsets_;
};

}  // namespace test
