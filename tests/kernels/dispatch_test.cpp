// Which instruction set is chosen, for CPUs that are invented here, and what use_isa does.
#include "dispatch.hpp"

#include <cstdlib>
#include <cstring>
#include <string>

#include "attn/attention.hpp"
#include "cpu.hpp"
#include "support/catch.hpp"
#include "support/isas.hpp"

namespace {

using attn::cpu::Raw;
namespace cpu = attn::cpu;
namespace dispatch = attn::dispatch;

constexpr std::uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
constexpr std::uint32_t avx2 = 1u << 5, avx512f = 1u << 16, avx512dq = 1u << 17;
constexpr std::uint32_t avx512bw = 1u << 30, avx512vl = 1u << 31, bf16 = 1u << 5;
constexpr std::uint32_t all1 = fma | osxsave | avx | f16c, all7 = avx2 | avx512f | avx512dq;
constexpr std::uint64_t x87 = 1, ymm = 0x7, zmm = 0xe7;  // as XCR0 reads with the lower states on

constexpr std::uint32_t all_of_x86 = cpu::avx2_fma | cpu::avx512 | cpu::avx512_bf16;
constexpr std::uint32_t all_features = all_of_x86 | cpu::neon_bf16;

struct Invented {
  const char* what;
  Raw raw;
  std::uint32_t want;
};

const Invented machines[] = {
    {"AVX-512 machine", {13, all1, all7, zmm}, cpu::avx2_fma | cpu::avx512},
    {"the same, with state components that nobody asked for", {32, ~0u, ~0u, ~0ull}, cpu::avx2_fma | cpu::avx512},
    {"bf16 products", {13, all1, all7 | avx512bw | avx512vl, zmm, 1, bf16}, all_of_x86},
    {"bf16 products, all bits set", {32, ~0u, ~0u, ~0ull, 2, ~0u}, all_of_x86},
    {"bf16, but no BW", {13, all1, all7 | avx512vl, zmm, 1, bf16}, cpu::avx2_fma | cpu::avx512},
    {"bf16, but no VL", {13, all1, all7 | avx512bw, zmm, 1, bf16}, cpu::avx2_fma | cpu::avx512},
    {"BW and VL, but no bf16", {13, all1, all7 | avx512bw | avx512vl, zmm, 1, ~bf16}, cpu::avx2_fma | cpu::avx512},
    {"no subleaf 1, which holds rubbish",
     {13, all1, all7 | avx512bw | avx512vl, zmm, 0, ~0u},
     cpu::avx2_fma | cpu::avx512},
    {"bf16, the OS saves ymm only", {13, all1, all7 | avx512bw | avx512vl, ymm, 1, bf16}, cpu::avx2_fma},
    {"AVX2 machine", {13, all1, avx2, ymm}, cpu::avx2_fma},
    {"nothing at all", {}, cpu::none},
    {"the OS does not use XSAVE", {13, all1 & ~osxsave, all7, 0}, cpu::none},
    {"no XSAVE, and XCR0 holds rubbish", {13, all1 & ~osxsave, all7, ~0ull}, cpu::none},
    {"the OS saves x87 and xmm only", {13, all1, all7, 0x3}, cpu::none},
    {"the OS saves x87 only", {13, all1, all7, x87}, cpu::none},
    {"ymm without xmm", {13, all1, all7, 0x5}, cpu::none},
    {"AVX-512 CPU, the OS saves ymm only", {13, all1, all7, ymm}, cpu::avx2_fma},
    {"mask registers are not saved", {13, all1, all7, 0xc7}, cpu::avx2_fma},
    {"upper zmm0-15 are not saved", {13, all1, all7, 0xa7}, cpu::avx2_fma},
    {"zmm16-31 are not saved", {13, all1, all7, 0x67}, cpu::avx2_fma},
    {"zmm is saved, but not ymm", {13, all1, all7, 0xe3}, cpu::none},
    {"AVX2 without FMA", {13, all1 & ~fma, all7, zmm}, cpu::none},
    {"AVX2 without F16C", {13, all1 & ~f16c, all7, zmm}, cpu::none},
    {"FMA and AVX without AVX2", {13, all1, 0, ymm}, cpu::none},
    {"AVX2 bit, but no AVX", {13, all1 & ~avx, all7, zmm}, cpu::none},
    {"AVX512F without DQ", {13, all1, avx2 | avx512f, zmm}, cpu::avx2_fma},
    {"AVX512DQ without F", {13, all1, avx2 | avx512dq, zmm}, cpu::avx2_fma},
    {"AVX512 without AVX2", {13, all1, avx512f | avx512dq, zmm}, cpu::none},
    {"leaf 7 does not exist, and holds rubbish", {6, all1, all7, zmm}, cpu::none},
    {"leaf 7 is the last", {7, all1, all7, zmm}, cpu::avx2_fma | cpu::avx512},
};

std::uint32_t needs_of(const char* name) {
  for (std::size_t i = 0; i < dispatch::candidate_count(); ++i)
    if (std::strcmp(dispatch::candidates()[i].kernels->name, name) == 0) return dispatch::candidates()[i].needs;
  return 0;
}

bool built_in(const char* name) {
  for (std::size_t i = 0; i < attn::isa_count(); ++i)
    if (std::strcmp(attn::isa(i).name, name) == 0) return true;
  return false;
}

std::string best_isa() {
  std::size_t i = 0;
  while (!attn::isa(i).runnable) ++i;
  return attn::isa(i).name;
}

}  // namespace

