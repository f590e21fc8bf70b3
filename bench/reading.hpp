// How fast one core reads memory, or a cache that the data fit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

// Reads `bytes`, a multiple of 512, so many times, with the widest loads of the best instruction set that runs here.
// Returns the bitwise or of its words, so that no load can be left out.
std::uint64_t read(const void* data, std::size_t bytes, std::int64_t times);

}  // namespace bench
