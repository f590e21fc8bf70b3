// One row of rows.txt as calls, with its memory and its right results.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "attn/attention.hpp"
#include "attn/parallel.hpp"
#include "bench.hpp"
#include "reference.hpp"
#include "rows.hpp"

namespace bench {

struct Problem {
  explicit Problem(const AttentionRow& row);
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  // How far `output` is from the right results of a call without options, whose last results it holds.
  double error();

  AttentionRow row;
  std::vector<float> q, k, v, output;
  std::vector<char> key_cache, value_cache;  // of another type than f32; then k and v are empty
  std::vector<float> key_scales, value_scales;  // of i8
  std::vector<attn::bf16> bf16_queries;  // beside q, which the plain loops read
  attn::AttentionArgs args;

 private:
  std::optional<Reference> reference_;
};

// That of the row; kept until another row is asked for, so that benchmarks of one row share it.
std::shared_ptr<Problem> problem_of(const AttentionRow& row);

// A call of a problem: with threads and a workspace of its own.
struct Call {
  Call(const attn::AttentionArgs& what, attn::Path path, std::int64_t threads);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void operator()() const;

  attn::ThreadPool pool;
  attn::Parallel parallel;
  std::vector<unsigned char> workspace;
  attn::AttentionArgs args;
};

}  // namespace bench
