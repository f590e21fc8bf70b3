#include "streaming/tile.hpp"

#include "streaming/mask.hpp"
#include "streaming/pages.hpp"

namespace attn::streaming {
namespace {

using simd::key_block;

// Row r's query, widened and with the sign that the exponent wants, into scratch.
void copy_query(const Plan& plan, const KvHead& kv, Place place, float* to) noexcept {
  const Problem& p = plan.problem;
  const char* from = address_of(p.query, kv.sequence.batch, place.head, kv.sequence.first_query + place.query);
  if (p.pairs()) return plan.kernels.copy_query_pairs(from, p.head_dim, plan.negate, to);
  plan.kernels.widen(from, p.query.dtype, p.head_dim, to);
  for (std::int64_t d = 0; plan.negate && d < p.head_dim; ++d) to[d] = -to[d];
}

// The steps of row r, whose keys scratch.begin .. scratch.end of the block at `key` have been seen.
simd::RowSteps steps_of(
    const Plan& plan, const KvHead& kv, std::int64_t key, std::int64_t r, bool biased,
    const TileScratch& scratch) noexcept {
  const Scoring& scoring = plan.problem.scoring;
  const Place place = scratch.place[r];
  simd::RowSteps steps = scoring.row_steps(kv.sequence, place.head, place.query, key);
  if (!biased || scratch.begin[r] >= scratch.end[r]) return steps;
  const KeyRange keys{scratch.begin[r] / simd::lane_count * simd::lane_count, scratch.end[r]};  // whole vectors
  steps.bias = bias_of(row_at(plan, kv, place), key, keys, scratch.wide_bias + r * key_block);
  return steps;
}

// Do mask and bias, the same for all queries, leave a key of a block to a head of the KV head's group?
bool any_left(const Plan& plan, const KvHead& kv, std::int64_t block) noexcept {
  const KeyRange keys = keys_of_block(kv, block);
  for (std::int64_t g = 0; g < plan.problem.group; ++g) {
    std::uint64_t allowed[simd::key_block / 64], any = 0;
    read_holes(
        row_at(plan, kv, {0, kv.head * plan.problem.group + g}), keys.begin, {0, keys.end - keys.begin}, allowed);
    for (const std::uint64_t word : allowed) any |= word;
    if (any != 0) return true;
  }
  return false;
}

}  // namespace

bool take_part(Tile& tile, bool stepped) noexcept {
  tile.part = {0, tile.rows, stepped};
  if (!tile.biased) return tile.all_stepped == stepped;
  for (std::int64_t r = 0; r < tile.rows; ++r)
    if (tile.stepped(r) == stepped) return true;
  return false;
}

void find_biased(
    const Plan& plan, const KvHead& kv, const Tile& tile, const TileScratch& scratch, const Workspace& w) noexcept {
  if (!plan.problem.scoring.bias.data) return;
  BiasedRows rows;
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    BiasedRows::Kept kept{known_bits(plan, scratch, r), plan.known_blocks};
    w.biased[kv.index * plan.rows + tile.first_row + r] =
        rows.next(row_at(plan, kv, scratch.place[r]), scratch.range[r], kept);
    scratch.known[r] = kept.count;
  }
}

Tile load_tile(
    const Plan& plan, const KvHead& kv, std::int64_t index, const TileScratch& scratch, const Workspace& w) noexcept {
  const Problem& p = plan.problem;
  Tile tile{index * plan.rows_per_tile, 0, {}, {}, nullptr, p.scoring.stepped, {}};
  tile.rows = std::min(plan.rows_per_tile, kv.rows - tile.first_row);
  tile.part = {0, tile.rows, tile.all_stepped};
  if (p.scoring.bias.data) tile.biased = w.biased + kv.index * plan.rows + tile.first_row;
  const bool queries_in_place = p.group == 1 && !plan.negate && is_float(p.query.dtype);
  tile.queries = {scratch.query, tile.rows, query_floats(p), p.head_dim};
  if (queries_in_place) {
    const std::int64_t query = kv.first_row + tile.first_row;  // a group of one
    tile.queries.rows = row_of(p.query, kv.sequence.batch, kv.head, kv.sequence.first_query + query);
    tile.queries.stride = plan.stack > 1 ? p.query.head_stride : p.query.row_stride;
  }
  Place place = place_of(plan, kv, tile.first_row);
  for (std::int64_t r = 0; r < tile.rows; ++r, place = next_place(plan, kv, place)) {
    scratch.place[r] = place;
    const bool known = plan.uniform && r > 0;
    scratch.range[r] = known ? scratch.range[0] : p.visibility.range(kv.sequence, place.query);
    if (!known) tile.blocks.include(scratch.range[r]);
    if (p.visibility.has_holes()) scratch.known[r] = 0;
    if (!queries_in_place) copy_query(plan, kv, place, scratch.query + r * query_floats(p));
  }
  return tile;
}

