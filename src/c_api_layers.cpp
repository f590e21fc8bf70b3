// The C interface of layers.hpp.
#include "c_api.hpp"

using namespace attn::c_api;

struct attn_linear {
  attn::Linear layer;
};

struct attn_multi_head {
  attn::MultiHeadAttention layer;
};

namespace {

static_assert(
    ATTN_WEIGHTS_IN_OUT == static_cast<int>(attn::WeightLayout::in_out) &&
    ATTN_WEIGHTS_OUT_IN == static_cast<int>(attn::WeightLayout::out_in) &&
    ATTN_PROJECTION_BLAS == static_cast<int>(attn::Projection::blas) &&
    ATTN_PROJECTION_TILES == static_cast<int>(attn::Projection::tiles));

// Tensors, masks and biases have the layout of the C++ ones, which c_api.cpp asserts.
template <class To, class From>
To as(const From& from) noexcept {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(static_cast<void*>(&to), &from, sizeof to);
  return to;
}

attn::MultiHeadConfig convert(const attn_multi_head_config& c) noexcept {
  attn::MultiHeadConfig to;
  to.embed_dim = c.embed_dim;
  to.num_heads = c.num_heads;
  to.kv_heads = c.kv_heads;
  to.head_dim = c.head_dim;
  to.layout = static_cast<attn::WeightLayout>(c.layout);
  to.w_q = c.w_q;
  to.w_k = c.w_k;
  to.w_v = c.w_v;
  to.b_q = c.b_q;
  to.b_k = c.b_k;
  to.b_v = c.b_v;
  to.w_o = c.w_o;
  to.b_o = c.b_o;
  to.kv_dim = c.kv_dim;
  to.projection = static_cast<attn::Projection>(c.projection);
  return to;
}

// The options of a call with what they point to, or why they are none.
struct Forward {
  attn::Status status;
  attn::Parallel parallel;
  attn::LayerCache cache;
  attn::ForwardOptions options;

  explicit Forward(const attn_forward_options* from) noexcept {
    attn_forward_options c{};
    if (from) status = read_struct("options", from, c);
    attn_layer_cache k{};
    if (status.ok() && c.cache) status = read_struct("options->cache", c.cache, k);
    const struct {
      const char* name;
      std::int32_t value;
    } flags[] = {{"bottom_right", c.bottom_right}, {"average_weights", c.average_weights}};
    for (const auto& flag : flags)
      if (status.ok() && flag.value != 0 && flag.value != 1)
        status = attn::Status(
            attn::StatusCode::invalid_argument, "options->%s must be 0 or 1, got %d", flag.name,
            static_cast<int>(flag.value));
    if (!status.ok()) return;
    if (c.parallel) {
      parallel = attn::c_api::convert(*c.parallel);
      options.parallel = &parallel;
    }
    if (c.cache) {
      cache = {as<attn::Output>(k.key), as<attn::Output>(k.value), k.capacity, k.lengths};
      options.cache = &cache;
    }
    options.key_lengths = c.key_lengths;
    options.causal = c.causal != 0;
    options.alignment = c.bottom_right == 1 ? attn::Alignment::bottom_right : attn::Alignment::top_left;
    options.average_weights = c.average_weights != 0;
    options.path = static_cast<attn::Path>(c.path);
    options.mask = as<attn::Mask>(c.mask);
    options.bias = as<attn::Bias>(c.bias);
    options.context = c.context;
    options.context_length = c.context_length;
    options.cu_lengths = c.cu_lengths;
    options.cu_context_lengths = c.cu_context_lengths;
  }
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;
};

attn::Status null_layer() noexcept { return attn::Status(attn::StatusCode::invalid_argument, "layer is null"); }

}  // namespace

attn_linear* attn_linear_create(
    int64_t in_dim, int64_t out_dim, const float* w, const float* b, int32_t layout, int32_t projection, char* message,
    size_t message_size) {
  attn_linear* layer = nullptr;
  const attn::Status status = caught([&] {
    layer = new attn_linear{attn::Linear(
        in_dim, out_dim, w, b, static_cast<attn::WeightLayout>(layout), static_cast<attn::Projection>(projection))};
  });
  report(status, message, message_size);
  return layer;
}

attn_status_code attn_linear_forward(
    const attn_linear* layer, const float* x, int64_t rows, float* y, const attn_parallel* parallel, char* message,
    size_t message_size) {
  const attn::Parallel threads = parallel ? attn::c_api::convert(*parallel) : attn::Parallel();
  const auto forward = [&] { layer->layer.forward_into(x, rows, y, parallel ? &threads : nullptr); };
  return report(layer ? caught(forward) : null_layer(), message, message_size);
}

void attn_linear_destroy(attn_linear* layer) { delete layer; }

attn_multi_head* attn_multi_head_create(const attn_multi_head_config* config, char* message, size_t message_size) {
  attn_multi_head_config c{};
  attn_multi_head* layer = nullptr;
  attn::Status status = read_struct("config", config, c);
  if (status.ok()) status = caught([&] { layer = new attn_multi_head{attn::MultiHeadAttention(convert(c))}; });
  report(status, message, message_size);
  return layer;
}

attn_status_code attn_multi_head_forward(
    const attn_multi_head* layer, const float* x, int64_t batch, int64_t length, const attn_forward_options* options,
    float* output, float* weights, char* message, size_t message_size) {
  const Forward f(options);
  attn::Status status = layer ? f.status : null_layer();
  if (status.ok()) status = caught([&] { layer->layer.forward_into(x, batch, length, output, weights, f.options); });
  return report(status, message, message_size);
}

void attn_multi_head_destroy(attn_multi_head* layer) { delete layer; }
