#include "openblas.hpp"

#include <dlfcn.h>

namespace bench::openblas {
namespace {

template <class Function>
Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

bool here() {
  return find<char*()>("openblas_get_config") && find<char*()>("openblas_get_corename") &&
      find<int()>("openblas_get_num_threads") && find<void(int)>("openblas_set_num_threads");
}

std::string config() { return find<char*()>("openblas_get_config")(); }
std::string core() { return find<char*()>("openblas_get_corename")(); }
int threads() { return find<int()>("openblas_get_num_threads")(); }
void set_threads(int count) { find<void(int)>("openblas_set_num_threads")(count); }

}  // namespace bench::openblas
