// Calls with a random mixture of all options, and the memory that they need.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "layout.hpp"
#include "problem.hpp"
#include "random.hpp"

namespace test {

class RandomProblem {
 public:
  // Lengths of 0 to 130, a few of over a block of keys; every option with a probability of about a third. The same
  // problem on every machine: no arithmetic that a compiler may round in another way.
  // Large: keys of several blocks, and so much work that a second thread is used.
  RandomProblem(Random& random, attn::Path path, bool large = false);

  attn::AttentionArgs& args() { return problem->args; }
  std::string check() { return problem->check(); }
  // All results of the call as bits; empty if it fails.
  std::vector<std::uint32_t> results();

  std::unique_ptr<Problem> problem;

 private:
  // A tensor in a random layout, stored as its type says.
  struct Stored {
    Strided strided;
    std::vector<std::uint16_t> halves;
  };
  attn::Tensor store(Random& random, const Dims& dims, Rows rows, Stored& stored);
  void choose_keys(Random& random);
  void choose_scores(Random& random);

  Stored q_, k_, v_, o_;
  std::vector<std::uint8_t> mask_;
  std::vector<float> bias_, slopes_, sinks_;
  std::vector<std::int64_t> offsets_, key_lengths_, cu_queries_, cu_keys_;
};

}  // namespace test
