// What the recipes of this folder share: numbers to try them with, and attention by its definition to compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

namespace recipe {

inline std::vector<float> normals(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& value : x) value = normal(generator);
  return x;
}

// How far x is from what it should be: a NaN, which max() would pass over, infinitely far.
inline double off(double x, double should) { return x - should == x - should ? std::fabs(x - should) : HUGE_VAL; }

// One query in double, key by key: see() what it sees, then difference() from what the library says.
class Plain {
 public:
  Plain(const float* query, std::int64_t head_dim, std::int64_t value_dim)
      : Plain(query, head_dim, value_dim, 1 / std::sqrt(static_cast<double>(head_dim))) {}
  Plain(const float* query, std::int64_t head_dim, std::int64_t value_dim, double scale)
      : query_(query), head_dim_(head_dim), scale_(scale), output_(static_cast<std::size_t>(value_dim)) {}

  // Returns exp(score), which is the key's weight times sum().
  double see(const float* key, const float* value, double bias = 0) {
    double score = 0;
    for (std::int64_t d = 0; d < head_dim_; ++d) score += static_cast<double>(query_[d]) * static_cast<double>(key[d]);
    const double weight = std::exp(score * scale_ + bias);  // the scores here are small: no maximum is needed
    for (std::size_t c = 0; c < output_.size(); ++c) output_[c] += weight * static_cast<double>(value[c]);
    sum_ += weight;
    return weight;
  }
  double sum() const { return sum_; }

  // The largest of a row of results.
  double difference(const float* result) const {
    double largest = 0;
    for (std::size_t c = 0; c < output_.size(); ++c)
      largest = std::max(largest, off(output_[c] / sum_, static_cast<double>(result[c])));
    return largest;
  }

 private:
  const float* query_;
  std::int64_t head_dim_;
  double scale_, sum_ = 0;
  std::vector<double> output_;
};

// Says how a check went.
inline bool near(const char* what, double difference) {
  const bool good = difference <= 1e-5;
  std::printf("%s: %s, the largest difference is %.1e\n", what, good ? "right" : "WRONG", difference);
  return good;
}
inline bool same(const char* what, const std::vector<float>& x, const std::vector<float>& y) {
  const bool good = x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
  std::printf("%s: %s\n", what, good ? "the same bits" : "OTHER BITS");
  return good;
}

}  // namespace recipe
