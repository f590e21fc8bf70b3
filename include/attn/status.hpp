// Status: how every call says that it worked, or which argument was wrong.
#pragma once

#include "attn/macros_off.h"
// No macro has a name that stands below, until macros_on.h.
#include <cstddef>
#include <stdexcept>

namespace attn {

enum class StatusCode : int {
  ok = 0,
  invalid_argument = 1,  // the message names the argument and its value; nothing was written
  unsupported = 2,  // a valid request that this version or this path does not serve; nothing was written
  out_of_memory = 3,  // the call could not allocate its workspace; nothing was written
};

// Holds its message in its own storage: making, copying and destroying one never allocates.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;  // ok

  // printf-like: Status(StatusCode::invalid_argument, "batch must be at least 0, got %lld", n).
  // A message of over 191 characters is cut.
  [[gnu::__format__(__printf__, 3, 4)]] Status(StatusCode code, const char* format, ...) noexcept;

  [[nodiscard]] bool ok() const noexcept { return code_ == StatusCode::ok; }
  [[nodiscard]] StatusCode code() const noexcept { return code_; }
  // A C string that lives as long as this object; empty if ok.
  [[nodiscard]] const char* message() const noexcept { return message_; }

 private:
  StatusCode code_ = StatusCode::ok;
  char message_[192] = "";
};

// The same class, for programs that cannot write Status because Xlib.h, or another header, has a macro of that name.
using CallStatus = Status;

// For those who like exceptions: std::invalid_argument, std::bad_alloc or std::runtime_error (unsupported).
void throw_if_error(const Status& status);

}  // namespace attn

#include "attn/macros_on.h"
