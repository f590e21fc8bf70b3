// Does this BLAS multiply? Exit code 0: yes; 1: no; 2: only if sizes are 64-bit, which its cblas.h denies.
#include <cblas.h>

namespace {

// The integer type that cblas.h declares for sizes.
template <class Order, class Transpose, class Int>
struct Sgemm {
  using Wide = void (*)(
      Order, Transpose, Transpose, long long, long long, long long, float, const float*, long long, const float*,
      long long, float, float*, long long);
  static constexpr bool int32 = sizeof(Int) == 4;
};
template <class Order, class Transpose, class Int>
Sgemm<Order, Transpose, Int> declared(void (*)(
    Order, Transpose, Transpose, Int, Int, Int, float, const float*, Int, const float*, Int, float, float*, Int));

const float a[] = {1, 2, 3, 4, 5, 6};  // [2, 3]
const float b[] = {7, 8, 9, 10, 11, 12};  // [3, 2]

// [2, 3] x [3, 2] + 1, row-major.
bool right(const float* c) { return c[0] == 59 && c[1] == 65 && c[2] == 140 && c[3] == 155; }

}  // namespace

int main() {
  // First, because a library that takes 64-bit sizes may crash when it is given 32-bit ones, or work by luck: the upper
  // halves of the registers are what they happen to be. Here they make every size negative to such a library, which
  // then refuses the call.
  using Declared = decltype(declared(cblas_sgemm));
  if (Declared::int32) {
    const auto sgemm = reinterpret_cast<Declared::Wide>(reinterpret_cast<void (*)()>(cblas_sgemm));
    const auto multiplies = [&](long long upper) {
      float c[] = {1, 1, 1, 1};
      sgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, upper | 2, upper | 2, upper | 3, 1.0f, a, upper | 3, b, upper | 2,
          1.0f, c, upper | 2);
      return right(c);
    };
    if (!multiplies(static_cast<long long>(0x9bad9bad00000000u))) return multiplies(0) ? 2 : 1;
  }
  float c[] = {1, 1, 1, 1};
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 3, 1.0f, a, 3, b, 2, 1.0f, c, 2);
  if (!right(c)) return 1;
  float y[] = {1, 1};  // a times the first column of b, + 1
  cblas_sgemv(CblasRowMajor, CblasNoTrans, 2, 3, 1.0f, a, 3, b, 2, 1.0f, y, 1);
  return y[0] == 59 && y[1] == 140 ? 0 : 1;
}