simd::KeyBlock block_at(
    const Plan& plan, const KvHead& kv, std::int64_t block, const Packed* packed, const TileScratch& scratch) noexcept {
  const Problem& p = plan.problem;
  const KeyRange keys = keys_of_block(kv, block);
  simd::KeyBlock b;
  b.count = keys.end - keys.begin;
  b.value_dim = p.value_dim;
  b.pairs = p.pairs();
  b.bf16_weights = p.bf16_weights;
  b.panels = p.panels();
  const bool pages = p.pages.table != nullptr;
  if (pages && (!packed || b.panels)) list_pages(plan, kv, block, scratch, b);
  if (packed) {
    b.packed = true;
    b.values = packed->values + keys.begin * plan.padded_value_dim;
    b.values_finite = packed->finite[block] != 0;
  } else {
    if (!pages) b.values = value_at(plan, kv, keys.begin);
    // Without columns no scales are taken, which a kernel for int8 would read.
    b.value_type = p.value_dim > 0 ? p.value.dtype : DType::f32;
    b.value_stride = plan.value_stride;
    b.fetch_ahead = plan.fetch_ahead;
    b.own_keys = kv.stacked > 1;
    b.next_keys = b.own_keys ? p.key.head_stride : 0;
    b.next_values = b.own_keys ? p.value.head_stride : 0;
  }
  if (packed && !b.panels) {
    b.keys = packed->keys + keys.begin * p.head_dim;
  } else {
    if (!pages) b.keys = key_at(plan, kv, keys.begin);
    b.key_type = p.key.dtype;
    b.key_stride = plan.key_stride;
  }
  return b;
}

bool see_block(
    const Plan& plan, const KvHead& kv, const Tile& tile, std::int64_t block, const TileScratch& scratch) noexcept {
  const std::int64_t key = block * key_block;
  const auto in_block = [&](std::int64_t j) {
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(j - key, 0, key_block));
  };
  if (plan.uniform) {
    const std::int32_t begin = in_block(scratch.range[0].begin), end = in_block(scratch.range[0].end);
    std::fill_n(scratch.begin, tile.rows, begin);
    std::fill_n(scratch.end, tile.rows, end);
    return begin < end;
  }
  bool any = false;
  BlockMask mask(plan, kv, key, scratch);
  for (std::int64_t r = 0; r < tile.rows; ++r) {
    const KeyRange range = tile.in_part(r) ? scratch.range[r] : KeyRange{0, 0};
    scratch.begin[r] = in_block(range.begin);
    scratch.end[r] = in_block(range.end);
    mask.apply(r);
    if (tile.part.stepped) scratch.row_steps[r] = steps_of(plan, kv, key, r, tile.is_biased(r), scratch);
    any |= scratch.begin[r] < scratch.end[r];
  }
  return any;
}

// Without holes in any row there is no mask: the values of whole ranges are then multiplied together.
simd::Visible visible(const Plan& plan, const Tile& tile, const TileScratch& scratch) noexcept {
  simd::Visible v{scratch.begin, scratch.end, nullptr};
  for (std::int64_t r = 0; plan.problem.visibility.has_holes() && r < tile.rows; ++r)
    if (scratch.allowed[r]) v.allowed = scratch.allowed;
  return v;
}

Blocks blocks_in_range(const Plan& plan, const KvHead& kv) noexcept {
  const Visibility& visibility = plan.problem.visibility;
  Blocks blocks;
  if (kv.rows == 0) return blocks;
  const std::int64_t first = place_of(plan, kv, 0).query, last = place_of(plan, kv, kv.rows - 1).query;
  const std::int64_t end = visibility.same_for_all() ? first + 1 : last + 1;
  for (std::int64_t query = first; query < end; ++query) blocks.include(visibility.range(kv.sequence, query));
  return blocks;
}

Blocks blocks_of(const Plan& plan, const KvHead& kv) noexcept {
  const Visibility& visibility = plan.problem.visibility;
  if (plan.problem.extras.scores.data && kv.rows > 0) return all_blocks(kv);
  Blocks blocks = blocks_in_range(plan, kv);
  if (!visibility.has_holes() || !visibility.same_holes_for_all()) return blocks;
  while (!blocks.empty() && !any_left(plan, kv, blocks.end - 1)) --blocks.end;
  while (!blocks.empty() && !any_left(plan, kv, blocks.begin)) ++blocks.begin;
  return blocks;
}

}  // namespace attn::streaming
