// kernel/<isa>/<kernel>/<numbers>: kernels over rows of numbers, through the table of simd/kernels.hpp, from the L1 or
// L2 cache. What the library calls around them is not in it.
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/exponent.hpp"
#include "kernels.hpp"

namespace {

using attn::DType;
using bench::kernel_work;
using bench::Kernels;
using bench::Work;

// A head's keys of a block, as numbers: 32 KiB.
constexpr std::ptrdiff_t count = 8192;
// What fits L1 twice.
constexpr std::ptrdiff_t few = 2048;

Work exponentials(const Kernels& kernels) {
  const auto d = bench::numbers(few, 1), y = bench::zeros(few);
  for (std::ptrdiff_t i = 0; i < few; ++i) d->data()[i] = -4 * std::fabs(d->data()[i]);
  Work work = kernel_work(
      [=, &kernels] { kernels.exp_scaled(d->data(), y->data(), few, attn::make_exponent(1)); }, 0, 8.0 * few, few);
  work.error = [=] {
    double largest = 0;
    for (std::ptrdiff_t i = 0; i < few; ++i) {
      const double right = std::exp(static_cast<double>(d->data()[i]));
      largest = std::fmax(largest, std::fabs(static_cast<double>(y->data()[i]) - right));
    }
    return largest;
  };
  return work;
}

Work softmax(const Kernels& kernels) {
  const auto x = bench::numbers(count, 1), y = bench::zeros(count);
  const auto call = [=, &kernels] {
    attn::simd::SoftmaxRows rows;
    rows.x = x->data();
    rows.y = y->data();
    rows.rows = count / 512;
    rows.columns = rows.x_stride = rows.y_stride = 512;
    rows.exponent = attn::make_exponent(1);
    kernels.softmax_rows(rows);
  };
  return kernel_work(call, 0, 8.0 * count, count);
}

template <DType Type>
Work widen(const Kernels& kernels) {
  const auto x = bench::numbers(count, 1), y = bench::zeros(count);
  const auto halves = std::make_shared<std::vector<std::uint16_t>>(static_cast<std::size_t>(count));
  kernels.narrow(x->data(), Type, count, halves->data());
  return kernel_work([=, &kernels] { kernels.widen(halves->data(), Type, count, y->data()); }, 0, 6.0 * count);
}

template <DType Type>
Work narrow(const Kernels& kernels) {
  const auto x = bench::numbers(count, 1);
  const auto halves = std::make_shared<std::vector<std::uint16_t>>(static_cast<std::size_t>(count));
  return kernel_work([=, &kernels] { kernels.narrow(x->data(), Type, count, halves->data()); }, 0, 6.0 * count);
}

// Softcap: tanh of every score by one exponential. In place, the scores shrink slowly; the time depends on none.
Work step_scores(const Kernels& kernels) {
  const auto s = bench::numbers(few, 1);
  const auto call = [=, &kernels] {
    attn::simd::ScoreSteps steps;
    steps.softcap = 50;
    kernels.step_scores(steps, attn::simd::RowSteps(), s->data(), few);
  };
  return kernel_work(call, 0, 8.0 * few, few);
}

Work weigh(const Kernels& kernels) {
  const auto p = bench::numbers(few, 1), weights = bench::zeros(few), sums = bench::zeros(few);
  for (std::ptrdiff_t i = 0; i < few; ++i) p->data()[i] = std::fabs(p->data()[i]);
  return kernel_work(
      [=, &kernels] { kernels.weigh(p->data(), 0.01f, few, weights->data(), sums->data()); }, 2.0 * few, 16.0 * few);
}

// The output rows of one tile.
Work finish_rows(const Kernels& kernels) {
  const auto o = bench::numbers(48 * 128, 1), y = bench::zeros(48 * 128);
  const auto call = [=, &kernels] {
    for (int r = 0; r < 48; ++r) kernels.finish_row(o->data() + r * 128, 2, y->data() + r * 128, 128);
  };
  return kernel_work(call, 48 * 128, 8.0 * 48 * 128);
}

void add_all() {
  bench::add_kernel("exp/2048", exponentials);
  bench::add_kernel("softmax/16x512", softmax);
  bench::add_kernel("widen_f16/8192", widen<DType::f16>);
  bench::add_kernel("widen_bf16/8192", widen<DType::bf16>);
  bench::add_kernel("narrow_f16/8192", narrow<DType::f16>);
  bench::add_kernel("narrow_bf16/8192", narrow<DType::bf16>);
  bench::add_kernel("step_scores/2048", step_scores);
  bench::add_kernel("weigh/2048", weigh);
  bench::add_kernel("finish_row/48x128", finish_rows);
}

const bench::Registration registration("kernel of numbers", add_all);

}  // namespace