TEST_CASE("cpu: features of invented machines", "[kernels][dispatch]") {
  for (const Invented& machine : machines) {
    INFO(machine.what);
    CHECK(cpu::features(machine.raw) == machine.want);
  }
}

TEST_CASE("dispatch: the best that the features allow is chosen", "[kernels][dispatch]") {
  for (const Invented& machine : machines) {
    INFO(machine.what);
    attn::Status status;
    const attn::simd::Kernels* chosen = dispatch::choose(machine.want, nullptr, status);
    REQUIRE(chosen);
    CHECK(status.ok());
    CHECK((needs_of(chosen->name) & ~machine.want) == 0);
    // Nothing that stands before it in the list would have run.
    for (std::size_t i = 0; dispatch::candidates()[i].kernels != chosen; ++i)
      CHECK((dispatch::candidates()[i].needs & ~machine.want) != 0);
  }
#if defined(__x86_64__)
  attn::Status status;
  if (built_in("avx512bf16")) CHECK(dispatch::choose(all_of_x86, nullptr, status)->name == std::string("avx512bf16"));
  if (built_in("avx512"))
    CHECK(dispatch::choose(cpu::avx2_fma | cpu::avx512, nullptr, status)->name == std::string("avx512"));
  if (built_in("avx2")) CHECK(dispatch::choose(cpu::avx2_fma, nullptr, status)->name == std::string("avx2"));
  CHECK(dispatch::choose(cpu::none, nullptr, status)->name == std::string("scalar"));
#elif defined(__aarch64__)
  attn::Status status;
  if (built_in("neonbf16")) CHECK(dispatch::choose(cpu::neon_bf16, nullptr, status)->name == std::string("neonbf16"));
  CHECK(dispatch::choose(cpu::none, nullptr, status)->name == std::string("neon"));
#endif
}

TEST_CASE("dispatch: a name is taken or refused, never replaced", "[kernels][dispatch]") {
  for (std::size_t i = 0; i < dispatch::candidate_count(); ++i) {
    const char* name = dispatch::candidates()[i].kernels->name;
    const std::uint32_t needs = dispatch::candidates()[i].needs;
    INFO(name);
    attn::Status status;
    const attn::simd::Kernels* chosen = dispatch::choose(all_features, name, status);
    REQUIRE(chosen);
    CHECK(chosen->name == std::string(name));
    CHECK(status.ok());
    if (needs == cpu::none) continue;
    CHECK(dispatch::choose(cpu::none, name, status) == nullptr);
    CHECK(status.code() == attn::StatusCode::unsupported);
    CHECK(std::string(status.message()).find(name) != std::string::npos);
  }
  for (const char* name : {"", "AVX2", "avx", "avx2 ", "sse2", "avx512f", "best", "scalar\n"}) {
    INFO('"' << name << '"');
    attn::Status status;
    CHECK(dispatch::choose(all_features, name, status) == nullptr);
    CHECK(status.code() == attn::StatusCode::invalid_argument);
    CHECK(std::string(status.message()).find(name) != std::string::npos);
  }
}

