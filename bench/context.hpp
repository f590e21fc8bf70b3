// What ran: in the head of the output and the context of the JSON.
#pragma once

namespace bench {

// Keys: attn_version, isas (runnable, best first), compiler, build_type, blas, blas_core, blas_threads,
// benchmark_library, sample_seconds. "" where there is none, or none is known.
void add_context();

}  // namespace bench
