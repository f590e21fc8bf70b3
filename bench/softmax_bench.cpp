// softmax/<isa>/<row>: bytes are those read and written once.
#include <algorithm>
#include <cmath>
#include <memory>

#include "attn/softmax.hpp"
#include "attn/status.hpp"
#include "bench.hpp"
#include "rows.hpp"
#include "tests/support/oracle.hpp"

namespace {

// max |y - y64| over the first row, relative to the largest result.
double error_of(const std::vector<float>& x, const std::vector<float>& y, std::int64_t columns) {
  const std::vector<double> right = test::softmax({x.begin(), x.begin() + columns}, 1);
  double largest = 0;
  for (std::size_t j = 0; j < right.size(); ++j)
    largest = std::max(largest, std::fabs(static_cast<double>(y[j]) - right[j]));
  return largest / *std::max_element(right.begin(), right.end());
}

bench::Work softmax(const bench::SoftmaxRow& row) {
  const auto x = std::make_shared<const std::vector<float>>(bench::normals(row.rows * row.columns, 1));
  const auto y = std::make_shared<std::vector<float>>(x->size());
  bench::Work work;
  work.call = [x, y, row] {
    attn::throw_if_error(attn::softmax(x->data(), y->data(), row.rows, row.columns, row.columns, row.columns));
  };
  work.error = [x, y, row] { return error_of(*x, *y, row.columns); };
  work.exps = static_cast<double>(x->size());
  work.bytes = 8 * work.exps;
  return work;
}

void add_all() {
  for (const bench::SoftmaxRow& row : bench::rows().softmax)
    for (const std::string& isa : bench::runnable_isas())
      bench::add("softmax/" + isa + "/" + row.name, isa, [&row] { return softmax(row); });
}

const bench::Registration registration("softmax", add_all);

}  // namespace
