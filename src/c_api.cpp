#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

#include "attn/attn.h"
#include "attn/attn.hpp"

struct attn_thread_pool {
  attn::ThreadPool pool;
  explicit attn_thread_pool(int64_t threads) : pool(threads) {}
};

struct attn_multi_head {
  attn::MultiHeadAttention layer;
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
attn::Output convert(const attn_output& t) noexcept {
  return {t.data, t.batch_stride, t.head_stride, t.row_stride, static_cast<attn::DType>(t.dtype)};
}

// attn_parallel and attn::Parallel have the same members; a C++ function pointer type with C linkage may differ in
// theory from one without, and on every ABI served here does not.
attn::Parallel convert(const attn_parallel& p) noexcept { return {p.run, p.context, p.threads}; }

// Copies a struct that starts with its size. A caller built against an older header has fewer fields; the rest keep the
// defaults that `to` holds. One built against a newer header may use fields unknown here.
template <class Struct>
attn::Status read_struct(const char* name, const Struct* from, Struct& to) noexcept {
  if (!from) return attn::Status(attn::StatusCode::invalid_argument, "%s is null", name);
  if (from->size < sizeof from->size || from->size > sizeof to)
    return attn::Status(attn::StatusCode::invalid_argument,
                        "%s->size must be the size of the struct, %zu, or of an older version's, got %zu", name,
                        sizeof to, from->size);
  std::memcpy(&to, from, from->size);
  return {};
}

// The same for a struct with a member `initialized`, whose zeros are not its defaults.
template <class Struct>
attn::Status read_initialized(const Struct* from, void (*init)(Struct*), const char* init_name, Struct& to) noexcept {
  init(&to);
  attn::Status status = read_struct("args", from, to);
  if (status.ok() && to.initialized != 1)
    return attn::Status(attn::StatusCode::invalid_argument, "args->initialized is %lld: call %s first",
                        static_cast<long long>(to.initialized), init_name);
  return status;
}

attn::Status read_args(const attn_attention_args* from, attn_attention_args& c) noexcept {
  return read_initialized(from, attn_attention_args_init, "attn_attention_args_init", c);
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
  a.key_weight_sums = c.key_weight_sums;
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
  a.cu_query_lengths = c.cu_query_lengths;
  a.cu_key_lengths = c.cu_key_lengths;
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
  args->initialized = 1;
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

void attn_append_args_init(attn_append_args* args) {
  if (!args) return;
  *args = attn_append_args{};
  args->size = sizeof *args;
  args->initialized = args->batch = args->kv_heads = 1;
}

attn_status_code attn_append(const attn_append_args* args, char* message, size_t message_size) {
  attn_append_args c;
  attn::Status status = read_initialized(args, attn_append_args_init, "attn_append_args_init", c);
  if (status.ok())
    status = attn::append({c.batch, c.kv_heads, c.new_length, c.capacity, c.head_dim, c.value_dim, convert(c.key),
                           convert(c.value), convert(c.key_cache), convert(c.value_cache), c.new_lengths, c.lengths});
  return report(status, message, message_size);
}

void attn_merge_args_init(attn_merge_args* args) {
  if (!args) return;
  *args = attn_merge_args{};
  args->size = sizeof *args;
}

attn_status_code attn_merge(const attn_merge_args* args, char* message, size_t message_size) {
  attn_merge_args c;
  attn_merge_args_init(&c);
  attn::Status status = read_struct("args", args, c);
  if (status.ok())
    status = attn::merge({c.parts, c.rows, c.value_dim, c.outputs, c.part_stride, c.row_stride, c.logsumexps,
                          c.logsumexp_part_stride, c.output, c.output_row_stride, c.logsumexp});
  return report(status, message, message_size);
}

attn_thread_pool* attn_thread_pool_create(int64_t threads, char* message, size_t message_size) {
  attn_thread_pool* pool = nullptr;
  report(caught([&] { pool = new attn_thread_pool(threads); }), message, message_size);
  return pool;
}

attn_parallel attn_thread_pool_parallel(attn_thread_pool* pool) {
  if (!pool) return {nullptr, nullptr, 0};
  const attn::Parallel p = pool->pool.parallel();
  return {p.run, p.context, p.threads};
}

void attn_thread_pool_destroy(attn_thread_pool* pool) { delete pool; }

attn_multi_head* attn_multi_head_create(const attn_multi_head_config* config, char* message, size_t message_size) {
  attn_multi_head_config c{};
  attn::Status status = read_struct("config", config, c);
  if (status.ok() && c.layout != ATTN_WEIGHTS_IN_OUT && c.layout != ATTN_WEIGHTS_OUT_IN)
    status = attn::Status(attn::StatusCode::invalid_argument, "config->layout must be 0 or 1, got %d",
                          static_cast<int>(c.layout));
  attn_multi_head* layer = nullptr;
  if (status.ok())
    status = caught([&] {
      attn::MultiHeadConfig full;
      full.embed_dim = c.embed_dim;
      full.num_heads = c.num_heads;
      full.kv_heads = c.kv_heads;
      full.head_dim = c.head_dim;
      full.layout = c.layout == ATTN_WEIGHTS_OUT_IN ? attn::WeightLayout::out_in : attn::WeightLayout::in_out;
      full.w_q = c.w_q;
      full.w_k = c.w_k;
      full.w_v = c.w_v;
      full.b_q = c.b_q;
      full.b_k = c.b_k;
      full.b_v = c.b_v;
      full.w_o = c.w_o;
      full.b_o = c.b_o;
      layer = new attn_multi_head{attn::MultiHeadAttention(full)};
    });
  report(status, message, message_size);
  return layer;
}

attn_status_code attn_multi_head_forward(const attn_multi_head* layer, const float* x, int64_t batch, int64_t length,
                                         const attn_forward_options* options, float* output, float* weights,
                                         char* message, size_t message_size) {
  attn_forward_options c{};
  attn::Status status = options ? read_struct("options", options, c) : attn::Status();
  if (!layer) status = attn::Status(attn::StatusCode::invalid_argument, "layer is null");
  if (status.ok())
    status = caught([&] {
      attn::ForwardOptions full;
      full.key_lengths = c.key_lengths;
      full.causal = c.causal != 0;
      attn::Parallel parallel;
      if (c.parallel) {
        parallel = convert(*c.parallel);
        full.parallel = &parallel;
      }
      layer->layer.forward_into(x, batch, length, output, weights, full);
    });
  return report(status, message, message_size);
}

void attn_multi_head_destroy(attn_multi_head* layer) { delete layer; }

size_t attn_isa_count(void) { return attn::isa_count(); }
const char* attn_isa_name(size_t index) { return index < attn::isa_count() ? attn::isa(index).name : nullptr; }
int attn_isa_runnable(size_t index) { return index < attn::isa_count() && attn::isa(index).runnable ? 1 : 0; }
const char* attn_active_isa(void) { return attn::active_isa(); }
attn_status_code attn_use_isa(const char* name, char* message, size_t message_size) {
  return report(attn::use_isa(name), message, message_size);
}

const char* attn_version(void) { return attn::version(); }
