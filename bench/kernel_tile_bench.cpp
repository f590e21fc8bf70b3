// kernel/<isa>/<kernel>/<rows>x<keys>x<dim>: kernels of a tile of queries against one block of keys, of packing, and of
// a projection (rows x inputs x columns), through the table of simd/kernels.hpp.
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/exponent.hpp"
#include "kernels.hpp"

namespace {

using attn::DType;
using attn::simd::key_block;
using bench::kernel_work;
using bench::Kernels;
using bench::Work;

// A full tile of the streaming path: a multiple of the rows of every register tile.
constexpr std::ptrdiff_t tile = 48;

// Rows against a block of keys, packed or in place, with all that attend needs. One KV head.
struct Block {
  Block(const Kernels& k, std::ptrdiff_t rows, std::ptrdiff_t dim, bool packed, DType type = DType::f32)
      : kernels(k),
        q(bench::normals(rows * dim, 1)),
        keys(bench::normals(key_block * dim, 2)),
        values(bench::normals(key_block * dim, 3)),
        packed_keys(key_block * dim),
        packed_values(key_block * dim),
        key_halves(static_cast<std::size_t>(key_block * dim)),
        value_halves(key_halves.size()),
        scores(rows * attn::simd::score_stride),
        max((rows + 15) / 16 * 16),
        sum((rows + 15) / 16 * 16),
        output(rows * dim),
        begin(static_cast<std::size_t>(rows), 0),
        end(static_cast<std::size_t>(rows), static_cast<std::int32_t>(key_block)),
        overflowed(static_cast<std::size_t>(rows)) {
    queries.rows = q.data();
    queries.count = rows;
    queries.stride = queries.head_dim = dim;
    block.count = key_block;
    block.key_stride = block.value_stride = block.value_dim = dim;
    block.packed = packed;
    block.keys = keys.data();
    block.values = values.data();
    if (packed) {
      pack_keys();
      block.values_finite = pack_values();
      block.keys = packed_keys.data();
      block.values = packed_values.data();
    } else if (type != DType::f32) {
      kernels.narrow(keys.data(), type, key_block * dim, key_halves.data());
      kernels.narrow(values.data(), type, key_block * dim, value_halves.data());
      block.keys = key_halves.data();
      block.values = value_halves.data();
      block.key_type = block.value_type = type;
    }
  }

  attn::simd::PackedRows rows_of(bench::Floats& x) {
    return {x.data(), DType::f32, queries.head_dim, key_block, queries.head_dim, key_block};
  }
  void pack_keys() { kernels.pack_keys(rows_of(keys), packed_keys.data()); }
  bool pack_values() { return kernels.pack_values(rows_of(values), packed_values.data()); }
  attn::simd::Visible visible() const { return {begin.data(), end.data(), nullptr}; }
  attn::simd::Scratch scratch() { return {scores.data(), nullptr, {}, false}; }
  attn::simd::State state() { return {max.data(), sum.data(), output.data(), queries.head_dim, overflowed.data()}; }

  // Of one product with every key.
  double flop() const { return 2.0 * static_cast<double>(queries.count * key_block * queries.head_dim); }
  double key_bytes() const {
    return (block.key_type == DType::f32 ? 4.0 : 2.0) * static_cast<double>(key_block * queries.head_dim);
  }
  double query_bytes() const { return 4.0 * static_cast<double>(queries.count * queries.head_dim); }

