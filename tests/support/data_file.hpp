// Reads the text files of tests/data, one case each:
//
//   case NAME
//   attribute NAME VALUE
//   tolerance RELATIVE ABSOLUTE
//   input|output NAME DTYPE SHAPE...
//   all values of that array on one line, row-major
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace test {

struct Array {
  std::string dtype;  // f32, f16, bf16, i64 or bool
  std::vector<std::int64_t> shape;
  std::vector<double> values;

  std::vector<float> floats() const { return convert<float>(); }
  std::vector<std::int64_t> integers() const { return convert<std::int64_t>(); }

 private:
  template <class T>
  std::vector<T> convert() const {
    std::vector<T> result;
    result.reserve(values.size());
    for (const double value : values) result.push_back(static_cast<T>(value));
    return result;
  }
};

struct DataFile {
  std::string name;
  double relative_tolerance = 0, absolute_tolerance = 0;
  std::map<std::string, std::string> attributes;
  std::map<std::string, Array> arrays;

  // Throw std::runtime_error if there is none of that name.
  const Array& array(const std::string& key) const { return find(arrays, key); }
  std::int64_t integer(const std::string& key) const { return std::stoll(find(attributes, key)); }

 private:
  template <class T>
  const T& find(const std::map<std::string, T>& map, const std::string& key) const {
    const auto found = map.find(key);
    if (found == map.end()) throw std::runtime_error(name + " has no " + key);
    return found->second;
  }
};

// Values as strtod reads them, nan and inf too. Throws std::runtime_error.
inline std::vector<double> read_values(const std::string& line) {
  std::vector<double> values;
  const char* at = line.c_str();
  for (;;) {
    char* end;
    const double value = std::strtod(at, &end);
    if (end == at) break;
    values.push_back(value);
    at = end;
  }
  if (line.find_first_not_of(" \r", static_cast<std::size_t>(at - line.c_str())) != std::string::npos)
    throw std::runtime_error("not a number: " + std::string(at).substr(0, 40));
  return values;
}

// Throws std::runtime_error that names the file.
inline DataFile read_data_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  DataFile result;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string keyword, name;
    words >> keyword;
    if (keyword == "case") {
      words >> result.name;
    } else if (keyword == "attribute") {
      words >> name >> result.attributes[name];
    } else if (keyword == "tolerance") {
      words >> result.relative_tolerance >> result.absolute_tolerance;
    } else if (keyword == "input" || keyword == "output") {
      words >> name;
      Array& array = result.arrays[name];
      words >> array.dtype;
      std::int64_t count = 1;
      for (std::int64_t size; words >> size; count *= size) array.shape.push_back(size);
      std::getline(file, line);
      array.values = read_values(line);
      if (static_cast<std::int64_t>(array.values.size()) != count)
        throw std::runtime_error(
            path + ": " + name + " has " + std::to_string(array.values.size()) + " values, not " +
            std::to_string(count));
    }  // other keywords, such as opset, are notes
  }
  return result;
}

// max |got - want|; infinity if the sizes differ, NaN if there is one.
inline double largest_error(const std::vector<float>& got, const Array& want) {
  if (got.size() != want.values.size()) return std::numeric_limits<double>::infinity();
  double error = 0;
  for (std::size_t i = 0; i < got.size() && !std::isnan(error); ++i) {
    const double difference = std::fabs(static_cast<double>(got[i]) - want.values[i]);
    if (!(difference <= error)) error = difference;
  }
  return error;
}

}  // namespace test
