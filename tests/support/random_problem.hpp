// Calls with a random mixture of all options, and the memory that they need.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/isas.hpp"
#include "support/layout.hpp"
#include "support/pages.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace test {

// How many of `many` mixtures to try: half on scalar, which is slow, a tenth for ATTN_TEST_QUICK.
inline int rounds(int many) { return quick() ? many / 10 : scalar_is_active() ? many / 2 : many; }

// A half near a float of ordinary size, by another way than the library: bf16 by cutting, f16 by search.
std::uint16_t to_half(float x, attn::DType type);

class RandomProblem {
 public:
  // Lengths of 0 to 130, a few of over a block of keys; every option with a probability of about a third. The same
  // problem on every machine: no arithmetic that a compiler may round in another way.
  // Large: keys of several blocks, and so much work that a second thread is used.
  RandomProblem(Random& random, attn::Path path, bool large = false);

  attn::AttentionArgs& args() { return problem->args; }
  // Against the oracle; and not a bit of the inputs, or between the rows of the output, may have changed.
  std::string check();
  // All results of the call as bits; empty if it fails.
  std::vector<std::uint32_t> results();

  // Puts a mask (or bias of -inf) with a structure in place of the one there is: padding, blocks, rows without keys,
  // one key a row; and asks for weights and scores in any layout. An extra step, as it must not change what is drawn
  // before.
  void add_structure(Random& random);
  // Gives the bias, or a new one, in any type, with factors or not: of any values, of 0 and -inf, or of rows of both
  // kinds. An extra step, likewise.
  void vary_bias(Random& random);
  // Makes keys, values or both int8, with scales in any layout or in blocks of q8_0. An extra step, likewise.
  void quantise(Random& random);
  // Of those: NaN scales for all rows that no query sees, and for one that some query sees. How many; is there one?
  std::int64_t spoil_unseen_scales();
  bool spoil_seen_scale(Random& random);
  // Puts a mask of the last keys alone, and mask_columns, in place of the mask there is. An extra step, likewise.
  void vary_mask_columns(Random& random);
  // Weights are rounded to bf16, values are bf16; on the streaming path. An extra step that draws nothing, before any
  // that stores values in another way.
  void weigh_in_bf16();
  // The keys that there are by then in panels: of any order and padding, with NaN (127 as i8) in all that is no key. An
  // extra step, likewise.
  void lay_in_panels(Random& random);
  // Gives the sequences of a packed batch key counts with which they begin at multiples of 16, as panels want it.
  // lay_in_panels() does so, too: for what is to be done before.
  void align_keys();
  // Lays keys and values, as they are by now, in pages of a random length; false, and nothing is done, if the batch is
  // packed. The last step: poison goes to where they stood before.
  bool lay_in_pages(Random& random);
  // Several of these steps, which ones by the number `kind`: of sixty all are different.
  void lay_cache(Random& random, int kind);
  // Fills all that no query may see with poison: rows of K and V, elements of the bias, rows of Q without keys, and
  // what stands between the rows.
  void spoil_unseen(float poison);
  // Puts a NaN where some query sees it; says into which argument, "" if there is no such place.
  std::string spoil_seen(Random& random);

  std::unique_ptr<Problem> problem;

  // Keys or values as int8: i8 in the layout of the floats, or blocks.
  struct Int8 {
    std::vector<std::int8_t> bytes;
    std::vector<attn::q8_0> blocks;
    Strided scales;
  };

 private:
  // A tensor in a random layout, stored as its type says.
  struct Stored {
    Strided strided;
    std::vector<std::uint16_t> halves;
  };
  // By place in the storage: is it seen?
  struct Seen {
    std::vector<char> q, k, v, bias;
  };
  const Seen& seen();  // found once: poison does not change it
  std::vector<std::uint32_t> inputs() const;  // all bits of all that the call reads
  void put_bias(std::size_t i, float x);
  static void put(Stored& stored, std::size_t i, attn::DType type, float x);
  attn::Tensor store(Random& random, const Dims& dims, Rows rows, Stored& stored);
  static attn::Output stored_result(Stored& stored, attn::DType type);  // whose layout is there; of canaries
  static std::string result_gaps_kept(const Stored& x, const Dims& dims);
  static void quantise(
      Random& random, const Dims& dims, const Stored& stored, Int8& x, attn::Tensor& tensor, attn::Scales& scales);
  // Calls visit(batch, head, row, seen) for each row of keys, as it is stored.
  using Visit = std::function<void(std::int64_t, std::int64_t, std::int64_t, bool)>;
  void for_each_cache_row(const Visit& visit);
  void choose_keys(Random& random);
  void choose_scores(Random& random);

  Stored q_, k_, v_, o_, w_, s_;  // w_, s_: weights and scores, by add_structure()
  Int8 k8_, v8_;
  std::optional<Seen> seen_;
  std::vector<std::uint8_t> mask_;
  std::vector<float> bias_, slopes_, sinks_, factors_;
  std::vector<std::uint16_t> bias_halves_;  // as bias_, where it is not float
  std::int64_t bias_start_ = 0;  // where element 0 stands
  std::vector<unsigned char> panels_;
  Pages pages_;
  std::vector<std::int64_t> offsets_, key_lengths_, cu_queries_, cu_keys_;
};

}  // namespace test
