// The command line of attn_bench.
#pragma once

#include <vector>

#include "shape.hpp"

namespace bench {

// Takes the program's own options out of the arguments, into settings(), and returns the shapes of --shape. A wrong
// one ends the program with what is wrong. `--option value` and `--option=value` are the same.
std::vector<AttentionRow> take_flags(int& argc, char** argv);

}  // namespace bench
