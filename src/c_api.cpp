// The C interface: the same structs as the C++ headers have, behind a size.
#include "c_api.hpp"

#include <cstddef>

using namespace attn::c_api;

struct attn_thread_pool {
  attn::ThreadPool pool;
  explicit attn_thread_pool(const attn::ThreadPoolOptions& options) : pool(options) {}
};

namespace {

// ---- From its first member on, a struct of C is the one of C++: a member that C forgets does not compile ----

// Same place, same size.
#define ATTN_SAME(c_struct, first, cpp_struct, member)                                                \
  static_assert(                                                                                      \
      offsetof(c_struct, member) - offsetof(c_struct, first) == offsetof(attn::cpp_struct, member) && \
      sizeof(c_struct::member) == sizeof(attn::cpp_struct::member))
#define ATTN_SAME_SIZE(c_struct, first, cpp_struct) \
  static_assert(sizeof(c_struct) - offsetof(c_struct, first) == sizeof(attn::cpp_struct))

static_assert(sizeof(attn_tensor) == sizeof(attn::Tensor) && sizeof(attn_output) == sizeof(attn::Output));
static_assert(sizeof(attn_mask) == sizeof(attn::Mask) && sizeof(attn_bias) == sizeof(attn::Bias));
static_assert(
    offsetof(attn_bias, dtype) == offsetof(attn::Bias, dtype) &&
    offsetof(attn_bias, head_factors) == offsetof(attn::Bias, head_factors));
static_assert(
    offsetof(attn_tensor, dtype) == offsetof(attn::Tensor, dtype) &&
    offsetof(attn_tensor, row_stride) == offsetof(attn::Tensor, row_stride));
static_assert(
    offsetof(attn_output, dtype) == offsetof(attn::Output, dtype) &&
    offsetof(attn_output, row_stride) == offsetof(attn::Output, row_stride));

static_assert(
    ATTN_F32 == static_cast<int>(attn::DType::f32) && ATTN_F16 == static_cast<int>(attn::DType::f16) &&
    ATTN_BF16 == static_cast<int>(attn::DType::bf16) && ATTN_I8 == static_cast<int>(attn::DType::i8) &&
    ATTN_Q8_0 == static_cast<int>(attn::DType::q8_0));
static_assert(
    ATTN_KEYS_ROWS == static_cast<int>(attn::KeyLayout::rows) &&
    ATTN_KEYS_PANELS == static_cast<int>(attn::KeyLayout::panels));
static_assert(
    sizeof(attn_scales) == sizeof(attn::Scales) &&
    offsetof(attn_scales, row_stride) == offsetof(attn::Scales, row_stride) &&
    sizeof(attn_mutable_scales) == sizeof(attn::MutableScales) &&
    offsetof(attn_mutable_scales, row_stride) == offsetof(attn::MutableScales, row_stride));

ATTN_SAME_SIZE(attn_attention_args, batch, AttentionArgs);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, query_heads);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, value_dim);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, query);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, key_scales);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, value_scales);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, key_layout);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, page_table);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, page_table_stride);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, page_length);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, page_count);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, output);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, scores);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, scores_stage);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, key_weight_sums);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, scale);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, softcap);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, causal);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, window_right);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, alignment);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, key_lengths);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, mask);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, mask_columns);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, bias);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, sinks);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, bf16_weights);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, cu_key_lengths);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, path);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, parallel);  // NOLINT(bugprone-sizeof-expression): of pointers
ATTN_SAME(attn_attention_args, batch, AttentionArgs, share_count);
ATTN_SAME(attn_attention_args, batch, AttentionArgs, workspace_bytes);

ATTN_SAME_SIZE(attn_append_args, batch, AppendArgs);
ATTN_SAME(attn_append_args, batch, AppendArgs, value_dim);
ATTN_SAME(attn_append_args, batch, AppendArgs, key);
ATTN_SAME(attn_append_args, batch, AppendArgs, value_cache);
ATTN_SAME(attn_append_args, batch, AppendArgs, key_scales);
ATTN_SAME(attn_append_args, batch, AppendArgs, value_scales);
ATTN_SAME(attn_append_args, batch, AppendArgs, key_layout);
ATTN_SAME(attn_append_args, batch, AppendArgs, page_table);
ATTN_SAME(attn_append_args, batch, AppendArgs, page_table_stride);
ATTN_SAME(attn_append_args, batch, AppendArgs, page_length);
ATTN_SAME(attn_append_args, batch, AppendArgs, page_count);
ATTN_SAME(attn_append_args, batch, AppendArgs, lengths);

ATTN_SAME_SIZE(attn_merge_args, parts, MergeArgs);
ATTN_SAME(attn_merge_args, parts, MergeArgs, outputs);
ATTN_SAME(attn_merge_args, parts, MergeArgs, row_stride);
ATTN_SAME(attn_merge_args, parts, MergeArgs, logsumexp_part_stride);
ATTN_SAME(attn_merge_args, parts, MergeArgs, output);
ATTN_SAME(attn_merge_args, parts, MergeArgs, logsumexp);

