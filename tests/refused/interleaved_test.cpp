// Tensors that alternate in one buffer, as frameworks lay them out: taken where no element is shared, with the bits of
// separate buffers; refused by name as soon as one is.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "attn/attn.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"
#include "support/random.hpp"

namespace {

using std::int64_t;

std::size_t count(int64_t n) { return static_cast<std::size_t>(n); }

struct Sizes {
  int64_t batch, heads, rows, dim;
};

// `parts` tensors in one buffer: where the second one starts, and the strides of all.
struct Layout {
  const char* name;
  int64_t part, batch, head, row;
};
std::vector<Layout> layouts(const Sizes& s, int64_t parts) {
  const auto [b, h, t, d] = s;
  return {
      {"[B,H,cap,2D]", d, h * t * parts * d, t * parts * d, parts * d},
      {"[B,cap,2,H,D]", h * d, t * parts * h * d, d, parts * h * d},
      {"[2,B,H,cap,D]", b * h * t * d, h * t * d, t * d, d},
      {"[B,2,H,cap,D]", h * t * d, parts * h * t * d, t * d, d},
      {"[B,H,2,cap,D]", t * d, h * parts * t * d, parts * t * d, d}};
}
template <class T>
attn::Output part_of(std::vector<T>& buffer, const Layout& layout, int64_t part) {
  return {buffer.data() + part * layout.part, attn::dtype_of<T>, layout.batch, layout.head, layout.row};
}

bool named(const attn::Status& status, const std::string& one, const std::string& other) {
  const std::string text = status.message();
  return status.code() == attn::StatusCode::invalid_argument && text.find(one) != std::string::npos &&
      text.find(other) != std::string::npos;
}

bool same(attn::f16 a, attn::f16 b) { return a.bits == b.bits; }
bool same(float a, float b) { return test::bits(a) == test::bits(b); }

template <class T>
void check_cache(const Sizes& s) {
  test::Random random(211);
  const int64_t elements = s.batch * s.heads * s.rows * s.dim;
  const std::vector<float> k = random.normals(count(elements)), v = random.normals(count(elements));
  test::Problem p({s.batch, s.heads, s.heads, 1, s.rows, s.dim, s.dim}, random);
  attn::AppendArgs append;
  append.batch = s.batch;
  append.kv_heads = s.heads;
  append.head_dim = append.value_dim = s.dim;
  append.new_length = append.capacity = s.rows;
  append.key = attn::bhtd(k.data(), s.heads, s.rows, s.dim);
  append.value = attn::bhtd(v.data(), s.heads, s.rows, s.dim);
  std::vector<float> output;
  std::vector<T> alone[2] = {std::vector<T>(count(elements)), std::vector<T>(count(elements))};
  std::vector<Layout> all = layouts(s, 2);
  all.insert(all.begin(), {"apart", 0, s.heads * s.rows * s.dim, s.rows * s.dim, s.dim});
  for (const Layout& layout : all) {
    INFO(layout.name << ", B " << s.batch << ", H " << s.heads << ", cap " << s.rows << ", D " << s.dim);
    std::vector<T> buffer(count(2 * elements));
    append.key_cache = layout.part ? part_of(buffer, layout, 0) : part_of(alone[0], layout, 0);
    append.value_cache = layout.part ? part_of(buffer, layout, 1) : part_of(alone[1], layout, 0);
    std::vector<int64_t> lengths(count(s.batch));
    append.lengths = lengths.data();
    attn::Status status = attn::append(append);
    INFO(status.message());
    REQUIRE(status.ok());
    int64_t wrong = 0;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t h = 0; h < s.heads; ++h)
        for (int64_t r = 0; layout.part && r < s.rows; ++r)
          for (int64_t d = 0; d < s.dim; ++d)
            for (const int part : {0, 1})
              wrong += !same(
                  buffer[count(part * layout.part + b * layout.batch + h * layout.head + r * layout.row + d)],
                  alone[part][count(((b * s.heads + h) * s.rows + r) * s.dim + d)]);
    CHECK(wrong == 0);
    p.args.key = append.key_cache;
    p.args.value = append.value_cache;
    p.args.path = attn::Path::streaming;
    REQUIRE(attn::attention(p.args).ok());
    if (output.empty()) output = p.output;
    CHECK(test::bits_equal(p.output, output));

    if (!layout.part) continue;
    std::fill(lengths.begin(), lengths.end(), 0);
    const std::vector<T> before = buffer;
    append.value_cache.data = buffer.data() + (s.dim > 1 ? 1 : 0);  // in the keys' rows
    status = attn::append(append);
    INFO(status.message());
    CHECK(named(status, "value_cache", "key_cache"));
    CHECK(std::equal(buffer.begin(), buffer.end(), before.begin(), [](T a, T b) { return same(a, b); }));
  }
}

}  // namespace

TEST_CASE("interleaved: keys and values in one buffer, appended to and read", "[refused][kv_cache][view]") {
  for (const Sizes& s :
       {Sizes{2, 1, 1, 1}, Sizes{1, 1, 1, 1}, Sizes{1, 3, 4, 2}, Sizes{2, 3, 5, 4}, Sizes{3, 2, 17, 8}}) {
    check_cache<float>(s);
    check_cache<attn::f16>(s);
  }
}

