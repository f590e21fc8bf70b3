/* The C interface from C: every function of attn.h, its results against plain loops in double, and its errors. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attn/attn.h"

static int failures = 0;

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                               \
    }                                                                           \
  } while (0)

/* In [-1, 1). */
static void fill(float* x, size_t n, uint32_t state) {
  for (size_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    x[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
  }
}

static double largest_difference(const float* got, const float* want, size_t n) {
  double worst = 0;
  for (size_t i = 0; i < n; ++i) {
    const double difference = fabs((double)got[i] - (double)want[i]);
    if (isnan(difference)) return HUGE_VAL;
    if (difference > worst) worst = difference;
  }
  return worst;
}

/* ---- Attention ---- */

/* [2, 4, 70, 20] queries, [2, 2, 103, 20] keys, values of 12; causal, the last query sees the last key. Large enough
 * for threads to be used: 1.8 million multiply-adds. */

enum { B = 2, HQ = 4, HKV = 2, TQ = 70, TK = 103, D = 20, DV = 12, OUTPUTS = B * HQ * TQ * DV };

static float q[B * HQ * TQ * D], k[B * HKV * TK * D], v[B * HKV * TK * DV], wanted[OUTPUTS], output[OUTPUTS];

static void reference(void) {
  for (int bh = 0; bh < B * HQ; ++bh)
    for (int t = 0; t < TQ; ++t) {
      const int kv = bh / HQ * HKV + bh % HQ / (HQ / HKV), keys = TK - TQ + t + 1;
      double p[TK], sum = 0, o[DV] = {0};
      for (int j = 0; j < keys; ++j) {
        double s = 0;
        for (int d = 0; d < D; ++d) s += (double)q[(bh * TQ + t) * D + d] * (double)k[(kv * TK + j) * D + d];
        sum += p[j] = exp(s / sqrt(D));
      }
      for (int j = 0; j < keys; ++j)
        for (int e = 0; e < DV; ++e) o[e] += p[j] / sum * (double)v[(kv * TK + j) * DV + e];
      for (int e = 0; e < DV; ++e) wanted[(bh * TQ + t) * DV + e] = (float)o[e];
    }
}

static attn_attention_args make_args(void) {
  attn_attention_args a;
  attn_attention_args_init(&a);
  a.batch = B;
  a.query_heads = HQ;
  a.kv_heads = HKV;
  a.query_length = TQ;
  a.key_length = TK;
  a.head_dim = D;
  a.value_dim = DV;
  a.query = (attn_tensor){q, ATTN_F32, HQ * TQ * D, TQ * D, D};
  a.key = (attn_tensor){k, ATTN_F32, HKV * TK * D, TK * D, D};
  a.value = (attn_tensor){v, ATTN_F32, HKV * TK * DV, TK * DV, DV};
  a.output = (attn_output){output, ATTN_F32, HQ * TQ * DV, TQ * DV, DV};
  a.causal = 1;
  return a;
}

static void test_attention(void) {
  char message[256] = "old";
  attn_attention_args a = make_args();
  CHECK(a.size == sizeof a);
  CHECK(
      a.window_left == -1 && a.window_right == -1 && a.alignment == ATTN_ALIGN_BOTTOM_RIGHT &&
      a.path == ATTN_PATH_AUTOMATIC);

  static const int32_t paths[] = {ATTN_PATH_AUTOMATIC, ATTN_PATH_BLAS, ATTN_PATH_STREAMING};
  for (int i = 0; i < 3; ++i) {
    memset(output, 0, sizeof output);
    a.path = paths[i];
#ifdef ATTN_NO_BLAS
    if (a.path == ATTN_PATH_BLAS) {
      CHECK(attn_attention(&a, message, sizeof message) == ATTN_UNSUPPORTED);
      CHECK(strstr(message, "ATTN_BLAS=OFF") != NULL);
      continue;
    }
#endif
    CHECK(attn_attention(&a, message, sizeof message) == ATTN_OK);
    CHECK(message[0] == '\0');
    CHECK(largest_difference(output, wanted, OUTPUTS) < 1e-6);
  }

  /* Weights: each row sums to 1. */
  static float weights[B * HQ * TQ * TK];
  a = make_args();
  a.weights = (attn_output){weights, ATTN_F32, HQ * TQ * TK, TQ * TK, TK};
  CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
  for (int r = 0; r < B * HQ * TQ; ++r) {
    double sum = 0;
    for (int j = 0; j < TK; ++j) sum += (double)weights[r * TK + j];
    CHECK(fabs(sum - 1) < 1e-6);
  }

  /* A workspace of the caller: the same bits. One byte less: an error, and nothing is written. */
  static float first[OUTPUTS];
  a = make_args();
  CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
  memcpy(first, output, sizeof first);
  a.workspace_bytes = attn_workspace_size(&a);
  CHECK(a.workspace_bytes > 0);
  a.workspace = malloc(a.workspace_bytes);
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_OK);
  CHECK(memcmp(first, output, sizeof first) == 0);
  memset(output, 0, sizeof output);
  --a.workspace_bytes;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "workspace") != NULL);
  for (int i = 0; i < OUTPUTS; ++i) CHECK(output[i] == 0.0f);
  free(a.workspace);
}