ATTN_SAME_SIZE(attn_thread_pool_options, threads, ThreadPoolOptions);
ATTN_SAME(attn_thread_pool_options, threads, ThreadPoolOptions, spin_microseconds);
ATTN_SAME(attn_thread_pool_options, threads, ThreadPoolOptions, cpus);
ATTN_SAME(attn_thread_pool_options, threads, ThreadPoolOptions, cpu_count);
ATTN_SAME(attn_thread_pool_options, threads, ThreadPoolOptions, avoid_callers_cpu);

// The C++ struct whose members begin `first` bytes behind those of c.
template <class Args, class Struct>
Args as(const Struct& c, std::size_t first) noexcept {
  Args args;
  std::memcpy(static_cast<void*>(&args), reinterpret_cast<const char*>(&c) + first, sizeof args);
  return args;
}

// The arguments of a call of attention(), or why they are none.
struct Attention {
  attn::Status status;
  attn::Parallel parallel;
  attn::AttentionArgs args;

  explicit Attention(const attn_attention_args* from) noexcept {
    attn_attention_args c;
    status = read_initialized("args", from, attn_attention_args_init, "attn_attention_args_init", c);
    if (!status.ok()) return;
    c.causal = c.causal != 0;  // a bool holds 0 or 1
    c.bf16_weights = c.bf16_weights != 0;
    args = as<attn::AttentionArgs>(c, offsetof(attn_attention_args, batch));
    if (!c.parallel) return;
    parallel = convert(*c.parallel);
    args.parallel = &parallel;
  }
  Attention(const Attention&) = delete;
  Attention& operator=(const Attention&) = delete;
};

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
  args->share_count = defaults.share_count;
}

attn_status_code attn_attention(const attn_attention_args* args, char* message, size_t message_size) {
  Attention call(args);
  if (call.status.ok()) call.status = attn::attention(call.args);
  return report(call.status, message, message_size);
}

size_t attn_workspace_size(const attn_attention_args* args) {
  const Attention call(args);
  return call.status.ok() ? attn::workspace_size(call.args) : 0;
}

attn_status_code attn_softmax(
    const float* x, float* y, int64_t rows, int64_t columns, int64_t x_row_stride, int64_t y_row_stride, float scale,
    char* message, size_t message_size) {
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
  attn::Status status = read_initialized("args", args, attn_append_args_init, "attn_append_args_init", c);
  if (status.ok()) status = attn::append(as<attn::AppendArgs>(c, offsetof(attn_append_args, batch)));
  return report(status, message, message_size);
}

attn_status_code attn_keys_to_panels(
    int64_t batch, int64_t kv_heads, int64_t key_length, int64_t head_dim, const attn_tensor* rows,
    const attn_output* panels, char* message, size_t message_size) {
  attn::Status status;
  if (!rows || !panels)
    status = attn::Status(attn::StatusCode::invalid_argument, "%s is null", rows ? "panels" : "rows");
  else
    status = attn::keys_to_panels(
        batch, kv_heads, key_length, head_dim, as<attn::Tensor>(*rows, 0), as<attn::Output>(*panels, 0));
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
  if (status.ok()) status = attn::merge(as<attn::MergeArgs>(c, offsetof(attn_merge_args, parts)));
  return report(status, message, message_size);
}

void attn_thread_pool_options_init(attn_thread_pool_options* options) {
  if (!options) return;
  const attn::ThreadPoolOptions defaults;
  *options = attn_thread_pool_options{};
  options->size = sizeof *options;
  options->initialized = 1;
  options->threads = defaults.threads;
  options->spin_microseconds = defaults.spin_microseconds;
  options->avoid_callers_cpu = defaults.avoid_callers_cpu;
}

attn_thread_pool* attn_thread_pool_create(int64_t threads, char* message, size_t message_size) {
  attn_thread_pool_options options;
  attn_thread_pool_options_init(&options);
  options.threads = threads;
  return attn_thread_pool_create_with(&options, message, message_size);
}

attn_thread_pool* attn_thread_pool_create_with(
    const attn_thread_pool_options* options, char* message, size_t message_size) {
  attn_thread_pool_options c;
  attn_thread_pool* pool = nullptr;
  attn::Status status =
      read_initialized("options", options, attn_thread_pool_options_init, "attn_thread_pool_options_init", c);
  c.avoid_callers_cpu = c.avoid_callers_cpu != 0;  // a bool holds 0 or 1
  if (status.ok())
    status = caught([&] {
      pool = new attn_thread_pool(as<attn::ThreadPoolOptions>(c, offsetof(attn_thread_pool_options, threads)));
    });
  report(status, message, message_size);
  return pool;
}

attn_parallel attn_thread_pool_parallel(attn_thread_pool* pool) {
  if (!pool) return {nullptr, nullptr, 0};
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

const char* attn_version(void) { return attn::version(); }
