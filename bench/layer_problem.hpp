// The numbers of a layer, and what it should give: in double, sharing no code with the library.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "rows.hpp"

namespace bench {

struct LayerProblem {
  explicit LayerProblem(const LayerRow& row);

  std::int64_t tokens() const { return row.batch * row.length; }
  // Largest error of the output [batch, length, embed_dim] at some tokens, relative to the largest right result there.
  double error_of(const std::vector<float>& output) const;
  // The same of Q, K and V side by side, [batch * length, 3 embed_dim].
  double projection_error_of(const std::vector<float>& qkv) const;

  LayerRow row;
  std::vector<float> x;  // [batch, length, embed_dim]
  std::vector<float> w;  // W_q, W_k and W_v, each [embed_dim, embed_dim] as [in, out]
  std::vector<float> side_by_side;  // the same as [embed_dim, 3 embed_dim]

 private:
  std::vector<std::int64_t> sampled_;  // tokens
  std::vector<double> right_, right_projection_;  // their rows
};

// That of the row; kept until another row is asked for.
std::shared_ptr<const LayerProblem> layer_problem_of(const LayerRow& row);

}  // namespace bench
