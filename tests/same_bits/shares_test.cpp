// Shares of a call: together they write what the one call writes, to the bit, and every byte of it once; whatever their
// number, in any order, at the same time.
#include <algorithm>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/isas.hpp"
#include "support/paths.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::AttentionArgs;
using std::int64_t;
using test::Problem;

// All memory that a call may write, as bytes.
class Written {
 public:
  explicit Written(test::RandomProblem& p) {
    const AttentionArgs& a = p.args();
    add(a.output, test::result_dims(a, a.value_dim));
    if (a.weights.data) add(a.weights, test::result_dims(a, a.key_length));
    if (a.scores.data) add(a.scores, test::result_dims(a, a.key_length));
    for (std::vector<float>* x : {&p.problem->logsumexp, &p.problem->key_weight_sums})
      for (float& value : *x) add(&value, sizeof value);
  }

  void fill(unsigned char byte) const {
    for (const Piece& piece : pieces_) std::memset(piece.data, byte, piece.bytes);
  }
  std::vector<unsigned char> bytes() const {
    std::vector<unsigned char> all;
    for (const Piece& piece : pieces_) all.insert(all.end(), piece.data, piece.data + piece.bytes);
    return all;
  }
  std::size_t pieces() const { return pieces_.size(); }
  // Of each piece: does any of its bytes differ from `byte`?
  std::vector<char> changed(unsigned char byte) const {
    std::vector<char> all;
    for (const Piece& piece : pieces_)
      all.push_back(std::any_of(piece.data, piece.data + piece.bytes, [&](unsigned char x) { return x != byte; }));
    return all;
  }

 private:
  struct Piece {
    unsigned char* data;
    std::size_t bytes;
  };

  void add(void* data, std::size_t bytes) { pieces_.push_back({static_cast<unsigned char*>(data), bytes}); }
  // Element by element, because those of a share are to be told from those of another.
  void add(const attn::Output& x, const test::Dims& d) {
    const std::size_t size = x.dtype == attn::DType::f32 ? 4 : 2;
    for (int64_t b = 0; b < d.batch; ++b)
      for (int64_t h = 0; h < d.heads; ++h)
        for (int64_t r = 0; r < d.rows; ++r)
          for (int64_t c = 0; c < d.columns; ++c)
            add(static_cast<char*>(x.data) +
                    static_cast<std::size_t>(b * x.batch_stride + h * x.head_stride + r * x.row_stride + c) * size,
                size);
  }

  std::vector<Piece> pieces_;
};

AttentionArgs share(const AttentionArgs& whole, int64_t index, int64_t count) {
  AttentionArgs a = whole;
  a.share_index = index;
  a.share_count = count;
  return a;
}

// One share in a workspace of exactly the bytes it asks for: "" or what is wrong.
std::string run(const AttentionArgs& args) {
  AttentionArgs a = args;
  a.workspace_bytes = attn::workspace_size(a);
  std::vector<unsigned char> workspace(a.workspace_bytes + 2, 0xff);
  a.workspace = workspace.data() + 1;
  const attn::Status status = attn::attention(a);
  if (!status.ok()) return status.message();
  return workspace.front() == 0xff && workspace.back() == 0xff ? "" : "written outside the workspace";
}

// Shares one after the other: the bits of the whole call, and each piece written by one share.
std::string one_by_one(const AttentionArgs& a, const Written& written, const std::vector<unsigned char>& want) {
  constexpr unsigned char poison[2] = {0x5a, 0xa5};  // a result may hold the bytes of one
  const int64_t count = a.share_count;
  std::vector<int> writers(written.pieces());
  for (int64_t i = 0; i < count; ++i) {
    std::vector<char> touched(written.pieces());
    for (const unsigned char byte : poison) {
      written.fill(byte);
      if (const std::string failure = run(share(a, i, count)); !failure.empty()) return failure;
      const std::vector<char> now = written.changed(byte);
      for (std::size_t k = 0; k < now.size(); ++k) touched[k] |= now[k];
    }
    for (std::size_t k = 0; k < touched.size(); ++k) writers[k] += touched[k];
  }
  for (std::size_t k = 0; k < writers.size(); ++k)
    if (writers[k] != 1) return "element " + std::to_string(k) + " has " + std::to_string(writers[k]) + " writers";
  written.fill(0x5a);
  for (int64_t i = count; i-- > 0;)
    if (const std::string failure = run(share(a, i, count)); !failure.empty()) return failure;
  return written.bytes() == want ? "" : "not the bits of the whole call";
}

