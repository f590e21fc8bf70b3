#include "support/onnx_case.hpp"

#include <limits>
#include <set>
#include <stdexcept>

#include "attn/options.hpp"

namespace test {
namespace {

using attn::DType;
using std::int64_t;

bool on_list(const std::string& name, const std::set<std::string>& list) { return list.count(name) != 0; }

[[noreturn]] void refuse(const DataFile& file, const std::string& what) {
  throw std::runtime_error(file.name + ": " + what);
}

int64_t size(const Array& array, std::size_t from_right) {
  return array.shape.size() > from_right ? array.shape[array.shape.size() - 1 - from_right] : 1;
}

}  // namespace

OnnxCase::OnnxCase(const DataFile& data, Inputs inputs) : file(data), rank3_(data.array("Q").shape.size() == 3) {
  for (const auto& [name, text] : file.attributes)
    if (!on_list(
            name,
            {"is_causal", "kv_num_heads", "left_window_size", "q_num_heads", "qk_matmul_output_mode",
             "right_window_size", "scale", "softcap", "softmax_precision"}))  // the last: always float32
      refuse(file, "attribute " + name);
  for (const auto& [name, array] : file.arrays)
    if (!on_list(
            name,
            {"Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen", "Y", "present_key",
             "present_value", "qk_matmul_output"}))
      refuse(file, "array " + name);

  const Array &q = file.array("Q"), &k = file.array("K"), &v = file.array("V");
  args.batch = q.shape[0];
  args.query_heads = rank3_ ? file.integer("q_num_heads") : q.shape[1];
  args.kv_heads = rank3_ ? file.integer("kv_num_heads") : k.shape[1];
  args.head_dim = size(q, 0) / (rank3_ ? args.query_heads : 1);
  args.value_dim = size(v, 0) / (rank3_ ? args.kv_heads : 1);
  args.query_length = rank3_ ? q.shape[1] : q.shape[2];
  if (file.arrays.count("past_key")) past_length_ = file.array("past_key").shape[2];
  args.key_length = past_length_ + (rank3_ ? k.shape[1] : k.shape[2]);

  args.query = input("Q", "", query_, inputs);
  args.key = input("K", "key", key_, inputs);
  args.value = input("V", "value", value_, inputs);
  if (file.arrays.count("attn_mask")) set_mask(file.array("attn_mask"));
  set_options();
}

template <class T>
auto OnnxCase::view(T* data, int64_t heads, int64_t rows, int64_t columns) const {
  return rank3_ ? attn::bthd(data, heads, rows, columns) : attn::bhtd(data, heads, rows, columns);
}

// Q, K or V where it lies in the file; behind the past, if there is one, which is always [batch, heads, rows, columns].
// What the two make up must be the file's present_key or present_value.
attn::Tensor OnnxCase::input(const char* name, const char* cache, Elements& storage, Inputs inputs) {
  const Array& array = file.array(name);
  const int64_t heads = *cache ? args.kv_heads : args.query_heads;  // Q has no cache
  const int64_t rows = rank3_ ? array.shape[1] : array.shape[2];
  const int64_t columns = size(array, 0) / (rank3_ ? heads : 1);
  std::vector<double> values = array.values;
  const bool has_past = *cache && file.arrays.count(std::string("past_") + cache);
  if (*cache && has_past != (file.arrays.count(std::string("present_") + cache) != 0)) refuse(file, "half a cache");
  if (has_past) {
    const Array& past = file.array(std::string("past_") + cache);
    const attn::Tensor s = view(static_cast<const float*>(nullptr), heads, rows, columns);
    values.clear();
    for (int64_t b = 0; b < args.batch; ++b)
      for (int64_t h = 0; h < heads; ++h) {
        const auto first = past.values.begin() + (b * heads + h) * past_length_ * columns;
        values.insert(values.end(), first, first + past_length_ * columns);
        for (int64_t r = 0; r < rows; ++r) {
          const auto row = array.values.begin() + b * s.batch_stride + h * s.head_stride + r * s.row_stride;
          values.insert(values.end(), row, row + columns);
        }
      }
    const Array& present = file.array(std::string("present_") + cache);
    if (present.shape != std::vector<int64_t>{args.batch, heads, past_length_ + rows, columns} ||
        present.values != values)
      refuse(file, std::string("present_") + cache + " is not the past with the new rows behind it");
  }

  storage = Elements(values, dtype_named(array.dtype));
  if (inputs == Inputs::widened) {
    const std::vector<float> floats = storage.floats();
    storage = Elements(std::vector<double>(floats.begin(), floats.end()), DType::f32);
  }
  const float* data = static_cast<const float*>(storage.data());  // or halves: strides are in elements
  attn::Tensor result =
      has_past ? attn::bhtd(data, heads, past_length_ + rows, columns) : view(data, heads, rows, columns);
  result.dtype = storage.dtype();
  return result;
}

// One to four dimensions, which are the last ones of [batch, heads, query, key]; those of size 1 are broadcast, but not
// that of the keys: a mask that ends before the keys do excludes those behind it.
void OnnxCase::set_mask(const Array& array) {
  const int64_t full[] = {args.key_length, args.query_length, args.query_heads, args.batch};
  for (std::size_t i = 1; i < 4; ++i)
    if (size(array, i) != 1 && size(array, i) != full[i]) refuse(file, "a mask that cannot be broadcast");
  if (size(array, 0) > full[0]) refuse(file, "a mask with more columns than keys");
  const bool is_bool = array.dtype == "bool";
  const std::vector<float> stored =
      is_bool ? array.floats() : Elements(array.values, dtype_named(array.dtype)).floats();
  const int64_t columns = size(array, 0), rows = static_cast<int64_t>(stored.size()) / columns;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < args.key_length; ++j) {
      const float x = j < columns ? stored[r * columns + j] : (is_bool ? 0 : -std::numeric_limits<float>::infinity());
      if (is_bool) mask_.push_back(x != 0);
      if (!is_bool) bias_.push_back(x);
    }
  int64_t stride[4], step = args.key_length;
  stride[0] = 1;
  for (std::size_t i = 1; i < 4; step *= size(array, i), ++i) stride[i] = size(array, i) == 1 ? 0 : step;
  if (is_bool) args.mask = {mask_.data(), stride[3], stride[2], stride[1], stride[0]};
  if (!is_bool) args.bias = {bias_.data(), attn::DType::f32, stride[3], stride[2], stride[1], stride[0]};
}

