// The threads of the BLAS itself, where it is an OpenBLAS; another's stay as they are.
#pragma once

extern "C" {
[[gnu::weak]] int openblas_get_num_threads();
[[gnu::weak]] void openblas_set_num_threads(int);
}

namespace test {

// So many while it lives.
class BlasThreads {
 public:
  explicit BlasThreads(int threads) {
    if (known()) openblas_set_num_threads(threads);
  }
  ~BlasThreads() {
    if (known()) openblas_set_num_threads(before_);
  }
  BlasThreads(const BlasThreads&) = delete;
  BlasThreads& operator=(const BlasThreads&) = delete;

  static bool known() { return openblas_get_num_threads && openblas_set_num_threads; }

 private:
  int before_ = known() ? openblas_get_num_threads() : 0;
};

}  // namespace test