std::string at_once(const AttentionArgs& a, const Written& written, const std::vector<unsigned char>& want) {
  written.fill(0x5a);
  std::vector<std::string> failures(static_cast<std::size_t>(a.share_count));
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < a.share_count; ++i)
    threads.emplace_back([&, i] { failures[static_cast<std::size_t>(i)] = run(share(a, i, a.share_count)); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures)
    if (!failure.empty()) return failure;
  return written.bytes() == want ? "" : "not the bits of the whole call, at once";
}

}  // namespace

TEST_CASE("shares: together they are the whole call, in any mixture of options", "[same_bits][shares][mixtures]") {
  const attn::Path path = GENERATE(from_range(test::paths()));
  attn::ThreadPool pool(3);
  const attn::Parallel parallel = pool.parallel();
  for (int round = 0; round < test::rounds(400); ++round) {
    test::Random random(static_cast<std::uint64_t>(47000 + round));
    test::RandomProblem p(random, path, round % 20 == 0);
    if (round % 5 == 1) p.lay_in_pages(random);
    if (round % 5 == 3) p.vary_mask_columns(random);
    AttentionArgs a = p.args();
    INFO("round " << round << ": " << test::describe(a));
    REQUIRE(attn::attention(a).ok());
    const Written written(p);
    const std::vector<unsigned char> want = written.bytes();
    a.share_count = round % 9 + 1;
    CAPTURE(a.share_count);
    if (round % 3 == 0) a.parallel = &parallel;
    REQUIRE(one_by_one(a, written, want) == "");
    if (round % 4 == 0) REQUIRE(at_once(a, written, want) == "");
  }
}

TEST_CASE("shares: of few heads, of many, of long and short sequences", "[same_bits][shares]") {
  const std::vector<test::Shape> shapes = {{1, 1, 1, 1, 700, 16, 16},  // one row
                                           {1, 16, 1, 1, 700, 16, 16},  // rows of one token
                                           {1, 3, 3, 150, 150, 16, 16},  // one and a half heads each
                                           {1, 1, 1, 300, 300, 8, 8},   {3, 4, 2, 40, 30, 8, 8},
                                           {5, 8, 8, 1, 90, 8, 8}};
  for (const test::Shape& shape : shapes)
    for (const bool causal : {false, true})
      for (int64_t count = 1; count <= 9; ++count) {
        test::Random random(48);
        Problem p(shape, random);
        p.args.path = attn::Path::streaming;
        p.args.causal = causal;
        p.want_logsumexp();
        INFO(test::describe(p.args) << " in " << count);
        REQUIRE(p.check() == "");
        const std::vector<float> want = p.results();
        for (std::vector<float>* x : {&p.output, &p.logsumexp}) std::fill(x->begin(), x->end(), test::canary);
        for (int64_t i = 0; i < count; ++i) REQUIRE(run(share(p.args, i, count)) == "");
        CHECK(test::bits_difference(p.results(), want) == "");
      }
}

namespace {

// The rows that share i of n writes.
int64_t rows_of(Problem& p, int64_t i, int64_t n) {
  std::fill(p.logsumexp.begin(), p.logsumexp.end(), test::canary);
  REQUIRE(run(share(p.args, i, n)) == "");
  return std::count_if(p.logsumexp.begin(), p.logsumexp.end(), [](float x) { return x != test::canary; });
}

}  // namespace

TEST_CASE("shares: they are even, between heads or inside one", "[same_bits][shares]") {
  test::Random random(49);
  Problem p({1, 3, 3, 240, 20, 4, 4}, random);
  p.args.path = attn::Path::streaming;
  p.want_logsumexp();
  for (int64_t n = 1; n <= 9; ++n)
    for (int64_t i = 0; i < n; ++i) {
      CAPTURE(i, n);
      CHECK(std::abs(rows_of(p, i, n) - 720 / n) <= 2 * 12 + 720 / n / 8);
    }
  CHECK(rows_of(p, 0, 3) == 240);
  CHECK(rows_of(p, 0, 2) == 360);
  p.want_key_weight_sums();  // of whole heads
  CHECK(rows_of(p, 0, 2) % 240 == 0);
  // Causal: the first rows see few keys.
  Problem causal({1, 1, 1, 600, 600, 4, 4}, random);
  causal.args.path = attn::Path::streaming;
  causal.args.causal = true;
  causal.want_logsumexp();
  CHECK(rows_of(causal, 0, 2) > 400);
  CHECK(rows_of(causal, 0, 2) < 450);
}

TEST_CASE("shares: a batch of long and short caches is cut by keys", "[same_bits][shares]") {
  test::Random random(50);
  Problem p({4, 2, 2, 1, 400, 4, 4}, random);
  const std::vector<int64_t> lengths = {400, 10, 10, 10};
  p.args.path = attn::Path::streaming;
  p.args.key_lengths = lengths.data();
  p.want_logsumexp();
  CHECK(rows_of(p, 0, 2) == 1);
  CHECK(rows_of(p, 1, 2) == 7);
}
