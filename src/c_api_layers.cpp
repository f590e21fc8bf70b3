// The C interface of layers.hpp.
#include "c_api.hpp"

using namespace attn::c_api;

struct attn_multi_head {
  attn::MultiHeadAttention layer;
};

attn_multi_head* attn_multi_head_create(const attn_multi_head_config* config, char* message, size_t message_size) {
  attn_multi_head_config c{};
  attn::Status status = read_struct("config", config, c);
  if (status.ok() && c.layout != ATTN_WEIGHTS_IN_OUT && c.layout != ATTN_WEIGHTS_OUT_IN)
    status = attn::Status(
        attn::StatusCode::invalid_argument, "config->layout must be 0 or 1, got %d", static_cast<int>(c.layout));
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

attn_status_code attn_multi_head_forward(
    const attn_multi_head* layer, const float* x, int64_t batch, int64_t length, const attn_forward_options* options,
    float* output, float* weights, char* message, size_t message_size) {
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