/* The fields that came with halves, masks and packed batches: two sequences packed, keys and values bf16 in a cache. */
static void test_cache(void) {
  static const int64_t cu_queries[] = {0, 1, TQ}, cu_keys[] = {0, 2, TK};
  char message[256];
  attn_attention_args a = make_args();
  a.batch = 2;
  a.query_length = TQ;
  a.key_length = TK;
  a.cu_query_lengths = cu_queries;
  a.cu_key_lengths = cu_keys;
  static float sums[HQ * TK];
  a.key_weight_sums = sums;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_OK);
  for (int h = 0; h < HQ; ++h) {
    double sum = 0;
    for (int j = 0; j < TK; ++j) sum += (double)sums[h * TK + j];
    CHECK(sum <= TQ + 1e-5 && sum > 0);
  }

  static uint16_t keys[HKV * 2 * TK * D], values[HKV * 2 * TK * DV];
  int64_t lengths[] = {0};
  attn_append_args p;
  attn_append_args_init(&p);
  p.kv_heads = HKV;
  p.new_length = TK;
  p.capacity = 2 * TK;
  p.head_dim = D;
  p.value_dim = DV;
  p.key = (attn_tensor){k, ATTN_F32, HKV * TK * D, TK * D, D};
  p.value = (attn_tensor){v, ATTN_F32, HKV * TK * DV, TK * DV, DV};
  p.key_cache = (attn_output){keys, ATTN_BF16, HKV * 2 * TK * D, 2 * TK * D, D};
  p.value_cache = (attn_output){values, ATTN_BF16, HKV * 2 * TK * DV, 2 * TK * DV, DV};
  p.lengths = lengths;
  CHECK(attn_append(&p, message, sizeof message) == ATTN_OK);
  CHECK(lengths[0] == TK);
  CHECK(attn_append(&p, NULL, 0) == ATTN_OK && lengths[0] == 2 * TK);
  CHECK(attn_append(&p, message, sizeof message) == ATTN_INVALID_ARGUMENT && lengths[0] == 2 * TK);
  CHECK(strstr(message, "capacity") != NULL);
  uint32_t bits;
  memcpy(&bits, &k[0], sizeof bits);
  CHECK(abs((int)(bits >> 16) - (int)keys[0]) <= 1); /* rounded, not cut */
  CHECK(keys[0] == keys[TK * D]); /* the second copy */

  enum { ROOM = (TK + 15) / 16 * 16 };
  static float panels[HKV * ROOM * D];
  const attn_output to = {panels, ATTN_F32, HKV * ROOM * D, ROOM * D, 16 * D};
  CHECK(attn_keys_to_panels(1, HKV, TK, D, &p.key, &to, message, sizeof message) == ATTN_OK && message[0] == '\0');
  for (int h = 0; h < HKV; ++h)
    for (int j = 0; j < TK; ++j)
      for (int d = 0; d < D; ++d)
        CHECK(panels[(h * ROOM + j / 16 * 16) * D + d * 16 + j % 16] == k[(h * TK + j) * D + d]);
  CHECK(attn_keys_to_panels(1, HKV, TK, -D, &p.key, &to, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "head_dim") != NULL);
  CHECK(attn_keys_to_panels(1, HKV, TK, D, NULL, &to, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "rows is null") != NULL);
  CHECK(attn_keys_to_panels(1, HKV, TK, D, &p.key, NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "panels is null") != NULL);
}

/* The first item in a cache of int8 with scales, in pages of 16 rows that stand in no order. A row is rounded to 1/254
 * of its largest element, which is below 1. */
