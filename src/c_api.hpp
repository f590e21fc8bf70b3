// What the functions of the C interface share: messages, structs that start with their size, exceptions.
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

#include "attn/attn.h"
#include "attn/attn.hpp"

namespace attn::c_api {

inline void copy_message(const char* from, char* message, size_t size) noexcept {
  if (!message || size == 0) return;
  const size_t length = std::min(std::strlen(from), size - 1);
  std::memcpy(message, from, length);
  message[length] = '\0';
}

inline attn_status_code report(const attn::Status& status, char* message, size_t size) noexcept {
  copy_message(status.message(), message, size);
  return static_cast<attn_status_code>(status.code());
}

// attn_parallel and attn::Parallel have the same members. Function pointer types with and without C linkage
// may differ in theory, and do not on any ABI served here.
inline attn::Parallel convert(const attn_parallel& p) noexcept { return {p.run, p.context, p.threads}; }

// Copies a struct that starts with its size. A caller's older header has fewer fields, and the rest keep the defaults
// in `to`; a newer one may use fields unknown here.
template <class Struct>
attn::Status read_struct(const char* name, const Struct* from, Struct& to) noexcept {
  if (!from) return attn::Status(attn::StatusCode::invalid_argument, "%s is null", name);
  if (from->size < sizeof from->size || from->size > sizeof to)
    return attn::Status(
        attn::StatusCode::invalid_argument,
        "%s->size must be the size of the struct, %zu, or of an older version's, got %zu", name, sizeof to, from->size);
  std::memcpy(&to, from, from->size);
  return {};
}

// The same for a struct with a member `initialized`, whose zeros are not its defaults.
template <class Struct>
attn::Status read_initialized(
    const char* name, const Struct* from, void (*init)(Struct*), const char* init_name, Struct& to) noexcept {
  init(&to);
  to.initialized = 0;  // a size that ends before it has not set it
  attn::Status status = read_struct(name, from, to);
  if (status.ok() && to.initialized != 1)
    return attn::Status(
        attn::StatusCode::invalid_argument, "%s->initialized is %lld: call %s first", name,
        static_cast<long long>(to.initialized), init_name);
  return status;
}

// Runs f, which may throw; what it threw as a status.
template <class Function>
attn::Status caught(const Function& f) noexcept {
  try {
    f();
    return {};
  } catch (const std::invalid_argument& error) {
    return attn::Status(attn::StatusCode::invalid_argument, "%s", error.what());
  } catch (const std::bad_alloc&) {
    return attn::Status(attn::StatusCode::out_of_memory, "memory could not be allocated");
  } catch (const std::exception& error) {
    return attn::Status(attn::StatusCode::unsupported, "%s", error.what());
  }
}

}  // namespace attn::c_api