  const Kernels& kernels;
  attn::simd::Queries queries;
  attn::simd::KeyBlock block;
  bench::Floats q, keys, values, packed_keys, packed_values;
  std::vector<std::uint16_t> key_halves, value_halves;
  bench::Floats scores, max, sum, output;
  std::vector<std::int32_t> begin, end;
  std::vector<std::uint8_t> overflowed;
};

template <std::ptrdiff_t Dim>
Work pack_keys(const Kernels& kernels) {
  const auto b = std::make_shared<Block>(kernels, 1, Dim, false);
  return kernel_work([b] { b->pack_keys(); }, 0, 2 * b->key_bytes());
}

template <std::ptrdiff_t Dim>
Work pack_values(const Kernels& kernels) {
  const auto b = std::make_shared<Block>(kernels, 1, Dim, false);
  return kernel_work([b] { b->pack_values(); }, 0, 2 * b->key_bytes());
}

template <std::ptrdiff_t Dim>
Work multiply_keys(const Kernels& kernels) {
  const auto b = std::make_shared<Block>(kernels, tile, Dim, true);
  const auto call = [b] { b->kernels.multiply_keys(b->queries, b->block, b->visible(), b->scratch()); };
  return kernel_work(call, b->flop(), b->query_bytes() + b->key_bytes() + 4.0 * tile * key_block);
}

// Packed tiles, or few rows with keys and values in place, as decoding has them.
template <std::ptrdiff_t Rows, std::ptrdiff_t Dim, bool Packed, DType Type>
Work attend(const Kernels& kernels) {
  const auto b = std::make_shared<Block>(kernels, Rows, Dim, Packed, Type);
  const auto call = [b] {
    const attn::simd::ScoreRule rule{attn::make_exponent(1 / std::sqrt(static_cast<double>(Dim))), nullptr, nullptr};
    b->kernels.attend(b->queries, b->block, b->visible(), rule, b->scratch(), b->state());
  };
  return kernel_work(call, 2 * b->flop(), 2 * b->query_bytes() + 2 * b->key_bytes(), Rows * key_block);
}

// The second state is used up, but stays one: its maxima and sums become factors between 0 and 1.
template <std::ptrdiff_t Dim>
Work merge(const Kernels& kernels) {
  const auto into = std::make_shared<Block>(kernels, tile, Dim, true);
  const auto from = std::make_shared<Block>(kernels, tile, Dim, true);
  const auto call = [into, from] {
    into->kernels.merge(attn::make_exponent(0.125), tile, into->state(), from->state());
  };
  return kernel_work(call, 3.0 * tile * Dim, 12.0 * tile * Dim, 2 * tile);
}

template <std::ptrdiff_t Rows>
Work project(const Kernels& kernels) {
  constexpr std::ptrdiff_t in = 256, columns = 128;
  const auto x = bench::numbers(Rows * in, 1), panels = bench::numbers(in * columns, 2);
  const auto bias = bench::numbers(columns, 3), y = bench::zeros(Rows * columns);
  const auto call = [=, &kernels] {
    attn::simd::Projected p;
    p.x = x->data();
    p.x_stride = p.in = in;
    p.rows = Rows;
    p.panels = panels->data();
    p.bias = bias->data();
    p.columns = p.y_stride = columns;
    p.y = y->data();
    kernels.project(p);
  };
  return kernel_work(call, 2.0 * Rows * in * columns, 4.0 * (Rows * in + in * columns + columns + Rows * columns));
}

void add_all() {
  constexpr DType f32 = DType::f32;
  bench::add_kernel("pack_keys/512x64", pack_keys<64>);
  bench::add_kernel("pack_keys/512x128", pack_keys<128>);
  bench::add_kernel("pack_values/512x64", pack_values<64>);
  bench::add_kernel("pack_values/512x128", pack_values<128>);
  bench::add_kernel("multiply_keys/48x512x64", multiply_keys<64>);
  bench::add_kernel("multiply_keys/48x512x128", multiply_keys<128>);
  bench::add_kernel("attend/48x512x64", attend<tile, 64, true, f32>);
  bench::add_kernel("attend/48x512x128", attend<tile, 128, true, f32>);
  bench::add_kernel("attend_in_place/1x512x128", attend<1, 128, false, f32>);
  bench::add_kernel("attend_in_place/4x512x128", attend<4, 128, false, f32>);
  bench::add_kernel("attend_in_place_f16/1x512x128", attend<1, 128, false, DType::f16>);
  bench::add_kernel("attend_in_place_bf16/1x512x128", attend<1, 128, false, DType::bf16>);
  bench::add_kernel("merge/48x128", merge<128>);
  bench::add_kernel("project/48x256x128", project<tile>);
  bench::add_kernel("project/1x256x128", project<1>);
}

const bench::Registration registration("kernel of tiles", add_all);

}  // namespace
