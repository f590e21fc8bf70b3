// Caches in pages: bad arguments are named, nothing is written; the entries of a table that a call needs, and no other.
#include "support/pages.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"
#include "support/random_problem.hpp"

namespace {

using attn::AttentionArgs;
using attn::Path;
using attn::StatusCode;
using std::int64_t;
using test::Problem;

constexpr int64_t top = std::numeric_limits<int64_t>::max();

struct Fault {
  std::string field, value;  // both must stand in the message
  std::function<void(AttentionArgs&)> set;
  StatusCode code = StatusCode::invalid_argument;
};

bool names(const attn::Status& status, const std::string& part) {
  return std::string(status.message()).find(part) != std::string::npos;
}

// Two items of 40 keys in pages of 16: 3 entries each.
struct Paged {
  explicit Paged(Path path) : random(95), p({2, 4, 2, 3, 40, 5, 6}, random) {
    p.args.path = path;
    pages.lay(p.args, 16, random);
  }
  test::Random random;
  Problem p;
  test::Pages pages;
};

}  // namespace

TEST_CASE("error: pages", "[refused][attention][pages][error]") {
  static const int64_t cu[] = {0, 3, 6}, cu_keys[] = {0, 20, 40};
  const Fault faults[] = {
      {"page_length", "0", [](AttentionArgs& a) { a.page_length = 0; }},
      {"page_length", "-16", [](AttentionArgs& a) { a.page_length = -16; }},
      {"page_length", "8", [](AttentionArgs& a) { a.page_length = 8; }},
      {"page_length", "24", [](AttentionArgs& a) { a.page_length = 24; }},
      {"page_length", "48", [](AttentionArgs& a) { a.page_length = 48; }},
      {"page_length", "768", [](AttentionArgs& a) { a.page_length = 768; }},
      {"page_length", std::to_string(top), [](AttentionArgs& a) { a.page_length = top; }},
      {"page_count", "-1", [](AttentionArgs& a) { a.page_count = -1; }},
      {"page_count", std::to_string(top), [](AttentionArgs& a) { a.page_count = top; }},
      {"page_table_stride", "2", [](AttentionArgs& a) { a.page_table_stride = 2; }},
      {"page_table_stride", "-3", [](AttentionArgs& a) { a.page_table_stride = -3; }},
      {"page_length", "16",
       [](AttentionArgs& a) {
         a.page_table = nullptr;
         a.page_table_stride = a.page_count = 0;
       }},
      {"page_count", "7",
       [](AttentionArgs& a) {
         a.page_table = nullptr;
         a.page_table_stride = a.page_length = 0;
         a.page_count = 7;
       }},
      {"page_table_stride", "1",
       [](AttentionArgs& a) {
         a.page_table = nullptr;
         a.page_table_stride = 1;
       }},
      {"page_count = 0", "got", [](AttentionArgs& a) { a.page_count = 0; }},
      {"key.data", "null", [](AttentionArgs& a) { a.key.data = nullptr; }},
      {"page_table", "cu_key_lengths",
       [](AttentionArgs& a) {
         a.cu_query_lengths = cu;
         a.cu_key_lengths = cu_keys;
       },
       StatusCode::unsupported},
  };
  for (const Path path : test::paths())
    for (const Fault& fault : faults) {
      Paged x(path);
      REQUIRE(x.p.check() == "");
      x.p.output.assign(x.p.output.size(), test::canary);
      fault.set(x.p.args);
      const attn::Status status = attn::attention(x.p.args);
      INFO("expected " << fault.field << " and " << fault.value << " in the message: " << status.message());
      CHECK(status.code() == fault.code);
      CHECK(names(status, fault.field));
      CHECK(names(status, fault.value));
      CHECK(test::bits_equal(x.p.output, std::vector<float>(x.p.output.size(), test::canary)));
    }
}

TEST_CASE("error: an entry of the table, if some query needs it", "[refused][attention][pages][error]") {
  int needed_entries = 0, others = 0;
  const int many = test::rounds(300);
  for (int round = 0; round < many; ++round) {
    test::Random random(static_cast<std::uint64_t>(66000 + round));
    test::RandomProblem p(random, test::paths()[static_cast<std::size_t>(round) % test::paths().size()]);
    AttentionArgs& a = p.args();
    const AttentionArgs plain = a;
    if (!p.lay_in_pages(random) || a.query_length == 0) continue;
    INFO("round " << round << ": " << test::describe(a));
    REQUIRE(p.problem->run() == "");
    const std::vector<float> want = p.problem->results();
    const std::vector<std::vector<char>> needed = test::needed_keys(plain);
    for (int64_t b = 0; b < a.batch; ++b)
      for (int64_t i = 0; i * a.page_length < a.key_length; ++i) {
        bool any = false;
        for (int64_t j = i * a.page_length; j < std::min((i + 1) * a.page_length, a.key_length); ++j)
          any |= needed[static_cast<std::size_t>(b)][static_cast<std::size_t>(j)] != 0;
        std::int32_t& entry = const_cast<std::int32_t*>(a.page_table)[b * a.page_table_stride + i];
        const std::int32_t was = entry;
        for (const std::int32_t bad : {-1, static_cast<std::int32_t>(a.page_count), 1 << 30}) {
          entry = bad;
          const attn::Status status = attn::attention(a);
          INFO("entry " << b << ", " << i << ": " << status.message());
          REQUIRE(status.code() == (any ? StatusCode::invalid_argument : StatusCode::ok));
          if (any) REQUIRE(names(status, "page_table[" + std::to_string(b) + "][" + std::to_string(i) + "]"));
          if (any) REQUIRE(names(status, "got " + std::to_string(bad)));
        }
        entry = was;
        ++(any ? needed_entries : others);
      }
    REQUIRE(p.problem->run() == "");
    if (a.path == Path::streaming) REQUIRE(test::bits_difference(p.problem->results(), want) == "");
  }
  CHECK((needed_entries > many / 2 || test::given_seed()));
  CHECK((others > many / 10 || test::given_seed()));
}

TEST_CASE("pages: what a call does not need may be missing", "[refused][attention][pages]") {
  for (const Path path : test::paths()) {
    Paged x(path);
    AttentionArgs& a = x.p.args;
    a.query_length = 0;
    a.page_table_stride = a.page_count = 0;
    a.key.data = a.value.data = nullptr;
    CHECK(std::string(attn::attention(a).message()) == "");
    Paged one(path);  // of one item the stride is not used
    one.p.args.batch = 1;
    one.p.args.page_table_stride = 0;
    CHECK(one.p.check() == "");
  }
}
