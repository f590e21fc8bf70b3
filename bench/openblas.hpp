// The functions of OpenBLAS that cblas.h does not have.
#pragma once

#include <string>

namespace bench::openblas {

// False if attn is linked to another BLAS or to none; then do not call the others.
bool here();

std::string config();  // its version and what it was built with
std::string core();  // the CPU that its kernels are for
int threads();
void set_threads(int count);

}  // namespace bench::openblas
