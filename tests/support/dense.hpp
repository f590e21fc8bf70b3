// A dense array by its indices: Dense x(vector, batch, heads, rows, columns); x(b, h, r, c). Any number of dimensions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace test {

// The number of elements of these sizes.
template <class... Sizes>
std::size_t elements(Sizes... sizes) {
  return static_cast<std::size_t>((std::int64_t{1} * ... * static_cast<std::int64_t>(sizes)));
}

template <class T, std::size_t dimensions>
class Dense {
 public:
  // Throws if the vector has not that many elements.
  template <class Vector, class... Sizes>
  explicit Dense(Vector& x, Sizes... sizes) : data_(x.data()), sizes_{static_cast<std::int64_t>(sizes)...} {
    if (x.size() != elements(sizes...)) throw std::logic_error("Dense: a vector of another size");
  }

  // Throws for an index that is outside.
  template <class... Indices>
  T& operator()(Indices... indices) const {
    static_assert(sizeof...(Indices) == dimensions, "one index for each dimension");
    const std::array<std::int64_t, dimensions> at{static_cast<std::int64_t>(indices)...};
    std::int64_t place = 0;
    for (std::size_t i = 0; i < dimensions; ++i) {
      if (at[i] < 0 || at[i] >= sizes_[i]) throw std::out_of_range("Dense: an index outside");
      place = place * sizes_[i] + at[i];
    }
    return data_[place];
  }

 private:
  T* data_;
  std::array<std::int64_t, dimensions> sizes_;
};

template <class Vector, class... Sizes>
Dense(Vector& x, Sizes...) -> Dense<std::remove_pointer_t<decltype(x.data())>, sizeof...(Sizes)>;

}  // namespace test
