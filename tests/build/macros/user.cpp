// A program that includes a header with macros BEFORE or AFTER attn's, and uses attn.
#ifdef BEFORE
#if __has_include(BEFORE)
#include BEFORE
#endif
#endif
#include <attn/attn.h>

#include <attn/attn.hpp>
#ifdef AFTER
#if __has_include(AFTER)
#include AFTER
#endif
#endif

const char* run(const float* x, float* y) {
  attn::AttentionArgs args;
  args.query_length = args.key_length = args.head_dim = args.value_dim = 1;
  args.query = args.key = args.value = attn::bhtd(x, 1, 1, 1);
  args.output = attn::bhtd(y, 1, 1, 1);
  args.path = attn::Path::streaming;
  const attn::CallStatus status = attn::attention(args);
  if (status.code() == attn::StatusCode::ok && status.ok()) return attn::active_isa();
  static char message[192];
  return attn_softmax(x, y, 1, 1, 1, 1, 1, message, sizeof message) == ATTN_OK ? attn::version() : message;
}
