// What MemorySanitizer is told and asked (the preset msan); nothing in other builds.
#pragma once

#include <cstddef>

#ifdef __has_feature
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define ATTN_TEST_MSAN
#endif
#endif

namespace test {

// These bytes now count as never written.
inline void forget([[maybe_unused]] void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef ATTN_TEST_MSAN
  __msan_allocated_memory(data, bytes);
#endif
}

// Ends the program with a report if one of these bytes was never written, or computed from one that was not.
inline void expect_written([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef ATTN_TEST_MSAN
  __msan_check_mem_is_initialized(data, bytes);
#endif
}

}  // namespace test