TEST_CASE("interleaved: query, key, value and output in one buffer", "[refused][attention][view]") {
  test::Random random(212);
  for (const Sizes& s : {Sizes{2, 1, 1, 1}, Sizes{2, 3, 5, 4}, Sizes{2, 2, 19, 8}})
    for (const attn::Path path : test::paths()) {
      test::Problem p({s.batch, s.heads, s.heads, s.rows, s.rows, s.dim, s.dim}, random);
      p.args.path = path;
      REQUIRE(p.check() == "");
      const std::vector<float> want = p.output;
      for (const Layout& layout : layouts(s, 4))
        for (int64_t out = 0; out < 4; ++out) {
          INFO(layout.name << ", B " << s.batch << ", H " << s.heads << ", output is part " << out);
          std::vector<float> buffer(4 * want.size(), test::canary);
          attn::AttentionArgs a = p.args;
          attn::Tensor* inputs[] = {&a.query, &a.key, &a.value};
          for (int64_t i = 0; i < 3; ++i) {
            const attn::Output place = part_of(buffer, layout, (out + 1 + i) % 4);
            const float* from = static_cast<const float*>(inputs[i]->data);
            for (int64_t b = 0; b < s.batch; ++b)
              for (int64_t h = 0; h < s.heads; ++h)
                for (int64_t r = 0; r < s.rows; ++r, from += s.dim)
                  std::copy_n(
                      from, s.dim,
                      static_cast<float*>(place.data) + b * layout.batch + h * layout.head + r * layout.row);
            *inputs[i] = place;
          }
          a.output = part_of(buffer, layout, out);
          const attn::Status status = attn::attention(a);
          INFO(status.message());
          REQUIRE(status.ok());
          const std::vector<float> got = test::gather(a.output, s.batch, s.heads, s.rows, s.dim);
          CHECK(
              (path == attn::Path::streaming ? test::bits_difference(got, want) : test::difference(got, want, 1e-6)) ==
              "");
          a.output.data = const_cast<void*>(a.value.data);
          CHECK(named(attn::attention(a), "output", "value"));
        }
    }
}

TEST_CASE("interleaved: rows of softmax, either way up and at any pitch", "[refused][softmax][view]") {
  constexpr int64_t rows = 4, columns = 3;
  test::Random random(213);
  const std::vector<float> x = random.normals(count(rows * columns));
  std::vector<float> want(x.size());
  REQUIRE(attn::softmax(x.data(), want.data(), rows, columns, columns, columns).ok());
  const struct {
    int64_t x, x_stride, y, y_stride;
    bool fine;
  } cases[] = {{0, 6, 3, 6, true},    {0, 6, 21, -6, true}, {18, -6, 3, 6, true},
               {0, 6, 3, 12, true},   {12, 3, 0, 27, true}, {12, 3, 0, 18, false},
               {15, 6, 12, 9, false}, {0, 6, 3, 3, false},  {0, 6, 3, 9, false}};
  for (const auto& c : cases) {
    INFO("x " << c.x << " by " << c.x_stride << ", y " << c.y << " by " << c.y_stride);
    std::vector<float> buffer(100, test::canary);
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(x.data() + r * columns, columns, buffer.data() + c.x + r * c.x_stride);
    const attn::Status status =
        attn::softmax(buffer.data() + c.x, buffer.data() + c.y, rows, columns, c.x_stride, c.y_stride);
    INFO(status.message());
    CHECK(status.ok() == c.fine);
    if (!c.fine) CHECK(named(status, "y", "x"));
    for (int64_t i = 0; c.fine && i < rows * columns; ++i)
      CHECK(same(buffer[count(c.y + i / columns * c.y_stride + i % columns)], want[count(i)]));
  }
}

TEST_CASE("interleaved: the parts of merge, and its results among them", "[refused][merge][view]") {
  constexpr int64_t parts = 3, rows = 4, columns = 2;
  test::Random random(214);
  const std::vector<float> x = random.normals(count(parts * rows * columns)),
                           sums = random.normals(count(parts * rows));
  attn::MergeArgs m;
  m.parts = parts;
  m.rows = rows;
  m.value_dim = columns;
  m.outputs = x.data();
  m.part_stride = rows * columns;
  m.row_stride = columns;
  m.logsumexps = sums.data();
  m.logsumexp_part_stride = rows;
  std::vector<float> want(count(rows * columns));
  m.output = want.data();
  m.output_row_stride = columns;
  REQUIRE(attn::merge(m).ok());
  const struct {
    int64_t part, row, output, output_row;
    bool fine;
  } cases[] = {
      {columns, 4 * columns, 3 * columns, 4 * columns, true},  // [rows, parts and the output, columns]
      {columns, 4 * columns, columns, 4 * columns, true},  // in the place of the second part
      {columns, 4 * columns, columns, 8 * columns, false},  // of its first row only
      {2 * columns, 6 * columns, columns, 12 * columns, true},  // every second gap
      {2 * columns, 6 * columns, columns, 7 * columns, false},  // in a gap, then not
      {2 * rows * columns, columns, rows * columns, columns, true},  // [parts, two, rows, columns]
      {2 * rows * columns, 2 * columns, columns, 4 * columns, true}};
  for (const auto& c : cases) {
    INFO("parts by " << c.part << ", rows by " << c.row << ", output " << c.output << " by " << c.output_row);
    std::vector<float> buffer(200, test::canary);
    for (int64_t p = 0; p < parts; ++p)
      for (int64_t r = 0; r < rows; ++r)
        std::copy_n(x.data() + (p * rows + r) * columns, columns, buffer.data() + p * c.part + r * c.row);
    m.outputs = buffer.data();
    m.part_stride = c.part;
    m.row_stride = c.row;
    m.output = buffer.data() + c.output;
    m.output_row_stride = c.output_row;
    const attn::Status status = attn::merge(m);
    INFO(status.message());
    CHECK(status.ok() == c.fine);
    if (!c.fine) CHECK(named(status, "output", "outputs"));
    for (int64_t i = 0; c.fine && i < rows * columns; ++i)
      CHECK(same(buffer[count(c.output + i / columns * c.output_row + i % columns)], want[count(i)]));
  }
}
