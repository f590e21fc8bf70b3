// The 80 cases of ONNX's own tests of its Attention operator, opset 23 to 25 (data/onnx_attention).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/data_file.hpp"
#include "support/elements.hpp"
#include "support/onnx_case.hpp"
#include "support/oracle.hpp"
#include "support/paths.hpp"

namespace {

using attn::DType;
using attn::Path;
using test::Array;
using test::OnnxCase;

std::vector<std::string> case_files() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(ATTN_TEST_DATA "/onnx_attention"))
    paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Within `relative` of the value, or within `absolute`, whichever is more.
struct Bound {
  double relative, absolute;
};

// ONNX computed the expected values of a half-precision case in that precision, every step rounded: 2 and 4 units in
// the last place are its error, not ours. That error is of the size of the largest terms, also where they cancel or
// where a weight is small; so the floor is the same share of the largest value.
Bound bound_of(const Array& want, DType dtype) {
  if (dtype == DType::f32) return {4e-6, 1e-6};
  double largest = 0;
  for (const double x : want.values)
    if (std::isfinite(x)) largest = std::max(largest, std::fabs(x));
  const double relative = dtype == DType::f16 ? 2e-3 : 1.6e-2;
  return {relative, relative * largest};
}

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", x);
  return text;
}

// "" or the first element that is off; -inf must be met exactly, and a NaN is never right.
std::string compare(const std::vector<float>& got, const Array& want, const Bound& bound) {
  if (got.size() != want.values.size()) return test::sizes_differ(got.size(), want.values.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]), w = want.values[i];
    if (std::isnan(g) || !test::close(g, w, std::max(bound.relative * std::fabs(w), bound.absolute)))
      return "element " + std::to_string(i) + ": got " + number(g) + ", want " + number(w) + ", differ by " +
          number(std::fabs(g - w));
  }
  return "";
}

const char* name_of(Path path) {
  return path == Path::automatic ? "automatic" : path == Path::blas ? "blas" : "streaming";
}

const char* name_of(DType dtype) { return dtype == DType::f32 ? "f32" : dtype == DType::f16 ? "f16" : "bf16"; }

struct Counts {
  int outputs = 0, scores = 0, weights = 0;
};

// Computes Y, stored as `stored`, and qk_matmul_output if the path gives it.
void run(const test::DataFile& file, Path path, DType stored, Counts& counts) {
  INFO(file.name << ", path " << name_of(path) << ", output " << name_of(stored));
  const DType dtype = test::dtype_named(file.array("Y").dtype);
  OnnxCase c(file, test::Inputs::as_given);
  c.args.path = path;
  c.want_output(stored);
  const bool has_qk = file.arrays.count("qk_matmul_output") && (c.qk_mode == 3 || path != Path::streaming);
  if (has_qk) c.want_qk();
  const attn::Status status = attn::attention(c.args);
  CHECK(std::string(status.message()) == "");
  if (!status.ok()) return;
  CHECK(compare(c.output.floats(), file.array("Y"), bound_of(file.array("Y"), dtype)) == "");
  ++counts.outputs;
  if (!has_qk) return;
  const Array& want = file.array("qk_matmul_output");
  INFO("qk_matmul_output, mode " << c.qk_mode);
  CHECK(compare(c.qk.floats(), want, bound_of(want, dtype)) == "");
  ++(c.qk_mode == 3 ? counts.weights : counts.scores);
}

}  // namespace

TEST_CASE("onnx: the oracle agrees with ONNX in all cases", "[right][onnx]") {
  const std::vector<std::string> paths = case_files();
  REQUIRE(paths.size() == 80);
  for (const std::string& path : paths) {
    INFO(path);
    const test::DataFile file = test::read_data_file(path);
    OnnxCase c(file, test::Inputs::widened);
    c.want_output(DType::f32);  // for its strides, which say where the file has the element
    const bool has_qk = file.arrays.count("qk_matmul_output") != 0;
    if (has_qk) c.args.scores_stage = static_cast<attn::ScoresStage>(std::min(c.qk_mode, 2));
    const test::Attended attended = test::attend(c.args);

    const attn::AttentionArgs& a = c.args;
    std::vector<float> got(attended.output.size());
    std::size_t i = 0;
    for (std::int64_t b = 0; b < a.batch; ++b)
      for (std::int64_t h = 0; h < a.query_heads; ++h)
        for (std::int64_t t = 0; t < a.query_length; ++t)
          for (std::int64_t e = 0; e < a.value_dim; ++e, ++i)
            got[b * a.output.batch_stride + h * a.output.head_stride + t * a.output.row_stride + e] =
                static_cast<float>(attended.output[i]);
    const Array& y = file.array("Y");
    CHECK(compare(got, y, bound_of(y, test::dtype_named(y.dtype))) == "");
    if (!has_qk) continue;
    const Array& want = file.array("qk_matmul_output");
    const std::vector<double>& qk = c.qk_mode == 3 ? attended.weights : attended.scores;
    CHECK(compare({qk.begin(), qk.end()}, want, bound_of(want, test::dtype_named(want.dtype))) == "");
  }
}

TEST_CASE("onnx: every path agrees with ONNX in all cases", "[right][onnx]") {
  const Path path = GENERATE(Path::automatic, from_range(test::paths()));
  Counts counts;
  for (const std::string& name : case_files()) {
    const test::DataFile file = test::read_data_file(name);
    run(file, path, DType::f32, counts);
    const DType dtype = test::dtype_named(file.array("Y").dtype);
    if (dtype != DType::f32) run(file, path, dtype, counts);
  }
  // 69 cases in float32; 11 in half precision, whose Y is computed in float32 and in their own. One of those has
  // weights.
  INFO("path " << name_of(path));
  CHECK(counts.outputs == 69 + 2 * 11);
  CHECK(counts.weights == 5 + 1);
  CHECK(counts.scores == (path == Path::streaming ? 0 : 11));
}
