#include "layer_problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "bench.hpp"

namespace bench {
namespace {

using std::int64_t;
using Numbers = std::vector<double>;

// y[out] = sum over in of x[in] w[in, out] for columns first ... first + count of a matrix of `width` columns.
Numbers multiply(const double* x, const float* w, int64_t in, int64_t width, int64_t first, int64_t count) {
  Numbers y(static_cast<std::size_t>(count));
  for (int64_t i = 0; i < in; ++i)
    for (int64_t o = 0; o < count; ++o)
      y[static_cast<std::size_t>(o)] += x[i] * static_cast<double>(w[i * width + first + o]);
  return y;
}

// softmax(s / sqrt(dim)), in place.
void softmax(Numbers& s, int64_t dim) {
  const double largest = *std::max_element(s.begin(), s.end());
  double sum = 0;
  for (double& value : s) sum += value = std::exp((value - largest) / std::sqrt(static_cast<double>(dim)));
  for (double& value : s) value /= sum;
}

// One head's output for one token. q . k_j = q . (x_j W_k) = x_j . (W_k q), so that no other token's key or value is
// needed: some thousand times less work than all keys.
Numbers one_head(const LayerProblem& p, int64_t token, int64_t head) {
  const int64_t e = p.row.embed_dim, dim = e / p.row.num_heads, first = head * dim, length = p.row.length;
  const float* const x = p.x.data() + token / length * length * e;
  const Numbers own(p.x.data() + token * e, p.x.data() + (token + 1) * e);
  const Numbers q = multiply(own.data(), p.w.data(), e, e, first, dim);
  Numbers u(static_cast<std::size_t>(e)), s(static_cast<std::size_t>(length)), mean(static_cast<std::size_t>(e));
  for (std::size_t i = 0; i < u.size(); ++i)
    for (std::size_t d = 0; d < q.size(); ++d)
      u[i] += static_cast<double>(p.w[(u.size() + i) * u.size() + static_cast<std::size_t>(first) + d]) * q[d];
  for (std::size_t j = 0; j < s.size(); ++j)
    for (std::size_t i = 0; i < u.size(); ++i) s[j] += static_cast<double>(x[j * u.size() + i]) * u[i];
  softmax(s, dim);
  for (std::size_t j = 0; j < s.size(); ++j)
    for (std::size_t i = 0; i < u.size(); ++i) mean[i] += s[j] * static_cast<double>(x[j * u.size() + i]);
  return multiply(mean.data(), p.w.data() + 2 * e * e, e, e, first, dim);
}

// Of the rows of y at the tokens.
double relative_error(const std::vector<float>& y, const std::vector<int64_t>& tokens, const Numbers& right) {
  const std::size_t width = right.size() / tokens.size();
  double error = 0, largest = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    const std::size_t place = static_cast<std::size_t>(tokens[i / width]) * width + i % width;
    error = std::max(error, std::fabs(static_cast<double>(y[place]) - right[i]));
    largest = std::max(largest, std::fabs(right[i]));
  }
  return error / largest;
}

}  // namespace

LayerProblem::LayerProblem(const LayerRow& r)
    : row(r),
      x(normals(r.batch * r.length * r.embed_dim, 1)),
      w(normals(3 * r.embed_dim * r.embed_dim, 2)),
      side_by_side(w.size()),
      sampled_{0, r.batch * r.length / 2, r.batch * r.length - 1} {
  const int64_t e = row.embed_dim;
  const float scale = 1 / std::sqrt(static_cast<float>(e));
  for (float& weight : w) weight *= scale;
  for (int64_t i = 0; i < 3 * e; ++i) std::copy_n(w.data() + i * e, e, side_by_side.data() + i % e * 3 * e + i / e * e);
  for (const int64_t token : sampled_) {
    for (int64_t head = 0; head < row.num_heads; ++head) {
      const Numbers out = one_head(*this, token, head);
      right_.insert(right_.end(), out.begin(), out.end());
    }
    const Numbers own(x.data() + token * e, x.data() + (token + 1) * e);
    const Numbers qkv = multiply(own.data(), side_by_side.data(), e, 3 * e, 0, 3 * e);
    right_projection_.insert(right_projection_.end(), qkv.begin(), qkv.end());
  }
}

double LayerProblem::error_of(const std::vector<float>& output) const {
  return relative_error(output, sampled_, right_);
}

double LayerProblem::projection_error_of(const std::vector<float>& qkv) const {
  return relative_error(qkv, sampled_, right_projection_);
}

std::shared_ptr<const LayerProblem> layer_problem_of(const LayerRow& row) {
  static std::shared_ptr<const LayerProblem> last;
  if (!last || last->row.name != row.name) last = std::make_shared<LayerProblem>(row);
  return last;
}

}  // namespace bench
