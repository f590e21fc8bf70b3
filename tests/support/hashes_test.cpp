// The stored hashes: what is missing, wrong, unused or written twice is said.
#include "support/hashes.hpp"

#include <sstream>
#include <stdexcept>

#include "support/catch.hpp"

namespace {

test::Hashes read(const std::string& text) {
  std::istringstream stream(text);
  return test::Hashes(stream);
}

}  // namespace

TEST_CASE("hashes: a name that is missing, and one that differs", "[support][hash_file]") {
  test::Hashes stored = read("a/one, two 0x00000000000000ff\nb/one 0x123456789abcdef0\n");
  CHECK_FALSE(stored.used());
  CHECK(stored.difference("a/one, two", 255) == "");
  CHECK(stored.difference("a/one, two", 254) != "");
  CHECK(stored.difference("a/one", 255) != "");
  CHECK(stored.difference("a/one, two", 0) != "");
  CHECK(stored.used());
  CHECK(stored.unused() == "b/one\n");
  CHECK(stored.difference("b/one", 0x123456789abcdef0u) == "");
  CHECK(stored.unused() == "");
}

TEST_CASE("hashes: lines that mean nothing are refused", "[support][hash_file]") {
  for (const char* text :
       {"name\n", "name 12\n", "name 0x00000000000000fg\n", " 0x00000000000000ff\n", "\n",
        "a 0x00000000000000ff\na 0x00000000000000ff\n"})
    CHECK_THROWS_AS(read(text), std::runtime_error);
}

TEST_CASE("hashes: what is recorded is what is read", "[support][hash_file]") {
  test::Hashes recorded;
  CHECK(recorded.difference("b/one", 7) == "");
  CHECK(recorded.difference("a/two", 8) == "");
  CHECK(recorded.difference("b/one", 9) != "");  // another way to compute it must give the same
  CHECK(recorded.difference("c", 0) != "");
  std::ostringstream text;
  recorded.write(text);
  CHECK(text.str() == "a/two 0x0000000000000008\nb/one 0x0000000000000007\n");
}

TEST_CASE("hashes: FNV-1a, lowest byte first", "[support][hash_file]") {
  CHECK(test::Hash().add('a', 1).value() == 0xaf63dc4c8601ec8cu);  // as published
  CHECK(test::Hash().add(std::uint64_t{0x6261}, 2).value() == test::Hash().add('a', 1).add('b', 1).value());
  CHECK(test::Hash().add(std::vector<float>{1.0f}).value() == test::Hash().add(std::uint64_t{0x3f800000}).value());
}