static void test_pages_of_int8(void) {
  enum { LENGTH = 16, PAGES = 7 };
  static const int32_t table[PAGES] = {3, 0, 6, 1, 5, 2, 4};
  static int8_t keys[PAGES * HKV * LENGTH * D], values[PAGES * HKV * LENGTH * DV];
  static float key_scales[PAGES * HKV * LENGTH], value_scales[PAGES * HKV * LENGTH];
  char message[256];
  int64_t used = 0;
  attn_append_args p;
  attn_append_args_init(&p);
  p.kv_heads = HKV;
  p.new_length = TK;
  p.capacity = PAGES * LENGTH;
  p.head_dim = D;
  p.value_dim = DV;
  p.key = (attn_tensor){k, ATTN_F32, HKV * TK * D, TK * D, D};
  p.value = (attn_tensor){v, ATTN_F32, HKV * TK * DV, TK * DV, DV};
  p.key_cache = (attn_output){keys, ATTN_I8, HKV * LENGTH * D, LENGTH * D, D};
  p.value_cache = (attn_output){values, ATTN_I8, HKV * LENGTH * DV, LENGTH * DV, DV};
  p.key_scales = (attn_mutable_scales){key_scales, HKV * LENGTH, LENGTH, 1};
  p.value_scales = (attn_mutable_scales){value_scales, HKV * LENGTH, LENGTH, 1};
  p.page_table = table;
  p.page_table_stride = PAGES;
  p.page_length = LENGTH;
  p.page_count = PAGES;
  p.lengths = &used;
  CHECK(attn_append(&p, message, sizeof message) == ATTN_OK);
  CHECK(used == TK);

  attn_attention_args a = make_args();
  a.batch = 1;
  a.key_length = PAGES * LENGTH;
  a.key_lengths = &used;
  a.key = (attn_tensor){keys, ATTN_I8, HKV * LENGTH * D, LENGTH * D, D};
  a.value = (attn_tensor){values, ATTN_I8, HKV * LENGTH * DV, LENGTH * DV, DV};
  a.key_scales = (attn_scales){key_scales, HKV * LENGTH, LENGTH, 1};
  a.value_scales = (attn_scales){value_scales, HKV * LENGTH, LENGTH, 1};
  a.page_table = table;
  a.page_table_stride = PAGES;
  a.page_length = LENGTH;
  a.page_count = PAGES;
  memset(output, 0, sizeof output);
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_OK);
  CHECK(largest_difference(output, wanted, HQ * TQ * DV) < 0.01);
  a.page_count = PAGES - 1; /* of which entry 2 speaks */
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "page_table[0][2]") != NULL);
}

static void test_merge(void) {
  static const float outputs[] = {1, 3, 100}, sums[] = {0, 0, -INFINITY};
  float merged = 0, sum = 0;
  char message[256];
  attn_merge_args m;
  attn_merge_args_init(&m);
  m.parts = 3;
  m.rows = m.value_dim = 1;
  m.outputs = outputs;
  m.part_stride = 1;
  m.logsumexps = sums;
  m.logsumexp_part_stride = 1;
  m.output = &merged;
  m.logsumexp = &sum;
  CHECK(attn_merge(&m, message, sizeof message) == ATTN_OK);
  CHECK(merged == 2.0f);
  CHECK(fabs((double)sum - log(2.0)) < 1e-7);
  m.parts = -3;
  CHECK(attn_merge(&m, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "parts") != NULL && strstr(message, "-3") != NULL);
  CHECK(attn_merge(NULL, NULL, 0) == ATTN_INVALID_ARGUMENT);
}

static void test_errors(void) {
  char message[256];
  attn_attention_args a = make_args();
  a.kv_heads = 3;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "kv_heads") != NULL && strstr(message, "3") != NULL);
  CHECK(attn_workspace_size(&a) == 0);

  /* A short buffer cuts the message and is terminated; none is fine. */
  char few[6] = {1, 1, 1, 1, 1, 1};
  CHECK(attn_attention(&a, few, 5) == ATTN_INVALID_ARGUMENT);
  CHECK(strlen(few) == 4 && strncmp(few, message, 4) == 0 && few[5] == 1);
  CHECK(attn_attention(&a, few, 0) == ATTN_INVALID_ARGUMENT);
  CHECK(attn_attention(&a, NULL, 0) == ATTN_INVALID_ARGUMENT);

  CHECK(attn_attention(NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(message[0] != '\0');
  CHECK(attn_workspace_size(NULL) == 0);
  attn_attention_args_init(NULL);

  /* Unknown sizes are errors; that of an older version, without the last members, is not. */
  a = make_args();
  a.size = 0;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "size") != NULL);
  a.size = sizeof a + 8;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  a.size = offsetof(attn_attention_args, workspace);
  a.workspace = (void*)&a;
  a.workspace_bytes = 1; /* must not be read */
  memset(output, 0, sizeof output);
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_OK);
  CHECK(largest_difference(output, wanted, OUTPUTS) < 1e-6);
}

