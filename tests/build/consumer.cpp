// The smallest user of the library: links it, computes a little, checks it. Argument: the instruction set expected to
// be active, if any. ATTN_EXPECT_BLAS=0: the library was built without a BLAS.
#include <attn/attn.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool ok = true;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::printf("FAILED: %s\n", what);
  ok = false;
}

// By its bits, since this program may be compiled with -ffast-math.
bool is_nan(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7fffffffu) > 0x7f800000u;
}

float from_bits(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// A query of 0 weighs all keys the same, so the output is the mean of the values: exact in any order of arithmetic.
void mean_of_values(attn::Path path, attn::StatusCode code) {
  const float query[] = {0, 0}, keys[] = {1, 2, 3, 4}, values[] = {1, 10, 100, 3, 30, 300};
  float output[3] = {};
  attn::AttentionArgs args;
  args.query_length = 1;
  args.key_length = 2;
  args.head_dim = 2;
  args.value_dim = 3;
  args.query = attn::bhtd(query, 1, 1, 2);
  args.key = attn::bhtd(keys, 1, 2, 2);
  args.value = attn::bhtd(values, 1, 2, 3);
  args.output = attn::bhtd(output, 1, 1, 3);
  args.path = path;
  const attn::Status status = attn::attention(args);
  expect(status.code() == code, status.ok() ? "a path that was not built is refused" : status.message());
  if (code != attn::StatusCode::ok) {
    expect(std::strstr(status.message(), "ATTN_BLAS=OFF") != nullptr, "the message says how the library was built");
    expect(output[0] == 0 && output[1] == 0 && output[2] == 0, "nothing is written");
    return;
  }
  expect(output[0] == 2 && output[1] == 20 && output[2] == 200, "attention gives the mean of the values");
}

void special_rows() {
  const float infinity = from_bits(0x7f800000u), nan = from_bits(0x7fc00000u);
  const float x[3][2] = {{-infinity, -infinity}, {nan, 1}, {0, 0}};
  float y[3][2] = {{9, 9}, {9, 9}, {9, 9}};
  const attn::Status status = attn::softmax(x[0], y[0], 3, 2, 2, 2);
  expect(status.ok(), status.message());
  expect(y[0][0] == 0 && y[0][1] == 0, "a row of -inf gives 0");
  expect(is_nan(y[1][0]) && is_nan(y[1][1]), "a row with a NaN is NaN");
  expect(y[2][0] == 0.5f && y[2][1] == 0.5f, "equal scores share the weight");
}

}  // namespace

int main(int argc, char** argv) {
  const char* isa = attn::active_isa();
  std::printf("attn runs on %s\n", isa ? isa : "nothing");
  if (argc > 1) expect(isa && std::strcmp(isa, argv[1]) == 0, "the expected instruction set is active");
  expect(std::strcmp(attn::version(), ATTN_VERSION_STRING) == 0, "the library has the version of the headers");
  const char* blas = std::getenv("ATTN_EXPECT_BLAS");
  const bool without_blas = blas && std::strcmp(blas, "0") == 0;
  mean_of_values(attn::Path::streaming, attn::StatusCode::ok);
  mean_of_values(attn::Path::blas, without_blas ? attn::StatusCode::unsupported : attn::StatusCode::ok);
  special_rows();
  return ok ? 0 : 1;
}
