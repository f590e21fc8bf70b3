/* attn's version, for C and C++. It stands here only: the build, the CMake package and attn.pc read these lines. */
#ifndef ATTN_VERSION_H
#define ATTN_VERSION_H

#define ATTN_VERSION_MAJOR 0
#define ATTN_VERSION_MINOR 1
#define ATTN_VERSION_PATCH 0

/* "0.1.0", of the headers. */
#define ATTN_VERSION_STRING ATTN_VERSION_JOIN(ATTN_VERSION_MAJOR, ATTN_VERSION_MINOR, ATTN_VERSION_PATCH)
#define ATTN_VERSION_JOIN(a, b, c) ATTN_VERSION_QUOTE(a) "." ATTN_VERSION_QUOTE(b) "." ATTN_VERSION_QUOTE(c)
#define ATTN_VERSION_QUOTE(number) #number

#include "macros_off.h"

#ifdef __cplusplus
namespace attn {

// ATTN_VERSION_STRING of the library that is linked; attn_version() in C.
[[nodiscard]] const char* version() noexcept;

}  // namespace attn
#endif

#include "macros_on.h"

#endif