/* A struct of zeros, with its size and what a call cannot do without: it means the defaults, or it is refused by name.
 * Equal scores of three keys whose values are 3, 6 and 9; a window of 0 would see one of them. */
static void test_zeroed(void) {
  static const float queries[3] = {0, 0, 0}, keys[3] = {1, 2, 3}, values[3] = {3, 6, 9};
  float out[3] = {7, 7, 7};
  char message[256];
  attn_attention_args a;
  memset(&a, 0, sizeof a);
  a.size = sizeof a;
  a.batch = a.query_heads = a.kv_heads = 1;
  a.query_length = a.key_length = 3;
  a.head_dim = a.value_dim = 1;
  a.query = (attn_tensor){queries, ATTN_F32, 3, 3, 1};
  a.key = (attn_tensor){keys, ATTN_F32, 3, 3, 1};
  a.value = (attn_tensor){values, ATTN_F32, 3, 3, 1};
  a.output = (attn_output){out, ATTN_F32, 3, 3, 1};
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "args->initialized is 0") && strstr(message, "attn_attention_args_init"));
  CHECK(out[0] == 7 && out[1] == 7 && out[2] == 7);
  CHECK(attn_workspace_size(&a) == 0);
  a.initialized = 2;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT && strstr(message, "is 2"));
  a.size = sizeof a.size; /* ends before it */
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "args->initialized is 0"));
  attn_attention_args_init(&a);
  a.query_length = a.key_length = 3;
  a.head_dim = a.value_dim = 1;
  a.query = (attn_tensor){queries, ATTN_F32, 3, 3, 1};
  a.key = (attn_tensor){keys, ATTN_F32, 3, 3, 1};
  a.value = (attn_tensor){values, ATTN_F32, 3, 3, 1};
  a.output = (attn_output){out, ATTN_F32, 3, 3, 1};
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_OK);
  CHECK(out[0] == 6 && out[1] == 6 && out[2] == 6);

  int64_t length = 0;
  float key_cache[1] = {7}, value_cache[1] = {7};
  attn_append_args p;
  memset(&p, 0, sizeof p);
  p.size = sizeof p;
  p.new_length = p.capacity = p.head_dim = p.value_dim = 1;
  p.key = p.value = (attn_tensor){keys, ATTN_F32, 1, 1, 1};
  p.key_cache = (attn_output){key_cache, ATTN_F32, 1, 1, 1};
  p.value_cache = (attn_output){value_cache, ATTN_F32, 1, 1, 1};
  p.lengths = &length;
  CHECK(attn_append(&p, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "args->initialized is 0") && strstr(message, "attn_append_args_init"));
  CHECK(length == 0 && key_cache[0] == 7 && value_cache[0] == 7);

  /* In the others zeros are the defaults. */
  attn_merge_args m, m_defaults;
  memset(&m, 0, sizeof m);
  memset(&m_defaults, 0xff, sizeof m_defaults);
  m.size = sizeof m;
  attn_merge_args_init(&m_defaults);
  CHECK(memcmp(&m, &m_defaults, sizeof m) == 0);
  attn_multi_head_config config;
  memset(&config, 0, sizeof config);
  config.size = sizeof config;
  config.embed_dim = config.num_heads = 1;
  config.w_q = config.w_k = config.w_v = keys; /* 1 x 1, of 1 */
  attn_multi_head* layer = attn_multi_head_create(&config, message, sizeof message);
  CHECK(layer != NULL);
  attn_forward_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  float with[3], without[3];
  CHECK(attn_multi_head_forward(layer, values, 1, 3, &options, with, NULL, message, sizeof message) == ATTN_OK);
  CHECK(attn_multi_head_forward(layer, values, 1, 3, NULL, without, NULL, message, sizeof message) == ATTN_OK);
  CHECK(memcmp(with, without, sizeof with) == 0);
  attn_multi_head_destroy(layer);
}

