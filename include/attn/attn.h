/* attn's C interface: the calls and field names of the C++ headers, which say what each one means.
 *
 * Every struct of arguments starts with `size`: set it to sizeof the struct. The _init functions do, and set all
 * defaults. By it a library with more fields knows which ones the caller has. Where a struct has a member
 * `initialized`, some defaults are not 0. Its _init must be called, and one that was only filled with zeros is refused.
 * In the others zeros are the defaults.
 *
 * No exception crosses this border. Functions that can fail return an attn_status_code, those that create something
 * null. If `message` is not null, they copy the reason into it: message_size bytes, always terminated, empty on
 * success. A handle or struct that is null is a status that names it, or null, 0 or nothing where there is no status.
 */
#ifndef ATTN_ATTN_H
#define ATTN_ATTN_H

#include "macros_off.h"
/* No macro has a name that stands below, until macros_on.h. */
#include <stddef.h>
#include <stdint.h>

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum attn_status_code {
  ATTN_OK = 0,
  ATTN_INVALID_ARGUMENT = 1,
  ATTN_UNSUPPORTED = 2,
  ATTN_OUT_OF_MEMORY = 3
} attn_status_code;

enum { ATTN_F32 = 0, ATTN_F16 = 1, ATTN_BF16 = 2, ATTN_I8 = 3, ATTN_Q8_0 = 4 };
enum { ATTN_KEYS_ROWS = 0, ATTN_KEYS_PANELS = 1 };
enum { ATTN_ALIGN_BOTTOM_RIGHT = 0, ATTN_ALIGN_TOP_LEFT = 1, ATTN_ALIGN_GIVEN = 2 };
enum { ATTN_PATH_AUTOMATIC = 0, ATTN_PATH_BLAS = 1, ATTN_PATH_STREAMING = 2 };
enum { ATTN_SCORES_SCALED = 0, ATTN_SCORES_CAPPED = 1, ATTN_SCORES_BIASED = 2 };

/* Strides are in elements. */
typedef struct attn_tensor {
  const void* data;
  int32_t dtype;
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
} attn_tensor;

typedef struct attn_output {
  void* data;
  int32_t dtype;
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
} attn_output;

typedef struct attn_scales {
  const float* data;
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
} attn_scales;

typedef struct attn_mutable_scales {
  float* data;
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
} attn_mutable_scales;

typedef struct attn_mask {
  const uint8_t* data;
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
  int64_t column_stride;
} attn_mask;

typedef struct attn_bias {
  const void* data;
  int32_t dtype;
  int64_t batch_stride;
  int64_t head_stride;
  int64_t row_stride;
  int64_t column_stride;
  const float* head_factors;
} attn_bias;

/* run(context, count, task, argument) calls task(argument, i) once for every i in [0, count) and returns when all are
 * done: parallel.hpp. */
typedef struct attn_parallel {
  void (*run)(void* context, int64_t count, void (*task)(void* argument, int64_t index), void* argument);
  void* context;
  int64_t threads;
} attn_parallel;

typedef struct attn_attention_args {
  size_t size;
  int64_t initialized; /* 1: by attn_attention_args_init */
  int64_t batch;
  int64_t query_heads;
  int64_t kv_heads;
  int64_t query_length;
  int64_t key_length;
  int64_t head_dim;
  int64_t value_dim;
  attn_tensor query;
  attn_tensor key;
  attn_tensor value;
  attn_scales key_scales;
  attn_scales value_scales;
  int32_t key_layout;
  const int32_t* page_table;
  int64_t page_table_stride;
  int64_t page_length;
  int64_t page_count;
  attn_output output;
  attn_output weights;
  attn_output scores;
  int32_t scores_stage;
  float* logsumexp;
  float* key_weight_sums;
  float scale;
  float softcap;
  uint8_t causal; /* 0 or 1 */
  int64_t window_left;
  int64_t window_right;
  int32_t alignment;
  const int64_t* query_offsets;
  const int64_t* key_lengths;
  attn_mask mask;
  int64_t mask_columns;
  attn_bias bias;
  const float* alibi_slopes;
  const float* sinks;
  uint8_t bf16_weights; /* 0 or 1 */
  const int64_t* cu_query_lengths;
  const int64_t* cu_key_lengths;
  int32_t path;
  const attn_parallel* parallel;
  int64_t share_index;
  int64_t share_count;
  void* workspace;
  size_t workspace_bytes;
} attn_attention_args;

/* All defaults: attn_attention_args args; attn_attention_args_init(&args); */
void attn_attention_args_init(attn_attention_args* args);

attn_status_code attn_attention(const attn_attention_args* args, char* message, size_t message_size);
size_t attn_workspace_size(const attn_attention_args* args);

attn_status_code attn_softmax(
    const float* x, float* y, int64_t rows, int64_t columns, int64_t x_row_stride, int64_t y_row_stride, float scale,
    char* message, size_t message_size);

/* kv_cache.hpp */
typedef struct attn_append_args {
  size_t size;
  int64_t initialized; /* 1: by attn_append_args_init */
  int64_t batch;
  int64_t kv_heads;
  int64_t new_length;
  int64_t capacity;
  int64_t head_dim;
  int64_t value_dim;
  attn_tensor key;
  attn_tensor value;
  attn_output key_cache;
  attn_output value_cache;
  attn_mutable_scales key_scales;
  attn_mutable_scales value_scales;
  int32_t key_layout;
  const int32_t* page_table;
  int64_t page_table_stride;
  int64_t page_length;
  int64_t page_count;
  const int64_t* new_lengths;
  int64_t* lengths;
} attn_append_args;

