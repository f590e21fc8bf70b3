#include "attn/attn.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "attn/attn.hpp"

struct attn_thread_pool {
  attn::ThreadPool pool;
  explicit attn_thread_pool(int64_t threads) : pool(threads) {}
};

namespace {

void copy_message(const char* from, char* message, size_t size) noexcept {
  if (!message || size == 0) return;
  const size_t length = std::min(std::strlen(from), size - 1);
  std::memcpy(message, from, length);
  message[length] = '\0';
}

attn_status_code report(const attn::Status& status, char* message, size_t size) noexcept {
  copy_message(status.message(), message, size);
  return static_cast<attn_status_code>(status.code());
}

attn::Tensor convert(const attn_tensor& t) noexcept {
  return {t.data, static_cast<attn::DType>(t.dtype), t.batch_stride, t.head_stride, t.row_stride};
}
attn::Output convert(const attn_output& t) noexcept { return {t.data, t.batch_stride, t.head_stride, t.row_stride}; }

// attn_parallel and attn::Parallel have the same members; a C++ function pointer type with C linkage may differ in
// theory from one without, and on every ABI served here does not.
attn::Parallel convert(const attn_parallel& p) noexcept { return {p.run, p.context, p.threads}; }

// A caller built against an older header has fewer fields; the rest keep their defaults. One built against a newer
// header may use fields unknown here.
attn::Status read_args(const attn_attention_args* from, attn_attention_args& c) noexcept {
  attn_attention_args_init(&c);
  if (!from) return attn::Status(attn::StatusCode::invalid_argument, "args is null");
  if (from->size < sizeof from->size || from->size > sizeof c)
    return attn::Status(attn::StatusCode::invalid_argument, "args->size must be sizeof(attn_attention_args) = %zu or that of an older version, got %zu",
                        sizeof c, from->size);
  std::memcpy(&c, from, from->size);
  return {};
}

attn::AttentionArgs convert(const attn_attention_args& c, attn::Parallel& parallel) noexcept {
  attn::AttentionArgs a;
  a.batch = c.batch;
  a.query_heads = c.query_heads;
  a.kv_heads = c.kv_heads;
  a.query_length = c.query_length;
  a.key_length = c.key_length;
  a.head_dim = c.head_dim;
  a.value_dim = c.value_dim;
  a.query = convert(c.query);
  a.key = convert(c.key);
  a.value = convert(c.value);
  a.output = convert(c.output);
  a.weights = convert(c.weights);
  a.scores = convert(c.scores);
  a.scores_stage = static_cast<attn::ScoresStage>(c.scores_stage);
  a.logsumexp = c.logsumexp;
  a.scale = c.scale;
  a.softcap = c.softcap;
  a.causal = c.causal != 0;
  a.window_left = c.window_left;
  a.window_right = c.window_right;
  a.alignment = static_cast<attn::Alignment>(c.alignment);
  a.query_offsets = c.query_offsets;
  a.key_lengths = c.key_lengths;
  a.mask = {c.mask.data, c.mask.batch_stride, c.mask.head_stride, c.mask.row_stride, c.mask.column_stride};
  a.bias = {c.bias.data, c.bias.batch_stride, c.bias.head_stride, c.bias.row_stride, c.bias.column_stride};
  a.alibi_slopes = c.alibi_slopes;
  a.sinks = c.sinks;
  a.path = static_cast<attn::Path>(c.path);
  if (c.parallel) {
    parallel = convert(*c.parallel);
    a.parallel = &parallel;
  }
  a.workspace = c.workspace;
  a.workspace_bytes = c.workspace_bytes;
  return a;
}

}  // namespace

void attn_attention_args_init(attn_attention_args* args) {
  if (!args) return;
  const attn::AttentionArgs defaults;
  *args = attn_attention_args{};
  args->size = sizeof *args;
  args->batch = defaults.batch;
  args->query_heads = defaults.query_heads;
  args->kv_heads = defaults.kv_heads;
  args->window_left = defaults.window_left;
  args->window_right = defaults.window_right;
}

attn_status_code attn_attention(const attn_attention_args* args, char* message, size_t message_size) {
  attn_attention_args c;
  attn::Status status = read_args(args, c);
  attn::Parallel parallel;
  if (status.ok()) status = attn::attention(convert(c, parallel));
  return report(status, message, message_size);
}

size_t attn_workspace_size(const attn_attention_args* args) {
  attn_attention_args c;
  attn::Parallel parallel;
  return read_args(args, c).ok() ? attn::workspace_size(convert(c, parallel)) : 0;
}

attn_status_code attn_softmax(const float* x, float* y, int64_t rows, int64_t columns, int64_t x_row_stride,
                              int64_t y_row_stride, float scale, char* message, size_t message_size) {
  return report(attn::softmax(x, y, rows, columns, x_row_stride, y_row_stride, scale), message, message_size);
}

attn_thread_pool* attn_thread_pool_create(int64_t threads, char* message, size_t message_size) {
  try {
    attn_thread_pool* pool = new attn_thread_pool(threads);
    copy_message("", message, message_size);
    return pool;
  } catch (const std::exception& error) {
    copy_message(error.what(), message, message_size);
    return nullptr;
  }
}

attn_parallel attn_thread_pool_parallel(attn_thread_pool* pool) {
  const attn::Parallel p = pool->pool.parallel();
  return {p.run, p.context, p.threads};
}

void attn_thread_pool_destroy(attn_thread_pool* pool) { delete pool; }

size_t attn_isa_count(void) { return attn::isa_count(); }
const char* attn_isa_name(size_t index) { return index < attn::isa_count() ? attn::isa(index).name : nullptr; }
int attn_isa_runnable(size_t index) { return index < attn::isa_count() && attn::isa(index).runnable ? 1 : 0; }
const char* attn_active_isa(void) { return attn::active_isa(); }
attn_status_code attn_use_isa(const char* name, char* message, size_t message_size) {
  return report(attn::use_isa(name), message, message_size);
}

#define ATTN_STRING(x) #x
#define ATTN_VERSION_STRING(major, minor, patch) ATTN_STRING(major) "." ATTN_STRING(minor) "." ATTN_STRING(patch)
const char* attn_version(void) {
  return ATTN_VERSION_STRING(ATTN_VERSION_MAJOR, ATTN_VERSION_MINOR, ATTN_VERSION_PATCH);
}
