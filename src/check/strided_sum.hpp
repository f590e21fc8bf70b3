// Which numbers a sum of multiples can be: what it takes to tell exactly whether strided boxes share a byte.
#pragma once

#include <cstdint>

namespace attn::check {

// The numbers  sum over i of step[i] * x[i] + r,  each x[i] in [0, most[i]] and r in [0, slack].
// All of them are below 2^63; at most 10 steps.
class StridedSum {
 public:
  enum class Answer { no, yes, unknown };

  void add(std::uint64_t step, std::uint64_t most) noexcept;
  void add_slack(std::uint64_t more) noexcept { slack_ += more; }

  // Is target among them? Exact, by a search over one step after the other: a handful of trials for layouts that nest.
  // Unknown after 65536 (about 20 ms): three or more large dimensions, steps of about one size without a common factor,
  // as no useful layout has.
  [[nodiscard]] Answer meets(std::uint64_t target) noexcept;

 private:
  void absorb() noexcept;
  bool found(unsigned left, std::uint64_t target) noexcept;

  std::uint64_t step_[10], most_[10], slack_ = 0;  // steps rise
  int count_ = 0, trials_ = 0;
};

}  // namespace attn::check