void attn_append_args_init(attn_append_args* args);
attn_status_code attn_append(const attn_append_args* args, char* message, size_t message_size);
attn_status_code attn_keys_to_panels(
    int64_t batch, int64_t kv_heads, int64_t key_length, int64_t head_dim, const attn_tensor* rows,
    const attn_output* panels, char* message, size_t message_size);

/* merge.hpp */
typedef struct attn_merge_args {
  size_t size;
  int64_t parts;
  int64_t rows;
  int64_t value_dim;
  const float* outputs;
  int64_t part_stride;
  int64_t row_stride;
  const float* logsumexps;
  int64_t logsumexp_part_stride;
  float* output;
  int64_t output_row_stride;
  float* logsumexp;
} attn_merge_args;

void attn_merge_args_init(attn_merge_args* args);
attn_status_code attn_merge(const attn_merge_args* args, char* message, size_t message_size);

/* parallel.hpp */
typedef struct attn_thread_pool_options {
  size_t size;
  int64_t initialized; /* 1: by attn_thread_pool_options_init */
  int64_t threads;
  int64_t spin_microseconds;
  const int64_t* cpus;
  int64_t cpu_count;
  uint8_t avoid_callers_cpu; /* 0 or 1 */
} attn_thread_pool_options;

void attn_thread_pool_options_init(attn_thread_pool_options* options);

/* Null on failure, with the reason in message. The attn_parallel is valid until the pool is destroyed. That of a null
 * pool has no run, and a call that is given it says so. Destroying null is fine. */
typedef struct attn_thread_pool attn_thread_pool;
attn_thread_pool* attn_thread_pool_create(int64_t threads, char* message, size_t message_size);
attn_thread_pool* attn_thread_pool_create_with(
    const attn_thread_pool_options* options, char* message, size_t message_size);
attn_parallel attn_thread_pool_parallel(attn_thread_pool* pool);
void attn_thread_pool_destroy(attn_thread_pool* pool);

/* layers.hpp: Linear and MultiHeadAttention. */
enum { ATTN_WEIGHTS_IN_OUT = 0, ATTN_WEIGHTS_OUT_IN = 1 };
enum { ATTN_PROJECTION_BLAS = 0, ATTN_PROJECTION_TILES = 1 };

/* Null on failure. The weights are copied; destroying null is fine. b may be null, and so may parallel. */
typedef struct attn_linear attn_linear;
attn_linear* attn_linear_create(
    int64_t in_dim, int64_t out_dim, const float* w, const float* b, int32_t layout, int32_t projection, char* message,
    size_t message_size);
attn_status_code attn_linear_forward(
    const attn_linear* layer, const float* x, int64_t rows, float* y, const attn_parallel* parallel, char* message,
    size_t message_size);
void attn_linear_destroy(attn_linear* layer);

typedef struct attn_multi_head_config {
  size_t size;
  int64_t embed_dim;
  int64_t num_heads;
  int64_t kv_heads;
  int64_t head_dim;
  int32_t layout;
  const float* w_q;
  const float* w_k;
  const float* w_v;
  const float* b_q;
  const float* b_k;
  const float* b_v;
  const float* w_o;
  const float* b_o;
  int64_t kv_dim;
  int32_t projection;
} attn_multi_head_config;

typedef struct attn_layer_cache {
  size_t size;
  attn_output key;
  attn_output value;
  int64_t capacity;
  int64_t* lengths;
} attn_layer_cache;

typedef struct attn_forward_options {
  size_t size;
  const int64_t* key_lengths;
  int32_t causal;
  const attn_parallel* parallel;
  int32_t bottom_right; /* 1: Alignment::bottom_right, 0: top_left */
  int32_t average_weights; /* 0 or 1 */
  int32_t path;
  attn_mask mask;
  attn_bias bias;
  const float* context;
  int64_t context_length;
  const int64_t* cu_lengths;
  const int64_t* cu_context_lengths;
  const attn_layer_cache* cache;
} attn_forward_options;

/* Null on failure. The weights are copied; destroying null is fine. */
typedef struct attn_multi_head attn_multi_head;
attn_multi_head* attn_multi_head_create(const attn_multi_head_config* config, char* message, size_t message_size);
/* output: [batch, length, out_dim]; weights: as ForwardOptions says, or null if they are not wanted. options may be
 * null. */
attn_status_code attn_multi_head_forward(
    const attn_multi_head* layer, const float* x, int64_t batch, int64_t length, const attn_forward_options* options,
    float* output, float* weights, char* message, size_t message_size);
void attn_multi_head_destroy(attn_multi_head* layer);

/* isa.hpp. attn_isa_name: null if index >= attn_isa_count(). attn_active_isa: null if ATTN_ISA names none that runs
 * here. */
size_t attn_isa_count(void);
const char* attn_isa_name(size_t index);
int attn_isa_runnable(size_t index);
const char* attn_active_isa(void);
attn_status_code attn_use_isa(const char* name, char* message, size_t message_size);

/* "0.1.0", of the library that is linked. version.h has that of the headers. */
const char* attn_version(void);

#ifdef __cplusplus
}
#endif

#include "macros_on.h"

#endif