/* What has nothing behind it. */
static void test_null_handles(void) {
  char message[256];
  const attn_parallel parallel = attn_thread_pool_parallel(NULL);
  CHECK(parallel.run == NULL && parallel.context == NULL && parallel.threads == 0);
  attn_attention_args a = make_args();
  a.parallel = &parallel;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "parallel->run is null") != NULL);
  a.path = ATTN_PATH_BLAS;
  CHECK(attn_attention(&a, message, sizeof message) == ATTN_INVALID_ARGUMENT);

  float x[1] = {1}, y[1] = {7};
  attn_multi_head_config config;
  memset(&config, 0, sizeof config);
  config.size = sizeof config;
  config.embed_dim = config.num_heads = 1;
  config.w_q = config.w_k = config.w_v = x;
  attn_multi_head* layer = attn_multi_head_create(&config, NULL, 0);
  attn_forward_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.parallel = &parallel;
  CHECK(attn_multi_head_forward(layer, x, 1, 1, &options, y, NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "parallel->run is null") != NULL && y[0] == 7);
  attn_multi_head_destroy(layer);
  CHECK(attn_multi_head_forward(NULL, x, 1, 1, NULL, y, NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "layer is null") != NULL && y[0] == 7);
  CHECK(attn_multi_head_create(NULL, message, sizeof message) == NULL && strstr(message, "config is null") != NULL);
  CHECK(attn_append(NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT && strstr(message, "args is null"));
  attn_append_args_init(NULL);
  attn_merge_args_init(NULL);
  CHECK(attn_isa_name((size_t)-1) == NULL && !attn_isa_runnable((size_t)-1));
}

/* ---- Threads ---- */

static int64_t tasks_run = 0;

static void one_after_the_other(
    void* context, int64_t count, void (*task)(void* argument, int64_t index), void* argument) {
  CHECK(context == &tasks_run);
  for (int64_t i = 0; i < count; ++i, ++tasks_run) task(argument, i);
}

static void test_threads(void) {
  char message[256];
  static float first[OUTPUTS];
  attn_attention_args a = make_args();
  CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
  memcpy(first, output, sizeof first);

  attn_thread_pool* pool = attn_thread_pool_create(3, message, sizeof message);
  CHECK(pool != NULL && message[0] == '\0');
  if (pool) {
    const attn_parallel parallel = attn_thread_pool_parallel(pool);
    CHECK(parallel.threads == 3);
    a.parallel = &parallel;
    memset(output, 0, sizeof output);
    CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
    CHECK(memcmp(first, output, sizeof first) == 0);
  }
  attn_thread_pool_destroy(pool);
  attn_thread_pool_destroy(NULL);

  CHECK(attn_thread_pool_create(0, message, sizeof message) == NULL);
  CHECK(strstr(message, "threads") != NULL);

  attn_thread_pool_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  CHECK(attn_thread_pool_create_with(&options, message, sizeof message) == NULL);
  CHECK(strstr(message, "attn_thread_pool_options_init") != NULL);
  CHECK(attn_thread_pool_create_with(NULL, message, sizeof message) == NULL && strstr(message, "options is null"));
  attn_thread_pool_options_init(NULL);
  attn_thread_pool_options_init(&options);
  CHECK(options.threads == 1 && options.spin_microseconds == 100 && options.avoid_callers_cpu == 1);
  options.threads = 2;
  options.spin_microseconds = 0;
  pool = attn_thread_pool_create_with(&options, message, sizeof message);
  CHECK(pool != NULL && message[0] == '\0' && attn_thread_pool_parallel(pool).threads == 2);
  attn_thread_pool_destroy(pool);
  options.spin_microseconds = -3;
  CHECK(attn_thread_pool_create_with(&options, message, sizeof message) == NULL);
  CHECK(strstr(message, "spin_microseconds") != NULL && strstr(message, "-3") != NULL);

  const attn_parallel mine = {one_after_the_other, &tasks_run, 2};
  a.parallel = &mine;
  memset(output, 0, sizeof output);
  CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
  CHECK(memcmp(first, output, sizeof first) == 0);
  CHECK(tasks_run > 0);
}

/* ---- Softmax ---- */

