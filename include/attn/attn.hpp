// attn: scaled dot-product attention for CPUs. This header includes all C++ ones.
//
//   attention.hpp   attention(AttentionArgs), workspace_size()      the operator
//   options.hpp     options::pytorch(), flash_attention(), onnx()   options as other systems mean them
//   kv_cache.hpp    append()                                        to a cache that the caller owns
//   merge.hpp       merge()                                         attention over parts of the keys, put together
//   layers.hpp      SelfAttention, MultiHeadAttention               with projections and weights
//   softmax.hpp     softmax()                                       the fused row kernel
//   tensor.hpp      Tensor, Output, bhtd(), bthd(), Mask, Bias      views of the caller's memory
//   parallel.hpp    Parallel, ThreadPool, ThreadPoolOptions         whose threads
//   isa.hpp         isa(), active_isa(), use_isa()                  which instruction set
//   status.hpp      Status, throw_if_error()                        what went wrong
//   version.h       version(), ATTN_VERSION_MAJOR, _MINOR, _PATCH    of the library, of the headers
#pragma once

#include "attn/attention.hpp"
#include "attn/isa.hpp"
#include "attn/kv_cache.hpp"
#include "attn/layers.hpp"
#include "attn/merge.hpp"
#include "attn/options.hpp"
#include "attn/parallel.hpp"
#include "attn/softmax.hpp"
#include "attn/status.hpp"
#include "attn/tensor.hpp"
#include "attn/version.h"
