#include "support/hashes.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <istream>
#include <ostream>
#include <stdexcept>

#include "support/compare.hpp"

namespace test {

namespace {

std::string digits(std::uint64_t x) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016" PRIx64, x);
  return text;
}

}  // namespace

Hash& Hash::add(const std::vector<float>& x) {
  for (const float value : x) add(bits(value));
  return *this;
}
Hash& Hash::add(const std::vector<std::uint32_t>& x) {
  for (const std::uint32_t value : x) add(value);
  return *this;
}
Hash& Hash::add(const std::vector<std::uint16_t>& x) {
  for (const std::uint16_t value : x) add(value, 2);
  return *this;
}

Hashes::Hashes(std::istream& stored) {
  for (std::string line; std::getline(stored, line);) {
    const std::size_t space = line.rfind(' ');  // names have spaces, too
    if (space == std::string::npos || space == 0) throw std::runtime_error("hashes: no \"name hash\": " + line);
    const std::string name = line.substr(0, space), hash = line.substr(space + 1);
    const std::uint64_t value = std::strtoull(hash.c_str(), nullptr, 16);
    if (hash != digits(value)) throw std::runtime_error("hashes: no hash of 16 digits: " + line);
    if (!entries_.insert({name, {value, false}}).second) throw std::runtime_error("hashes: a name twice: " + name);
  }
}

std::string Hashes::difference(const std::string& name, std::uint64_t got) {
  if (got == 0) return name + ": the call failed";
  if (recording_) entries_.insert({name, {got, true}});
  const auto found = entries_.find(name);
  if (found == entries_.end()) return name + ": no hash is stored, got " + digits(got);
  found->second.used = true;
  if (found->second.hash == got) return "";
  return name + ": got " + digits(got) + ", want " + digits(found->second.hash);
}

std::string Hashes::unused() const {
  std::string names;
  for (const auto& [name, entry] : entries_)
    if (!entry.used) names += name + "\n";
  return names;
}

bool Hashes::used() const {
  for (const auto& [name, entry] : entries_)
    if (entry.used) return true;
  return false;
}

void Hashes::write(std::ostream& out) const {
  for (const auto& [name, entry] : entries_) out << name << ' ' << digits(entry.hash) << '\n';
}

Hashes& hashes() {
  static Hashes all = [] {
    if (std::getenv("ATTN_WRITE_HASHES")) return Hashes();
    std::ifstream file(ATTN_TEST_HASHES);
    if (!file) throw std::runtime_error("cannot read " ATTN_TEST_HASHES);
    return Hashes(file);
  }();
  return all;
}

}  // namespace test