static void test_softmax(void) {
  enum { ROWS = 3, COLUMNS = 50, STRIDE = 53 };
  char message[256];
  float x[ROWS * STRIDE], y[ROWS * COLUMNS], want[ROWS * COLUMNS];
  fill(x, ROWS * STRIDE, 5);
  for (int r = 0; r < ROWS; ++r) {
    double sum = 0;
    for (int j = 0; j < COLUMNS; ++j) sum += exp(-3.0 * (double)x[r * STRIDE + j]);
    for (int j = 0; j < COLUMNS; ++j) want[r * COLUMNS + j] = (float)(exp(-3.0 * (double)x[r * STRIDE + j]) / sum);
  }
  CHECK(attn_softmax(x, y, ROWS, COLUMNS, STRIDE, COLUMNS, -3.0f, message, sizeof message) == ATTN_OK);
  CHECK(message[0] == '\0');
  CHECK(largest_difference(y, want, ROWS * COLUMNS) < 1e-6);
  CHECK(attn_softmax(x, x, ROWS, COLUMNS, STRIDE, STRIDE, -3.0f, NULL, 0) == ATTN_OK); /* in place */
  for (int r = 0; r < ROWS; ++r) CHECK(memcmp(x + r * STRIDE, y + r * COLUMNS, COLUMNS * sizeof(float)) == 0);

  CHECK(attn_softmax(x, y, ROWS, -1, STRIDE, COLUMNS, 1.0f, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "columns") != NULL);
  CHECK(attn_softmax(x, NULL, ROWS, COLUMNS, STRIDE, COLUMNS, 1.0f, NULL, 0) == ATTN_INVALID_ARGUMENT);
}

/* ---- Layer: [2, 7, 12] tokens, 3 heads of 4 ---- */

static void linear(const float* x, const float* w, const float* b, int rows, int dim, double* y) { /* W: [out, in] */
  for (int r = 0; r < rows; ++r)
    for (int o = 0; o < dim; ++o) {
      y[r * dim + o] = b ? (double)b[o] : 0.0;
      for (int i = 0; i < dim; ++i) y[r * dim + o] += (double)x[r * dim + i] * (double)w[o * dim + i];
    }
}

