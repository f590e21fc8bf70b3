// A cache in pages on the streaming path: the pages of a block as the kernels take them, and a block packed page by
// page. Only pages with a key that some query may see are looked up.
#pragma once

#include <cstdint>

#include "streaming/plan.hpp"
#include "streaming/workspace.hpp"

namespace attn::streaming {

// Sets key_pages, value_pages and page_keys of a block in place; the lists are in `scratch`.
void list_pages(
    const Plan& plan, const KvHead& kv, std::int64_t block, const TileScratch& scratch, simd::KeyBlock& keys) noexcept;

// Packs the pages of a block that some query may see; nobody multiplies what stands in the place of the others.
void pack_pages(const Plan& plan, const KvHead& kv, std::int64_t block, const Packed& packed) noexcept;

}  // namespace attn::streaming
