#include "attn/status.hpp"

#include <cstdarg>
#include <cstdio>
#include <new>

namespace attn {

Status::Status(StatusCode code, const char* format, ...) noexcept : code_(code) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message_, sizeof message_, format, arguments);
  va_end(arguments);
}

void throw_if_error(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok:
      return;
    case StatusCode::invalid_argument:
      throw std::invalid_argument(status.message());
    case StatusCode::out_of_memory:
      throw std::bad_alloc();
    case StatusCode::unsupported:
      break;
  }
  throw std::runtime_error(status.message());
}

}  // namespace attn
