// Do two strided boxes share a byte, has one two elements at one address? The library's answers against bytes that are
// marked one by one, and in time for strides chosen to make the question hard.
#include <chrono>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "check/view.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"

namespace {

using attn::StatusCode;
using attn::check::View;
using std::int64_t;

constexpr int64_t most_bytes = 1 << 16;
char* const base = reinterpret_cast<char*>(std::uintptr_t{1} << 30);  // nothing is read

// Calls f(byte) with the first byte of every element, counted from base.
template <class Function>
void for_elements(const View& v, const Function& f) {
  for (int64_t b = 0; b < v.size[0]; ++b)
    for (int64_t h = 0; h < v.size[1]; ++h)
      for (int64_t r = 0; r < v.size[2]; ++r)
        for (int64_t c = 0; c < v.size[3]; ++c)
          f(v.data - base + v.element_bytes * (b * v.stride[0] + h * v.stride[1] + r * v.stride[2] + c * v.stride[3]));
}

// How many views have marked a byte.
class Marks {
 public:
  void clear() { std::fill(counts_.begin(), counts_.end(), 0); }
  int64_t shared(const View& a, const View& b) {
    mark(a, 1);
    int64_t shared = 0;
    for_elements(b, [&](int64_t at) {
      for (int64_t i = 0; i < b.element_bytes; ++i) shared += counts_.at(at + i);
    });
    mark(a, -1);
    return shared;
  }
  bool distinct(const View& v) {
    bool distinct = true;
    for_elements(v, [&](int64_t at) { distinct &= counts_.at(at)++ == 0; });
    for_elements(v, [&](int64_t at) { counts_.at(at) = 0; });
    return distinct;
  }

 private:
  void mark(const View& v, int by) {
    for_elements(v, [&](int64_t at) {
      for (int64_t i = 0; i < v.element_bytes; ++i) counts_.at(at + i) += by;
    });
  }
  std::vector<int> counts_ = std::vector<int>(most_bytes);
};

std::string describe(const View& v) {
  std::string text = std::to_string(v.element_bytes) + " bytes at " + std::to_string(v.data - base) + ", sizes";
  for (const int64_t n : v.size) text += " " + std::to_string(n);
  text += ", strides";
  for (const int64_t s : v.stride) text += " " + std::to_string(s);
  return text;
}

View measured(View v) {
  attn::throw_if_error(measure(v));
  return v;
}

// A box with random sizes up to `size`, and strides up to `stride` that are multiples of `pitch`, or where `nests` of
// what is below them. Somewhere in the middle of most_bytes.
View box(test::Random& random, const char* name, int64_t size, int64_t stride, int64_t pitch, int64_t place) {
  View v{name, base + most_bytes / 2 + place, {1, 1, 1, 1}, {0, 0, 0, 1}, int64_t{1} << random.integer(0, 3)};
  if (random.flip()) v.data -= (v.data - base) % v.element_bytes;
  int64_t extent = 1;
  for (int i = 3; i >= 0; --i) {
    if (random.integer(0, 3) > 0) v.size[i] = random.integer(1, size);
    v.stride[i] = random.flip() ? random.integer(0, stride) : random.integer(0, stride / pitch) * pitch;
    if (random.integer(0, 3) == 0) v.stride[i] = extent;
    if (i == 3 && random.flip()) v.stride[i] = 1;  // else as a mask's
    extent = std::max(extent, v.size[i] * v.stride[i]);
    if (random.integer(0, 3) == 0) v.stride[i] = -v.stride[i];
  }
  return v;
}

bool fits(const View& v) {
  return v.begin >= reinterpret_cast<std::uintptr_t>(base) &&
      v.end <= reinterpret_cast<std::uintptr_t>(base) + most_bytes;
}

}  // namespace

TEST_CASE("strided: two boxes share a byte or do not, as marking every byte says", "[refused][view]") {
  test::Random random(201);
  CAPTURE(random.seed());
  Marks marks;
  int tried[2] = {};
  const struct {
    int64_t size, stride, place, rounds;
  } kinds[] = {{3, 12, 30, 200000}, {4, 40, 100, 100000}, {9, 90, 200, 10000}, {20, 1000, 2000, 3000}};
  for (const auto& kind : kinds)
    for (int64_t round = 0; round < (test::quick() ? kind.rounds / 10 : kind.rounds); ++round) {
      const int64_t pitch = random.integer(1, 8);
      const View a = measured(box(random, "a", kind.size, kind.stride, pitch, 0));
      View b = measured(box(random, "b", kind.size, kind.stride, pitch, random.integer(-kind.place, kind.place)));
      if (random.flip()) {
        std::copy_n(a.stride, 4, b.stride);
        b.element_bytes = a.element_bytes;
        b = measured(b);
      }
      if (!fits(a) || !fits(b)) continue;
      const bool shared = marks.shared(a, b) > 0;
      if (a.begin < b.end && b.begin < a.end) ++tried[shared];
      const attn::Status status = disjoint(a, b);
      if (status.ok() == shared || disjoint(b, a).ok() == shared || status.code() == StatusCode::unsupported)
        FAIL_CHECK(
            describe(a) << "; " << describe(b) << ": they share " << (shared ? "bytes" : "none") << ", but: '"
                        << status.message() << "'");
    }
  CHECK(tried[0] > (test::quick() ? 2000 : 20000));  // of those whose hulls overlap
  CHECK(tried[1] > (test::quick() ? 2000 : 20000));
}

