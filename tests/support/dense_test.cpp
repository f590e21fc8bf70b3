// The view that other tests find their elements with.
#include "support/dense.hpp"

#include <numeric>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

TEST_CASE("dense: the last index runs fastest, and none leaves the array", "[support][dense]") {
  std::vector<int> x(2 * 3 * 4);
  std::iota(x.begin(), x.end(), 0);
  const test::Dense view(x, 2, 3, 4);
  CHECK(view(0, 0, 0) == 0);
  CHECK(view(0, 0, 3) == 3);
  CHECK(view(0, 2, 0) == 8);
  CHECK(view(1, 2, 3) == 23);
  view(1, 0, 0) = 99;
  CHECK(x[12] == 99);
  CHECK_THROWS_AS(view(2, 0, 0), std::out_of_range);
  CHECK_THROWS_AS(view(0, 3, 0), std::out_of_range);  // inside the vector, outside its row
  CHECK_THROWS_AS(view(0, 0, -1), std::out_of_range);
  CHECK_THROWS_AS(test::Dense(x, 2, 3, 5), std::logic_error);
  const std::vector<int>& constant = x;
  STATIC_REQUIRE(std::is_same_v<decltype(test::Dense(constant, 24)(0)), const int&>);
}
