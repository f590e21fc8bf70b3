// Stored hashes of results: same_bits/hashes.txt, a line "name hash" for each. `sh cmake/dev.sh hashes` rewrites it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

namespace test {

// FNV-1a over the bits, lowest byte first.
class Hash {
 public:
  Hash& add(std::uint64_t bits, int bytes = 4) {
    for (int i = 0; i < bytes; ++i) value_ = (value_ ^ (bits >> (8 * i) & 255u)) * 0x100000001b3u;
    return *this;
  }
  Hash& add(const std::vector<float>& x);
  Hash& add(const std::vector<std::uint32_t>& x);
  Hash& add(const std::vector<std::uint16_t>& x);
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

class Hashes {
 public:
  // Throws std::runtime_error for a line that is no "name hash", and for a name that stands twice.
  explicit Hashes(std::istream& stored);
  // Takes the first hash of each name for the stored one.
  Hashes() : recording_(true) {}

  // "" if `got` is what is stored under `name`, else a sentence for CHECK(... == ""). 0 is what a failed call gives.
  std::string difference(const std::string& name, std::uint64_t got);
  // The names that nothing has asked for, a line each.
  std::string unused() const;
  bool used() const;
  void write(std::ostream& out) const;

 private:
  struct Entry {
    std::uint64_t hash;
    bool used;
  };
  std::map<std::string, Entry> entries_;
  bool recording_ = false;
};

// Those of hashes.txt; with ATTN_WRITE_HASHES=<file>, which main() writes, those of this run.
Hashes& hashes();

inline std::string hash_difference(const std::string& name, std::uint64_t got) {
  return hashes().difference(name, got);
}

}  // namespace test
