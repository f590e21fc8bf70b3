// softmax(): bad arguments are named with their value, and nothing is written.
#include "attn/softmax.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

constexpr float canary = 123.0f;
constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max();

struct Call {
  float* x;
  float* y;
  std::int64_t rows = 3, columns = 10, x_stride = 10, y_stride = 10;
  float scale = 1;
};

attn::Status run(const Call& c) { return attn::softmax(c.x, c.y, c.rows, c.columns, c.x_stride, c.y_stride, c.scale); }

// Refused with a message that names `name` and holds `value`; x and y stay as they were.
void check_refused(std::vector<float>& memory, const Call& call, const std::string& name, const std::string& value) {
  const attn::Status status = run(call);
  INFO("message: " << status.message());
  CHECK(status.code() == attn::StatusCode::invalid_argument);
  CHECK(std::string(status.message()).find(name) != std::string::npos);
  CHECK(std::string(status.message()).find(value) != std::string::npos);
  CHECK(memory == std::vector<float>(memory.size(), canary));
}

}  // namespace

TEST_CASE("softmax: errors name the argument and write nothing", "[refused][softmax][error]") {
  std::vector<float> memory(100, canary);
  const Call good{memory.data(), memory.data() + 50};
  Call c = good;
  SECTION("null x") {
    c.x = nullptr;
    check_refused(memory, c, "x", "null");
  }
  SECTION("null y") {
    c.y = nullptr;
    check_refused(memory, c, "y", "null");
  }
  SECTION("negative rows") {
    c.rows = -3;
    check_refused(memory, c, "rows", "-3");
  }
  SECTION("negative columns") {
    c.columns = -7;
    check_refused(memory, c, "columns", "-7");
  }
  SECTION("x stride below columns") {
    c.x_stride = GENERATE(0, 9, -9);
    check_refused(memory, c, "x_row_stride", std::to_string(c.x_stride));
  }
  SECTION("y stride below columns") {
    c.y_stride = GENERATE(0, 9, -9);
    check_refused(memory, c, "y_row_stride", std::to_string(c.y_stride));
  }
  SECTION("scale is not finite") {
    c.scale = std::numeric_limits<float>::quiet_NaN();
    check_refused(memory, c, "scale", "nan");
    c.scale = std::numeric_limits<float>::infinity();
    check_refused(memory, c, "scale", "inf");
    c.scale = -c.scale;
    check_refused(memory, c, "scale", "-inf");
  }
  SECTION("more elements than an address can hold") {
    c.rows = c.columns = c.x_stride = c.y_stride = std::int64_t{1} << 40;
    check_refused(memory, c, "x", std::to_string(c.rows));
  }
  SECTION("a stride that leaves the address space") {
    c.x_stride = GENERATE(std::int64_t{top}, std::numeric_limits<std::int64_t>::min());
    check_refused(memory, c, "x", std::to_string(c.x_stride));
  }
}

TEST_CASE("softmax: overlap that is not exactly in place is an error", "[refused][softmax][error]") {
  std::vector<float> memory(100, canary);
  Call c{memory.data(), memory.data()};
  SECTION("shifted by one float") { c.y += 1; }
  SECTION("shifted by half a row") { c.y += 5; }
  SECTION("the last row of x is the first of y") { c.y += 20; }
  SECTION("x behind y") { c.x += 15; }
  SECTION("the same start, another stride") { c.y_stride = 12; }
  SECTION("the same rows upside down") {
    c.y += 20;
    c.y_stride = -10;
  }
  check_refused(memory, c, "y", "x");
}

TEST_CASE("softmax: neighbours that do not overlap are fine", "[refused][softmax]") {
  std::vector<float> memory(60, 1.0f);
  Call c{memory.data(), memory.data() + 30};
  CHECK(run(c).ok());  // one right behind the other
  CHECK(memory[29] == 1.0f);
  CHECK(memory[30] == 0.1f);
}

TEST_CASE("softmax: nothing to do is not an error", "[refused][softmax]") {
  std::vector<float> memory(4, canary);
  for (const bool null : {false, true})
    for (const std::int64_t rows : {0, 5})
      for (const std::int64_t columns : {0, 5}) {
        if (rows > 0 && columns > 0) continue;
        Call c{null ? nullptr : memory.data(), null ? nullptr : memory.data() + 2, rows, columns, columns, columns};
        INFO("rows " << rows << ", columns " << columns);
        CHECK(run(c).ok());
      }
  CHECK(memory == std::vector<float>(4, canary));
}

TEST_CASE("softmax: the stride of a single row is never used", "[refused][softmax]") {
  for (const std::int64_t stride : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-3}, top}) {
    std::vector<float> x(4, 1.0f), y(4, canary);
    Call c{x.data(), y.data(), 1, 4, stride, stride};
    CHECK(run(c).ok());
    CHECK(y == std::vector<float>(4, 0.25f));
    Call in_place{x.data(), x.data(), 1, 4, stride, 7};
    CHECK(run(in_place).ok());
    CHECK(x == std::vector<float>(4, 0.25f));
  }
}
