#include "flags.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>

#include "bench.hpp"

namespace bench {
namespace {

constexpr const char* help =
    "attn_bench [--shape=%s]          attention of this shape alone; several times\n"
    "           [--long]              the rows that take long, too\n"
    "           [--threads=2,8,...]   beside one thread; by default 2, 4 ... and all that the machine has\n"
    "           [--sample-seconds=S]  the least time of a sample, by default 0.01\n"
    "           [--no-errors]         without the results in double, which take longer than the calls\n"
    "           [--list-shapes]       prints each row of attention and each cell of the grid with its shape and bytes\n"
    "  and these options:\n\n";

[[noreturn]] void stop(const std::string& option, const std::string& value, const std::string& problem) {
  std::fprintf(stderr, "error: %s %s: %s\n", option.c_str(), value.c_str(), problem.c_str());
  std::exit(1);
}

AttentionRow shape_of(const std::string& text) {
  AttentionRow row;
  const std::string problem = set_shape(row, text);
  if (!problem.empty()) stop("--shape", text, problem + "; a shape is " + shape_words);
  return row;
}

std::vector<std::int64_t> threads_of(const std::string& text) {
  std::vector<std::int64_t> result{1};  // what the plain loops, options and cells of the grid have
  std::istringstream stream(text + ",");
  for (std::string word; std::getline(stream, word, ',');) {
    std::istringstream number(word);
    std::int64_t count = 0;
    if (!(number >> count) || !number.eof() || count < 1 || count > 4096)
      stop("--threads", text, "\"" + word + "\" is not a number from 1 to 4096");
    result.push_back(count);
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::vector<std::int64_t> all_threads() {
  const std::int64_t most = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::int64_t> result;
  for (std::int64_t count = 1; count < most; count *= 2) result.push_back(count);
  result.push_back(most);
  return result;
}

double seconds_of(const std::string& text) {
  std::istringstream stream(text);
  double seconds = 0;
  if (!(stream >> seconds) || !stream.eof() || !(seconds > 0) || seconds > 60)
    stop("--sample-seconds", text, "not a number above 0, of at most 60");
  return seconds;
}

}  // namespace

std::vector<AttentionRow> take_flags(int& argc, char** argv) {
  std::vector<AttentionRow> shapes;
  settings().threads = all_threads();
  int kept = 0;
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i], option = word.substr(0, word.find('='));
    const auto value = [&]() -> std::string {
      if (option != word) return word.substr(option.size() + 1);
      ++i;
      return i < argc ? argv[i] : "";
    };
    if (option == "--shape") {
      shapes.push_back(shape_of(value()));
    } else if (option == "--threads") {
      settings().threads = threads_of(value());
    } else if (option == "--sample-seconds") {
      settings().sample_seconds = seconds_of(value());
    } else if (word == "--long") {
      settings().long_rows = true;
    } else if (word == "--no-errors") {
      settings().errors = false;
    } else if (word == "--list-shapes") {
      settings().list_shapes = true;
    } else {
      if (word == "--help") std::printf(help, shape_words);  // the library of benchmarks then lists its own, and ends
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return shapes;
}

}  // namespace bench
