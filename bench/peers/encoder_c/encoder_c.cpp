// The encoder of tests/examples/encoder as C functions, for bench/peers/encoder.py.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>

#include "attn/parallel.hpp"
#include "examples/encoder/encoder.hpp"
#include "examples/encoder/safetensors.hpp"
#include "examples/encoder/weights.hpp"

namespace {

struct Session {
  encoder::Encoder encoder;
  attn::ThreadPool pool;
};

constexpr std::size_t message_size = 256;

// 0, or 1 and a message of at most message_size bytes.
template <class Call>
int caught(char* message, const Call& call) {
  try {
    call();
    return 0;
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
    return 1;
  }
}

}  // namespace

extern "C" {

// Null and a message if the file cannot be read.
void* attn_encoder_open(const char* path, std::int64_t heads, std::int64_t threads, char* message) {
  std::unique_ptr<Session> session;
  caught(message, [&] {
    encoder::SafeTensors file(path);
    session.reset(new Session{encoder::Encoder(encoder::read_weights(file, heads)), attn::ThreadPool(threads)});
  });
  return session.release();
}

// As Encoder::embed: lengths and cu_lengths may be null.
int attn_encoder_embed(
    void* session, const std::int64_t* tokens, std::int64_t batch, std::int64_t length, const std::int64_t* lengths,
    const std::int64_t* cu_lengths, float* embeddings, char* message) {
  Session& s = *static_cast<Session*>(session);
  return caught(message, [&] {
    const attn::Parallel parallel = s.pool.parallel();
    s.encoder.embed({tokens, batch, length, lengths, cu_lengths}, embeddings, &parallel);
  });
}

void attn_encoder_close(void* session) { delete static_cast<Session*>(session); }

}  // extern "C"