TEST_CASE("dispatch: no kernel of a table is left out", "[kernels][dispatch]") {
  // A new member does not compile here until it has a name.
  // clang-format off
  const auto& [name, tile_rows, panel_keys, in_place_rows, in_place_flop_per_ns, packed_flop_per_ns, exp_scaled, softmax_rows, widen, narrow, step_scores,
               all_finite, mask_to_bits, bias_to_bits, pack_keys, pack_key_pairs, copy_query_pairs, pack_value_pairs, pack_values, multiply_keys, attend, merge, weigh,
               finish_row, project] = test::active_kernels();
  // clang-format on
  CHECK(tile_rows > 0);
  CHECK(in_place_flop_per_ns > 0);
  CHECK(packed_flop_per_ns >= in_place_flop_per_ns);
  CHECK(panel_keys % attn::simd::lane_count == 0);
  CHECK(in_place_rows > 0);
  const bool complete = name && exp_scaled && softmax_rows && widen && narrow && step_scores && all_finite &&
      mask_to_bits && bias_to_bits && pack_keys && pack_key_pairs && copy_query_pairs && pack_value_pairs &&
      pack_values && multiply_keys && attend && merge && weigh && finish_row && project;
  CHECK(complete);
}

TEST_CASE("dispatch: a known name that is not built in is unsupported", "[kernels][dispatch]") {
  for (const char* name : {"avx512bf16", "avx512", "avx2", "neonbf16", "neon", "scalar"}) {
    if (built_in(name)) continue;
    INFO(name);
    CHECK(attn::use_isa(name).code() == attn::StatusCode::unsupported);
  }
}

TEST_CASE("isa: the list is best first, without repeats, and scalar ends it", "[kernels][dispatch]") {
  const std::vector<std::string> order{"avx512bf16", "avx512", "avx2", "neonbf16", "neon", "scalar"};
  std::size_t at = 0;
  REQUIRE(attn::isa_count() >= 1);
  for (std::size_t i = 0; i < attn::isa_count(); ++i) {
    INFO(attn::isa(i).name);
    while (at < order.size() && order[at] != attn::isa(i).name) ++at;
    REQUIRE(at < order.size());
    ++at;
  }
  const attn::Isa last = attn::isa(attn::isa_count() - 1);
  CHECK(last.name == std::string("scalar"));
  CHECK(last.runnable);
}

TEST_CASE("isa: the active one is ATTN_ISA, or the best that runs", "[kernels][dispatch]") {
  REQUIRE(attn::active_isa());
  const char* wanted = std::getenv("ATTN_ISA");
  CHECK(attn::active_isa() == (wanted && *wanted ? std::string(wanted) : best_isa()));
}

TEST_CASE("use_isa: an empty ATTN_ISA counts as not set", "[kernels][dispatch]") {
  const char* wanted = std::getenv("ATTN_ISA");
  const std::string before = wanted ? wanted : "";
  setenv("ATTN_ISA", "", 1);
  CHECK(attn::use_isa(nullptr).ok());
  CHECK(attn::active_isa() == best_isa());
  if (wanted) setenv("ATTN_ISA", before.c_str(), 1);
  if (!wanted) unsetenv("ATTN_ISA");
  CHECK(attn::use_isa(nullptr).ok());
}

TEST_CASE("use_isa: takes what runs, refuses the rest, and null goes back", "[kernels][dispatch]") {
  const std::string before = attn::active_isa();
  for (std::size_t i = 0; i < attn::isa_count(); ++i) {
    const attn::Isa isa = attn::isa(i);
    INFO(isa.name);
    const attn::Status status = attn::use_isa(isa.name);
    CHECK(status.ok() == isa.runnable);
    if (isa.runnable) CHECK(attn::active_isa() == std::string(isa.name));
    if (!isa.runnable) CHECK(status.code() == attn::StatusCode::unsupported);

    // An error changes nothing.
    const std::string now = attn::active_isa();
    CHECK(attn::use_isa("sse9").code() == attn::StatusCode::invalid_argument);
    CHECK(std::string(attn::use_isa("sse9").message()).find("sse9") != std::string::npos);
    CHECK(attn::use_isa("").code() == attn::StatusCode::invalid_argument);
    CHECK(attn::active_isa() == now);

    CHECK(attn::use_isa(nullptr).ok());
    CHECK(attn::active_isa() == before);
  }
}

TEST_CASE("use_isa: a name of any length is refused in one message", "[kernels][dispatch]") {
  const std::string before = attn::active_isa();
  const attn::Status status = attn::use_isa(std::string(5000, 'x').c_str());
  CHECK(status.code() == attn::StatusCode::invalid_argument);
  CHECK(std::strlen(status.message()) < 192);
  CHECK(attn::active_isa() == before);
}