void OnnxCase::set_options() {
  const auto number = [this](const char* name, double absent) {
    const auto found = file.attributes.find(name);
    return found == file.attributes.end() ? absent : std::stod(found->second);
  };
  attn::options::OnnxAttributes attributes;
  attributes.is_causal = number("is_causal", 0) != 0;
  attributes.scale = static_cast<float>(number("scale", 0));
  attributes.softcap = static_cast<float>(number("softcap", 0));
  attributes.left_window_size = static_cast<int64_t>(number("left_window_size", -1));
  attributes.right_window_size = static_cast<int64_t>(number("right_window_size", -1));
  attributes.past_length = past_length_;
  if (file.arrays.count("nonpad_kv_seqlen")) {
    key_lengths_ = file.array("nonpad_kv_seqlen").integers();
    attributes.nonpad_kv_seqlen = key_lengths_.data();
  }
  offsets_.resize(args.batch);
  attn::options::onnx(args, attributes, offsets_.data());
  qk_mode = static_cast<int>(number("qk_matmul_output_mode", 0));
}

void OnnxCase::want_output(DType dtype) {
  output = Elements(file.array("Y").values.size(), dtype);
  args.output = view(static_cast<float*>(output.data()), args.query_heads, args.query_length, args.value_dim);
  args.output.dtype = dtype;
}

void OnnxCase::want_qk() {
  qk = Elements(file.array("qk_matmul_output").values.size(), DType::f32);
  const attn::Output result =
      attn::bhtd(static_cast<float*>(qk.data()), args.query_heads, args.query_length, args.key_length);
  if (qk_mode == 3) {
    args.weights = result;
  } else {
    args.scores = result;
    args.scores_stage = static_cast<attn::ScoresStage>(qk_mode);
  }
}

}  // namespace test