TEST_CASE("strided: a box has two elements at one address or has not, as marking says", "[refused][view]") {
  test::Random random(202);
  CAPTURE(random.seed());
  Marks marks;
  int tried[2] = {};
  for (const int64_t size : {2, 4, 9, 30})
    for (int round = 0; round < (test::quick() ? 2000 : 30000); ++round) {
      View v = box(random, "result", size, size * size * 2, random.integer(1, 8), 0);
      v.stride[3] = 1;  // of results
      v = measured(v);
      if (!fits(v)) continue;
      const bool distinct = marks.distinct(v);
      ++tried[distinct];
      const attn::Status status = distinct_elements(v);
      if (status.ok() != distinct || status.code() == StatusCode::unsupported)
        FAIL_CHECK(
            describe(v) << ": " << (distinct ? "distinct" : "not distinct") << ", but: '" << status.message() << "'");
      if (!distinct) CHECK(std::string(status.message()).find("_stride makes elements overlap") != std::string::npos);
    }
  CHECK(tried[0] > 1000);
  CHECK(tried[1] > 1000);
  const View v = measured({"result", base, {1, 2, 2, 1}, {0, 2, 3, 1}});  // 0, 2, 3, 5
  CHECK(distinct_elements(v).ok());
}

TEST_CASE("strided: large numbers are as exact as small ones", "[refused][view]") {
  // Two lattices of rows with strides p and q meet at multiples of p * q alone, if p and q have no common factor.
  const int64_t p = 1000003, q = 999983;
  for (const int64_t bytes : {1, 2, 4, 8})
    for (const bool enough : {false, true}) {
      const int64_t rows = q + (enough ? 1 : 0);  // of a: the last one is at p * q
      const View a = measured({"a", base, {1, 1, rows, 1}, {0, 0, p, 1}, bytes});
      const View b = measured({"b", base + p * bytes * 7, {1, 1, 2 * p, 1}, {0, 0, q, 1}, bytes});
      // p * 7 + q * y = p * x at x = 7, y = 0; without the first row at x = q + 7, beyond a.
      CHECK_FALSE(disjoint(a, b).ok());
      const View c = measured({"c", base + (p * 7 + q) * bytes, {1, 1, 2 * p, 1}, {0, 0, q, 1}, bytes});
      CHECK(disjoint(a, c).ok());
      const View d = measured({"d", base + q * bytes, {1, 1, 2 * p, 1}, {0, 0, q, 1}, bytes});  // first meets at p * q
      CHECK(disjoint(d, a).ok() != enough);
      const View e = measured({"e", base, {1, q + (enough ? 1 : 0), p + 1, 1}, {0, p, q, 1}, bytes});
      CHECK(distinct_elements(e).ok() != enough);
    }
}

TEST_CASE("strided: a box that leaves the addresses there are is refused", "[refused][view]") {
  const int64_t far = int64_t{1} << 59;
  for (const int64_t bytes : {1, 2, 4, 8}) {
    View below{"below", base, {1, 1, 2, 1}, {0, 0, -far, 1}, bytes};
    CHECK_FALSE(measure(below).ok());
    View wide{"wide", base, {1, 2, 2, 1}, {0, far - 1, far, 1}, bytes};
    CHECK(measure(wide).ok() == (bytes <= 4));
    View array = attn::check::view("array", reinterpret_cast<const int64_t*>(base), int64_t{1} << 60);
    CHECK_FALSE(measure(array).ok());
  }
}

TEST_CASE("strided: no strides make it hang, and what shares a byte is never let through", "[refused][view]") {
  test::Random random(203);
  CAPTURE(random.seed());
  int unknown = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0; round < (test::quick() ? 20 : 200); ++round) {
    View a{"a", base, {1, 1, 1, 1}, {0, 0, 0, 1}, 4}, b{"b", base, {1, 1, 1, 1}, {0, 0, 0, 1}, 4};
    const int64_t size = int64_t{1} << random.integer(2, 16), stride = int64_t{1} << random.integer(18, 38);
    int64_t inside_a = 0, inside_b = 0;  // an element of each
    for (int i = 0; i < 4; ++i)
      for (View* v : {&a, &b}) {
        if (i == 3 && v == &a) continue;
        v->size[i] = random.integer(size / 2, size);
        v->stride[i] = random.integer(stride / 2, stride) | 1;
        (v == &a ? inside_a : inside_b) += v->stride[i] * random.integer(0, v->size[i] - 1);
      }
    a.data += int64_t{1} << 60;
    b.data = a.data + 4 * (inside_a - inside_b);  // they share that element
    if (!measure(a).ok() || !measure(b).ok()) continue;
    const attn::Status status = disjoint(a, b);
    CHECK_FALSE(status.ok());
    if (status.code() == StatusCode::unsupported) {
      ++unknown;
      CHECK(std::string(status.message()).find("too irregular") != std::string::npos);
    }
    b.data += 2;
    b.element_bytes = 4;
    static_cast<void>(disjoint(a, measured(b)));
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  CHECK(seconds.count() < 120);  // about 20 ms a pair at worst, also in a sanitizer or an emulator under half a second
  CHECK(unknown > 0);  // some are as hard as that
}