static void test_multi_head(void) {
  enum { BATCH = 2, T = 7, E = 12, H = 3, HD = E / H };
  static float x[BATCH * T * E], w[4][E * E], b[4][E], y[BATCH * T * E], want[BATCH * T * E], mixed[BATCH * T * E];
  static float weights[BATCH * H * T * T];
  static double pq[BATCH * T * E], pk[BATCH * T * E], pv[BATCH * T * E], result[BATCH * T * E];
  char message[256];
  fill(x, BATCH * T * E, 6);
  for (uint32_t i = 0; i < 4; ++i) {
    fill(w[i], E * E, 10 + i);
    fill(b[i], E, 20 + i);
  }
  const int64_t lengths[BATCH] = {T, 5};

  linear(x, w[0], b[0], BATCH * T, E, pq);
  linear(x, w[1], b[1], BATCH * T, E, pk);
  linear(x, w[2], b[2], BATCH * T, E, pv);
  for (int n = 0; n < BATCH; ++n)
    for (int h = 0; h < H; ++h)
      for (int t = 0; t < T; ++t) {
        double p[T], sum = 0;
        const int keys = t + 1 < lengths[n] ? t + 1 : (int)lengths[n];
        for (int j = 0; j < keys; ++j) {
          double s = 0;
          for (int d = 0; d < HD; ++d) s += pq[(n * T + t) * E + h * HD + d] * pk[(n * T + j) * E + h * HD + d];
          sum += p[j] = exp(s / sqrt(HD));
        }
        for (int d = 0; d < HD; ++d) {
          double o = 0;
          for (int j = 0; j < keys; ++j) o += p[j] / sum * pv[(n * T + j) * E + h * HD + d];
          mixed[(n * T + t) * E + h * HD + d] = (float)o;
        }
      }
  linear(mixed, w[3], b[3], BATCH * T, E, result);
  for (int i = 0; i < BATCH * T * E; ++i) want[i] = (float)result[i];

  attn_multi_head_config config;
  memset(&config, 0, sizeof config);
  config.size = sizeof config;
  config.embed_dim = E;
  config.num_heads = H;
  config.layout = ATTN_WEIGHTS_OUT_IN;
  config.w_q = w[0];
  config.w_k = w[1];
  config.w_v = w[2];
  config.b_q = b[0];
  config.b_k = b[1];
  config.b_v = b[2];
  config.w_o = w[3];
  config.b_o = b[3];
  attn_multi_head* layer = attn_multi_head_create(&config, message, sizeof message);
  CHECK(layer != NULL && message[0] == '\0');
  if (layer) {
    memset(w, 0, sizeof w); /* they were copied */
    attn_forward_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.key_lengths = lengths;
    options.causal = 1;
    CHECK(attn_multi_head_forward(layer, x, BATCH, T, &options, y, NULL, message, sizeof message) == ATTN_OK);
    CHECK(message[0] == '\0');
    CHECK(largest_difference(y, want, BATCH * T * E) < 1e-5);
    memset(y, 0, sizeof y);
    CHECK(attn_multi_head_forward(layer, x, BATCH, T, &options, y, weights, NULL, 0) == ATTN_OK);
    CHECK(largest_difference(y, want, BATCH * T * E) < 1e-5);
    CHECK(weights[0] == 1.0f); /* the first token sees itself alone */
    CHECK(attn_multi_head_forward(layer, x, BATCH, T, NULL, y, NULL, NULL, 0) == ATTN_OK);

    /* Flags that are neither 0 nor 1. */
    options.bottom_right = 2;
    CHECK(
        attn_multi_head_forward(layer, x, BATCH, T, &options, y, NULL, message, sizeof message) ==
        ATTN_INVALID_ARGUMENT);
    CHECK(strcmp(message, "options->bottom_right must be 0 or 1, got 2") == 0);
    options.bottom_right = 0;
    options.average_weights = -1;
    CHECK(
        attn_multi_head_forward(layer, x, BATCH, T, &options, y, NULL, message, sizeof message) ==
        ATTN_INVALID_ARGUMENT);
    CHECK(strcmp(message, "options->average_weights must be 0 or 1, got -1") == 0);
    options.average_weights = 0;

    /* An older header ended behind `parallel`. */
    options.size = offsetof(attn_forward_options, bottom_right);
    options.cache = (const attn_layer_cache*)(const void*)x;
    memset(y, 0, sizeof y);
    CHECK(attn_multi_head_forward(layer, x, BATCH, T, &options, y, NULL, NULL, 0) == ATTN_OK);
    CHECK(largest_difference(y, want, BATCH * T * E) < 1e-5);

    /* Token by token, through a cache of its own type and layout. */
    static float cache_keys[BATCH * T * E], cache_values[BATCH * T * E];
    int64_t used[BATCH] = {0, 0};
    const attn_layer_cache cache = {
        sizeof cache, {cache_keys, ATTN_F32, T * E, HD, E}, {cache_values, ATTN_F32, T * E, HD, E}, T, used};
    options.size = sizeof options;
    options.key_lengths = NULL;
    options.cache = &cache;
    for (int t = 0; t < T; ++t) {
      static float token[BATCH * E];
      for (int n = 0; n < BATCH; ++n) memcpy(token + n * E, x + (n * T + t) * E, E * sizeof(float));
      CHECK(attn_multi_head_forward(layer, token, BATCH, 1, &options, y, NULL, message, sizeof message) == ATTN_OK);
      CHECK(used[0] == t + 1 && used[1] == t + 1);
      CHECK(largest_difference(y, want + t * E, E) < 1e-5);
    }
    CHECK(
        attn_multi_head_forward(layer, x, BATCH, 1, &options, y, NULL, message, sizeof message) ==
        ATTN_INVALID_ARGUMENT);
    CHECK(strstr(message, "cache->capacity") != NULL && used[0] == T);
    attn_layer_cache unsized = cache;
    unsized.size = 0;
    options.cache = &unsized;
    CHECK(
        attn_multi_head_forward(layer, x, BATCH, 1, &options, y, NULL, message, sizeof message) ==
        ATTN_INVALID_ARGUMENT);
    CHECK(strstr(message, "options->cache->size") != NULL);

    CHECK(
        attn_multi_head_forward(layer, NULL, BATCH, T, NULL, y, NULL, message, sizeof message) ==
        ATTN_INVALID_ARGUMENT);
    CHECK(message[0] != '\0');
    CHECK(attn_multi_head_forward(layer, x, -1, T, NULL, y, NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
    CHECK(strstr(message, "batch") != NULL);
  }
  attn_multi_head_destroy(layer);
  attn_multi_head_destroy(NULL);

  config.num_heads = 5; /* 12 / 5 is not whole */
  CHECK(attn_multi_head_create(&config, message, sizeof message) == NULL);
  CHECK(message[0] != '\0');
}

static void test_linear(void) {
  enum { ROWS = 3, DIM = 20 };
  static float x[ROWS * DIM], w[DIM * DIM], b[DIM], y[ROWS * DIM], want[ROWS * DIM];
  static double result[ROWS * DIM];
  char message[256];
  fill(x, ROWS * DIM, 30);
  fill(w, DIM * DIM, 31);
  fill(b, DIM, 32);
  for (int projection = ATTN_PROJECTION_BLAS; projection <= ATTN_PROJECTION_TILES; ++projection)
    for (int with_bias = 0; with_bias < 2; ++with_bias) {
      linear(x, w, with_bias ? b : NULL, ROWS, DIM, result);
      for (int i = 0; i < ROWS * DIM; ++i) want[i] = (float)result[i];
      attn_linear* layer = attn_linear_create(
          DIM, DIM, w, with_bias ? b : NULL, ATTN_WEIGHTS_OUT_IN, projection, message, sizeof message);
      CHECK(layer != NULL && message[0] == '\0');
      memset(y, 0, sizeof y);
      CHECK(attn_linear_forward(layer, x, ROWS, y, NULL, message, sizeof message) == ATTN_OK);
      CHECK(largest_difference(y, want, ROWS * DIM) < 1e-5);
      CHECK(attn_linear_forward(layer, x, -1, y, NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
      CHECK(strstr(message, "rows") != NULL);
      const attn_parallel none = attn_thread_pool_parallel(NULL);
      CHECK(attn_linear_forward(layer, x, ROWS, y, &none, message, sizeof message) == ATTN_INVALID_ARGUMENT);
      CHECK(strstr(message, "parallel->run is null") != NULL);
      attn_linear_destroy(layer);
    }
  attn_linear_destroy(NULL);
  CHECK(attn_linear_forward(NULL, x, 1, y, NULL, message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "layer is null") != NULL);
  CHECK(attn_linear_create(DIM, 0, w, NULL, 0, 0, message, sizeof message) == NULL && strstr(message, "out_dim"));
  CHECK(attn_linear_create(DIM, DIM, w, NULL, 2, 0, message, sizeof message) == NULL && strstr(message, "layout"));
  CHECK(attn_linear_create(DIM, DIM, w, NULL, 0, 2, message, sizeof message) == NULL && strstr(message, "projection"));
}

/* ---- Instruction sets and version ---- */

static void test_isas(void) {
  char message[256];
  const size_t count = attn_isa_count();
  CHECK(count >= 1);
  CHECK(strcmp(attn_isa_name(count - 1), "scalar") == 0 && attn_isa_runnable(count - 1));
  CHECK(attn_isa_name(count) == NULL && !attn_isa_runnable(count));

  const char* chosen = attn_active_isa();
  CHECK(chosen != NULL);
  static float first[OUTPUTS];
  const attn_attention_args a = make_args();
  CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
  memcpy(first, output, sizeof first);
  for (size_t i = 0; i < count; ++i) {
    const attn_status_code status = attn_use_isa(attn_isa_name(i), message, sizeof message);
    CHECK(status == (attn_isa_runnable(i) ? ATTN_OK : ATTN_UNSUPPORTED));
    if (status != ATTN_OK) continue;
    CHECK(strcmp(attn_active_isa(), attn_isa_name(i)) == 0);
    memset(output, 0, sizeof output);
    CHECK(attn_attention(&a, NULL, 0) == ATTN_OK);
    CHECK(memcmp(first, output, sizeof first) == 0); /* the same bits on every one */
  }
  CHECK(attn_use_isa("nonsense", message, sizeof message) == ATTN_INVALID_ARGUMENT);
  CHECK(strstr(message, "nonsense") != NULL);
  CHECK(attn_use_isa(NULL, NULL, 0) == ATTN_OK);
  CHECK(strcmp(attn_active_isa(), chosen) == 0);

  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", ATTN_VERSION_MAJOR, ATTN_VERSION_MINOR, ATTN_VERSION_PATCH);
  CHECK(strcmp(attn_version(), version) == 0);
}

int main(void) {
  fill(q, sizeof q / sizeof *q, 1);
  fill(k, sizeof k / sizeof *k, 2);
  fill(v, sizeof v / sizeof *v, 3);
  reference();
  test_attention();
  test_cache();
  test_pages_of_int8();
  test_merge();
  test_errors();
  test_zeroed();
  test_null_handles();
  test_threads();
  test_softmax();
  test_multi_head();
  test_linear();
  test_isas();
  if (failures == 0) printf("the C interface is as attn.h says\n");
  return failures == 0 ? 0 : 1;
}
