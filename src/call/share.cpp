#include "call/share.hpp"

namespace attn {
namespace {

// What a row or a head costs beside the keys that its rows see, in keys.
constexpr double own_cost = 16;
// Query rows that are asked for their keys: the others of a long sequence lie between.
constexpr std::int64_t most_samples = 64;
// Cuts inside a head stand at multiples of this many rows, the tiles of most instruction sets. A constant, so that all
// machines cut alike.
constexpr std::int64_t tile = 12;
// Where there are fewer heads than shares: rows that a share must have to be worth reading the head's keys again.
constexpr std::int64_t few = 4;

struct Cut {
  std::int64_t head, row;
};

// The first of n things that part i of `parts` has, without the product that could overflow.
std::int64_t part(std::int64_t n, std::int64_t i, std::int64_t parts) noexcept {
  return n / parts * i + std::min(i, n % parts);
}

// Queries that see about as many keys each.
struct Sample {
  std::int64_t first, end;
  double keys;  // that one of them sees

  double queries() const noexcept { return static_cast<double>(end - first); }
};
std::int64_t samples_of(const Problem& p, const Sequence& s) noexcept {
  return std::min(s.query_length, p.visibility.same_for_all() ? 1 : most_samples);
}
Sample sample(const Problem& p, const Sequence& s, std::int64_t i) noexcept {
  const std::int64_t samples = samples_of(p, s), first = part(s.query_length, i, samples);
  const std::int64_t end = part(s.query_length, i + 1, samples);
  const KeyRange keys = p.visibility.range(s, first + (end - first) / 2);
  return {first, end, static_cast<double>(keys.end - keys.begin)};
}

// Of all queries of one head. A head's keys are read, or packed, once: as a row more.
double cost_of_queries(const Problem& p, const Sequence& s) noexcept {
  return keys_seen(p, s) + own_cost * static_cast<double>(s.query_length);
}
double cost_of_head(const Problem& p, const Line& line, const Sequence& s) noexcept {
  return cost_of_queries(p, s) * static_cast<double>(line.group) + static_cast<double>(s.key_length) + own_cost;
}

// The row of a head that has this part of the cost of its rows before it.
std::int64_t row_at(const Problem& p, const Line& line, const Sequence& s, double fraction) noexcept {
  double left = fraction * cost_of_queries(p, s);
  for (std::int64_t i = 0; i < samples_of(p, s); ++i) {
    const Sample x = sample(p, s, i);
    const double here = (x.keys + own_cost) * x.queries();
    if (left < here)
      return x.first * line.group +
          static_cast<std::int64_t>(left / here * x.queries() * static_cast<double>(line.group));
    left -= here;
  }
  return s.query_length * line.group;
}

// The multiple of rows that a cut inside this head stands at; all rows, if it is not worth one.
std::int64_t granule(const Problem& p, const Line& line, std::int64_t rows) noexcept {
  const std::int64_t heads = saturating_count(p.batch.count, line.heads);
  if (heads >= p.share_count) return rows >= 2 * tile ? tile : rows;
  const double even = static_cast<double>(rows) * static_cast<double>(heads) / static_cast<double>(p.share_count);
  return even >= tile ? tile : few;
}

// The cut in or beside one head, of which `before` of its `cost` lies before the cut. At an end of the head where that
// makes a share by no more than a sixteenth longer.
Cut cut_head(
    const Problem& p, const Line& line, const Sequence& s, std::int64_t head, double fraction, double slack) noexcept {
  const std::int64_t rows = s.query_length * line.group, step = granule(p, line, rows);
  if (line.whole || step >= rows) return {fraction < 0.5 ? head : head + 1, 0};
  if (fraction <= slack) return {head, 0};
  if (1 - fraction <= slack) return {head + 1, 0};
  const std::int64_t row = (row_at(p, line, s, fraction) + step / 2) / step * step;
  return row >= rows ? Cut{head + 1, 0} : Cut{head, row};
}

// Where share k begins, of a total cost. Never before the cut of a smaller k.
Cut cut_at(const Problem& p, const Line& line, std::int64_t k, double total) noexcept {
  const std::int64_t all = saturating_count(p.batch.count, line.heads);
  if (k == 0) return {0, 0};
  if (k == p.share_count) return {all, 0};
  const double even = total / static_cast<double>(p.share_count);
  double left = even * static_cast<double>(k);
  for (std::int64_t b = 0; b < p.batch.count; ++b) {
    const Sequence s = p.batch.at(b);
    const double head = cost_of_head(p, line, s), item = head * static_cast<double>(line.heads);
    if (left < item) {
      const std::int64_t h = std::min(line.heads - 1, static_cast<std::int64_t>(left / head));
      const double fraction = left / head - static_cast<double>(h);
      return cut_head(p, line, s, b * line.heads + h, fraction, even / head / 16);
    }
    left -= item;
  }
  return {all, 0};
}

Share between(Cut first, Cut end) noexcept {
  Share share;
  share.first_head = first.head;
  share.first_row = first.row;
  share.heads = end.head - first.head;
  if (end.row > 0 && (end.head > first.head || end.row > first.row)) {
    ++share.heads;
    share.end_row = end.row;
  }
  return share;
}

}  // namespace

double keys_seen(const Problem& p, const Sequence& s) noexcept {
  double keys = 0;
  for (std::int64_t i = 0; i < samples_of(p, s); ++i) {
    const Sample x = sample(p, s, i);
    keys += x.keys * x.queries();
  }
  return keys;
}

Share share_of(const Problem& p, const Line& line) noexcept {
  const std::int64_t all = saturating_count(p.batch.count, line.heads), k = p.share_index, n = p.share_count;
  if (n == 1) return between({0, 0}, {all, 0});
  if (all == 0 || p.batch.query_length == 0) return between({part(all, k, n), 0}, {part(all, k + 1, n), 0});
  double total = 0;
  for (std::int64_t b = 0; b < p.batch.count; ++b)
    total += cost_of_head(p, line, p.batch.at(b)) * static_cast<double>(line.heads);
  return between(cut_at(p, line, k, total), cut_at(p, line, k + 1, total));
}

}  // namespace attn
