#include "check/strided_sum.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace attn::check {
namespace {

constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();
constexpr int most_trials = 1 << 16;

// The least x for which step * x mod modulus is in [low, high], and the quotient step * x / modulus; else x = none.
//   0 < low <= high < modulus < 2^63,  step < modulus
// Euclid's way: few steps, however large the numbers.
struct Multiple {
  std::uint64_t x, quotient;
};
Multiple first_within(std::uint64_t step, std::uint64_t modulus, std::uint64_t low, std::uint64_t high) noexcept {
  if (step == 0) return {none, 0};
  const std::uint64_t up = (low + step - 1) / step;
  if (up * step <= high) return {up, 0};
  // No multiple of step is in [low, high], so some y > 0 has step * x in modulus * y + [low, high]. Seen modulo step:
  // modulus * y must be in -[low, high], the same question with smaller numbers.
  const Multiple y = first_within(modulus % step, step, step - high % step, step - low % step);
  if (y.x == none) return y;
  const std::uint64_t rest = modulus % step * y.x - step * y.quotient;  // below step, though its terms may wrap around
  return {modulus / step * y.x + y.quotient + (low + rest + step - 1) / step, y.x};
}

// The least x for which (from - step * x) mod modulus <= slack, or none.
std::uint64_t steps_down(std::uint64_t from, std::uint64_t step, std::uint64_t modulus, std::uint64_t slack) noexcept {
  from %= modulus;
  return from <= slack ? 0 : first_within(step % modulus, modulus, from - slack, from).x;
}

}  // namespace

void StridedSum::add(std::uint64_t step, std::uint64_t most) noexcept {
  if (step == 0 || most == 0) return;
  int i = count_;
  for (int j = 0; j < count_; ++j)
    if (step_[j] == step) return static_cast<void>(most_[j] += most);
  for (; i > 0 && step_[i - 1] > step; --i) step_[i] = step_[i - 1], most_[i] = most_[i - 1];
  step_[i] = step, most_[i] = most;
  ++count_;
}

// A step that is no longer than the run of numbers below it makes that run longer.
void StridedSum::absorb() noexcept {
  int taken = 0;
  for (; taken < count_ && step_[taken] <= slack_ + 1; ++taken) slack_ += step_[taken] * most_[taken];
  std::copy(step_ + taken, step_ + count_, step_);
  std::copy(most_ + taken, most_ + count_, most_);
  count_ -= taken;
}

StridedSum::Answer StridedSum::meets(std::uint64_t target) noexcept {
  absorb();
  std::uint64_t largest = slack_;
  for (int i = 0; i < count_; ++i) largest += step_[i] * most_[i];
  if (target > largest) return Answer::no;
  trials_ = 0;
  if (found((1u << count_) - 1, target)) return Answer::yes;
  return trials_ > most_trials ? Answer::unknown : Answer::no;
}

// With the steps whose bits are set in `left`, which reach at least up to target.
bool StridedSum::found(unsigned left, std::uint64_t target) noexcept {
  if (left == 0) return target <= slack_;
  std::uint64_t reach = slack_;
  for (int i = 0; i < count_; ++i)
    if (left >> i & 1) reach += step_[i] * most_[i];

  // Try the step of which the fewest multiples leave what the others can make.
  int chosen = 0;
  std::uint64_t first = 0, last = none;
  for (int i = 0; i < count_; ++i) {
    if (!(left >> i & 1)) continue;
    const std::uint64_t others = reach - step_[i] * most_[i];
    const std::uint64_t low = target > others ? (target - others + step_[i] - 1) / step_[i] : 0;
    const std::uint64_t high = std::min(most_[i], target / step_[i]);
    if (low > high) return false;
    if (high - low < last - first) chosen = i, first = low, last = high;
  }
  left &= ~(1u << chosen);
  std::uint64_t divisor = 0;  // of all that the others make, but for the slack
  for (int i = 0; i < count_; ++i)
    if (left >> i & 1) divisor = std::gcd(divisor, step_[i]);

  for (std::uint64_t x = first; x <= last; ++x) {
    if (divisor > 0) {
      const std::uint64_t further = steps_down(target - step_[chosen] * x, step_[chosen], divisor, slack_);
      if (further > last - x) return false;
      x += further;
    }
    if (++trials_ > most_trials) return false;
    if (found(left, target - step_[chosen] * x)) return true;
  }
  return false;
}

}  // namespace attn::check
