#pragma once

namespace encoder {

// Compares an encoder of random weights with plain loops in double, and tries bad files. Prints what it finds; false if
// anything is wrong.
bool self_check();

}  // namespace encoder
