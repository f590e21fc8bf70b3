#include "examples/encoder/safetensors.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace encoder {
namespace {

constexpr std::int64_t largest_header = 100000000;  // bytes, as the format's own reader has it

// ---- The header ----

// Reads what a header may hold of JSON: objects of objects, strings, and lists of whole numbers.
class HeaderParser {
 public:
  explicit HeaderParser(const std::string& text) : text_(text) {}

  std::map<std::string, TensorInfo> tensors() {
    std::map<std::string, TensorInfo> result;
    members([&](const std::string& name) {
      if (name == "__metadata__") return members([&](const std::string&) { string(); });
      if (!result.emplace(name, tensor(name)).second) fail("a second tensor " + name);
    });
    if (peek() != '\0' || at_ < text_.size()) fail("more than one object");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(what + " at byte " + std::to_string(at_) + " of the header");
  }

  char peek() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) && text_[at_] != '\0') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(std::string("no '") + c + "'");
  }

  std::string string() {
    expect('"');
    std::string result;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (static_cast<unsigned char>(text_[at_]) < ' ') fail("a control character in a string");
      if (text_[at_] == '\\') result += text_[at_++];  // escapes stay as they are written: names have none
      if (at_ < text_.size()) result += text_[at_++];
    }
    if (at_ == text_.size()) fail("a string without end");
    ++at_;
    return result;
  }

  std::int64_t number() {
    std::int64_t n = 0;
    const char first = peek();
    const std::size_t start = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, text_[at_] - '0', &n))
        fail("a number too large");
    if (at_ == start || (first == '0' && at_ > start + 1)) fail("not a whole number");
    return n;
  }

  std::vector<std::int64_t> numbers() {
    std::vector<std::int64_t> result;
    expect('[');
    if (take(']')) return result;
    do result.push_back(number());
    while (take(','));
    expect(']');
    return result;
  }

  // {"name": value, ...}: read_value(name) reads each value.
  template <class ReadValue>
  void members(const ReadValue& read_value) {
    expect('{');
    if (take('}')) return;
    do {
      const std::string name = string();
      expect(':');
      read_value(name);
    } while (take(','));
    expect('}');
  }

  TensorInfo tensor(const std::string& name) {
    TensorInfo info;
    std::vector<std::int64_t> offsets;
    std::set<std::string> seen;
    members([&](const std::string& key) {
      if (!seen.insert(key).second) fail("tensor " + name + " has a second " + key);
      if (key == "dtype")
        info.dtype = string();
      else if (key == "shape")
        info.shape = numbers();
      else if (key == "data_offsets")
        offsets = numbers();
      else
        fail("tensor " + name + " has an unknown member " + key);
    });
    if (seen.size() != 3 || offsets.size() != 2)
      fail("tensor " + name + " lacks its dtype, shape or pair of data_offsets");
    info.begin = offsets[0];
    info.end = offsets[1];
    return info;
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

// ---- What the header says of the data ----

std::int64_t size_of(const std::string& dtype) {
  static const std::map<std::string, std::int64_t> sizes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
      {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"I64", 8},     {"U64", 8}, {"F64", 8}};
  const auto found = sizes.find(dtype);
  if (found == sizes.end()) throw std::runtime_error("unknown dtype " + dtype);
  return found->second;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t n : shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return "[" + text + "]";
}

// Throws unless the tensors fill `bytes` bytes of data one behind the other, each by its dtype and shape.
void check_data(const std::map<std::string, TensorInfo>& tensors, std::int64_t bytes) {
  std::vector<std::pair<std::int64_t, std::string>> by_place;
  for (const auto& [name, info] : tensors) {
    std::int64_t size = size_of(info.dtype);
    for (const std::int64_t n : info.shape)
      if (__builtin_mul_overflow(size, n, &size)) throw std::runtime_error("tensor " + name + " is too large");
    if (info.begin > info.end || info.end - info.begin != size)
      throw std::runtime_error(
          "tensor " + name + " has data_offsets " + shape_text({info.begin, info.end}) + ", but " + info.dtype + " " +
          shape_text(info.shape) + " needs " + std::to_string(size) + " bytes");
    by_place.emplace_back(info.begin, name);
  }
  // Empty tensors share their place with the next one: by their end they come first.
  std::sort(by_place.begin(), by_place.end(), [&](const auto& a, const auto& b) {
    return std::pair(a.first, tensors.at(a.second).end) < std::pair(b.first, tensors.at(b.second).end);
  });
  std::int64_t end = 0;
  for (const auto& [begin, name] : by_place) {
    if (begin != end)
      throw std::runtime_error(
          "tensor " + name + " begins at byte " + std::to_string(begin) + " of the data, not at " +
          std::to_string(end));
    end = tensors.at(name).end;
  }
  if (end != bytes)
    throw std::runtime_error(
        "the tensors have " + std::to_string(end) + " bytes, the file has " + std::to_string(bytes) + " for them");
}

}  // namespace

std::map<std::string, TensorInfo> parse_header(const std::string& json) { return HeaderParser(json).tensors(); }

SafeTensors::SafeTensors(const std::string& path) : path_(path), file_(path, std::ios::binary | std::ios::ate) {
  try {
    const std::int64_t size = file_ ? static_cast<std::int64_t>(file_.tellg()) : -1;
    // A folder opens, too, and says that it has the largest size.
    if (size < 0 || size == std::numeric_limits<std::int64_t>::max()) throw std::runtime_error("cannot be read");
    unsigned char bytes[8] = {};
    file_.seekg(0);
    if (size < 8 || !file_.read(reinterpret_cast<char*>(bytes), 8))
      throw std::runtime_error("ends before the length of its header");
    std::uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | bytes[i];
    if (length > largest_header || static_cast<std::int64_t>(length) > size - 8)
      throw std::runtime_error(
          "has a header of " + std::to_string(length) + " bytes in a file of " + std::to_string(size));
    std::string header(length, '\0');
    if (!file_.read(&header[0], static_cast<std::streamsize>(length))) throw std::runtime_error("cannot be read");
    data_ = 8 + static_cast<std::int64_t>(length);
    tensors_ = parse_header(header);
    check_data(tensors_, size - data_);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

const TensorInfo& SafeTensors::info(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw std::runtime_error(path_ + " has no tensor " + name);
  return found->second;
}

std::vector<float> SafeTensors::floats(const std::string& name, const std::vector<std::int64_t>& shape) {
  const TensorInfo& tensor = info(name);
  if (tensor.dtype != "F32" || tensor.shape != shape)
    throw std::runtime_error(
        path_ + ": tensor " + name + " is " + tensor.dtype + " " + shape_text(tensor.shape) + ", not F32 " +
        shape_text(shape));
  std::vector<float> values(static_cast<std::size_t>(tensor.end - tensor.begin) / sizeof(float));
  file_.seekg(data_ + tensor.begin);
  // As the bytes stand: the format is little-endian, and so are the CPUs that this library has kernels for.
  if (!file_.read(reinterpret_cast<char*>(values.data()), tensor.end - tensor.begin))
    throw std::runtime_error(path_ + ": tensor " + name + " cannot be read");
  return values;
}

}  // namespace encoder
