// A strict reader of safetensors files: 8 bytes with the length of a header (little-endian), the header (JSON: name ->
// dtype, shape, data_offsets), then the data of all tensors without gaps.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace encoder {

struct TensorInfo {
  std::string dtype;  // "F32", "I64", ...
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;  // bytes of the data
};

// The entries of a header but __metadata__. Throws std::runtime_error that says what is wrong and at which byte.
std::map<std::string, TensorInfo> parse_header(const std::string& json);

class SafeTensors {
 public:
  // Reads the header. Throws std::runtime_error that names the file and what is wrong with it: also if a tensor's bytes
  // are not those of its dtype and shape, or tensors overlap, leave gaps, or end elsewhere than the file.
  explicit SafeTensors(const std::string& path);

  [[nodiscard]] bool has(const std::string& name) const { return tensors_.count(name) != 0; }
  // Throws std::runtime_error if there is none of that name.
  [[nodiscard]] const TensorInfo& info(const std::string& name) const;
  // The values of a tensor. Throws std::runtime_error if it is missing, not F32, or not of this shape.
  [[nodiscard]] std::vector<float> floats(const std::string& name, const std::vector<std::int64_t>& shape);

 private:
  std::string path_;
  std::ifstream file_;
  std::int64_t data_ = 0;  // where the data begins
  std::map<std::string, TensorInfo> tensors_;
};

}  // namespace encoder
