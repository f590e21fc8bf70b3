// Bad arguments: the status names the field and its value, and not a float is written. Both paths.
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/paths.hpp"
#include "support/problem.hpp"

namespace {

using attn::AttentionArgs;
using attn::Output;
using attn::Path;
using attn::StatusCode;
using test::Problem;

constexpr std::int64_t top = std::numeric_limits<std::int64_t>::max(),
                       bottom = std::numeric_limits<std::int64_t>::min();
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float quiet_nan = std::numeric_limits<float>::quiet_NaN();

const std::uint8_t some_mask[5] = {};
const std::int64_t some_offsets[2] = {0, 0};
const std::int64_t too_long[2] = {3, 5}, negative_length[2] = {-2, 3};

struct Fault {
  std::string field, value;  // both must stand in the message
  std::function<void(AttentionArgs&)> set;
};

// The good problem: batch 2, heads 4 over 2, 3 queries, 4 keys, head_dim 5, value_dim 6.
constexpr test::Shape good{2, 4, 2, 3, 4, 5, 6};

void check_refused(const Fault& fault, Path path, StatusCode code = StatusCode::invalid_argument) {
  test::Random random(81);
  Problem p(good, random);
  p.args.path = path;
  p.want_logsumexp();
  if (path == Path::blas) p.want_weights();
  const bool served = path != Path::blas || attn::blas::built;
  REQUIRE(attn::attention(p.args).code() == (served ? StatusCode::ok : StatusCode::unsupported));
  for (std::vector<float>* x : {&p.output, &p.weights, &p.logsumexp}) x->assign(x->size(), test::canary);

  fault.set(p.args);
  const attn::Status status = attn::attention(p.args);
  INFO("expected " << fault.field << " and " << fault.value << " in the message: " << status.message());
  CHECK(status.code() == code);
  CHECK(std::string(status.message()).find(fault.field) != std::string::npos);
  CHECK(std::string(status.message()).find(fault.value) != std::string::npos);
  for (const std::vector<float>* x : {&p.output, &p.weights, &p.logsumexp})
    CHECK(test::bits_equal(*x, std::vector<float>(x->size(), test::canary)));
}

// On both paths: a build without a BLAS names what is wrong, too, before it says so.
void check_all(const std::vector<Fault>& faults, StatusCode code = StatusCode::invalid_argument) {
  for (const Path path : test::paths())
    for (const Fault& fault : faults) {
      INFO("path " << test::name_of(path));
      check_refused(fault, path, code);
    }
}

}  // namespace

TEST_CASE("error: sizes", "[refused][attention][error]") {
  check_all({
      {"batch", "-1", [](AttentionArgs& a) { a.batch = -1; }},
      {"query_heads", "-4", [](AttentionArgs& a) { a.query_heads = -4; }},
      {"kv_heads", "-2", [](AttentionArgs& a) { a.kv_heads = -2; }},
      {"kv_heads", "0", [](AttentionArgs& a) { a.kv_heads = 0; }},
      {"query_length", "-3", [](AttentionArgs& a) { a.query_length = -3; }},
      {"key_length", "-4", [](AttentionArgs& a) { a.key_length = -4; }},
      {"head_dim", "0", [](AttentionArgs& a) { a.head_dim = 0; }},
      {"head_dim", "-5", [](AttentionArgs& a) { a.head_dim = -5; }},
      {"value_dim", "-6", [](AttentionArgs& a) { a.value_dim = -6; }},
      {"batch", std::to_string(bottom), [](AttentionArgs& a) { a.batch = bottom; }},
  });
}

TEST_CASE("error: shares", "[refused][attention][error]") {
  check_all({
      {"share_count", "0", [](AttentionArgs& a) { a.share_count = 0; }},
      {"share_count", "-7", [](AttentionArgs& a) { a.share_count = -7; }},
      {"share_index", "-1", [](AttentionArgs& a) { a.share_index = -1; }},
      {"share_index", "1", [](AttentionArgs& a) { a.share_index = 1; }},
      {"share_index", "3",
       [](AttentionArgs& a) {
         a.share_index = 3;
         a.share_count = 3;
       }},
      {"share_index", std::to_string(top), [](AttentionArgs& a) { a.share_index = a.share_count = top; }},
  });
}

TEST_CASE("error: head counts that do not divide are both named", "[refused][attention][error]") {
  const auto heads = [](std::int64_t query, std::int64_t kv) {
    return [=](AttentionArgs& a) {
      a.query_heads = query;
      a.kv_heads = kv;
    };
  };
  check_all({
      {"query_heads", "5", heads(5, 2)},
      {"kv_heads", "2", heads(5, 2)},
      {"query_heads", "2", heads(2, 4)},
      {"kv_heads", "4", heads(2, 4)},
      {"kv_heads", "0", heads(2, 0)},
  });
}

TEST_CASE("error: sizes beyond all memory", "[refused][attention][error]") {
  constexpr std::int64_t huge = std::int64_t{1} << 40;
  check_all({
      {"query", std::to_string(huge), [](AttentionArgs& a) { a.batch = a.query_heads = a.kv_heads = huge; }},
      {"query", std::to_string(top), [](AttentionArgs& a) { a.query_length = top; }},
      {"key", std::to_string(top), [](AttentionArgs& a) { a.key_length = top; }},
      {"head_dim", std::to_string(top), [](AttentionArgs& a) { a.head_dim = top; }},
      {"value", std::to_string(top), [](AttentionArgs& a) { a.value_dim = top; }},
      {"query", std::to_string(top), [](AttentionArgs& a) { a.query.batch_stride = top; }},
      {"key", std::to_string(bottom), [](AttentionArgs& a) { a.key.head_stride = bottom; }},
      {"value", std::to_string(top / 2), [](AttentionArgs& a) { a.value.row_stride = top / 2; }},
      {"output", std::to_string(bottom), [](AttentionArgs& a) { a.output.row_stride = bottom; }},
  });
}

TEST_CASE("error: null where there are elements", "[refused][attention][error]") {
  check_all({
      {"query", "null", [](AttentionArgs& a) { a.query.data = nullptr; }},
      {"key", "null", [](AttentionArgs& a) { a.key.data = nullptr; }},
      {"value", "null", [](AttentionArgs& a) { a.value.data = nullptr; }},
      {"output", "null", [](AttentionArgs& a) { a.output.data = nullptr; }},
  });
}

TEST_CASE("error: numbers that are none", "[refused][attention][error]") {
  check_all({
      {"scale", "inf", [](AttentionArgs& a) { a.scale = infinity; }},
      {"scale", "-inf", [](AttentionArgs& a) { a.scale = -infinity; }},
      {"scale", "nan", [](AttentionArgs& a) { a.scale = quiet_nan; }},
      {"softcap", "-1", [](AttentionArgs& a) { a.softcap = -1; }},
      {"softcap", "nan", [](AttentionArgs& a) { a.softcap = quiet_nan; }},
      {"softcap", "inf", [](AttentionArgs& a) { a.softcap = infinity; }},
      {"softcap", "1e-39", [](AttentionArgs& a) { a.softcap = 1e-39f; }},
  });
}

TEST_CASE("error: which keys", "[refused][attention][error]") {
  const auto mask_columns = [](std::int64_t columns) {
    return [=](AttentionArgs& a) {
      a.mask = {some_mask, 0, 0, 0, 1};
      a.mask_columns = columns;
    };
  };
  check_all({
      {"window_left", "-2", [](AttentionArgs& a) { a.window_left = -2; }},
      {"window_right", "-9", [](AttentionArgs& a) { a.window_right = -9; }},
      {"window_left", std::to_string(bottom), [](AttentionArgs& a) { a.window_left = bottom; }},
      {"mask_columns", "-1", mask_columns(-1)},
      {"mask_columns", "key_length = 4], got 5", mask_columns(5)},
      {"mask_columns", std::to_string(top), [](AttentionArgs& a) { a.mask_columns = top; }},
      {"mask_columns", "without a mask, got 3", [](AttentionArgs& a) { a.mask_columns = 3; }},
      {"key_lengths[1]", "5", [](AttentionArgs& a) { a.key_lengths = too_long; }},
      {"key_lengths[0]", "-2", [](AttentionArgs& a) { a.key_lengths = negative_length; }},
      {"query_offsets", "null", [](AttentionArgs& a) { a.alignment = attn::Alignment::given; }},
      {"query_offsets", "0", [](AttentionArgs& a) { a.query_offsets = some_offsets; }},
      {"query_offsets", "1",
       [](AttentionArgs& a) {
         a.query_offsets = some_offsets;
         a.alignment = attn::Alignment::top_left;
       }},
  });
}

TEST_CASE("error: values that an enum does not have", "[refused][attention][error]") {
  check_all({
      {"alignment", "3", [](AttentionArgs& a) { a.alignment = static_cast<attn::Alignment>(3); }},
      {"alignment", "-1", [](AttentionArgs& a) { a.alignment = static_cast<attn::Alignment>(-1); }},
      {"path", "3", [](AttentionArgs& a) { a.path = static_cast<Path>(3); }},
      {"path", "-7", [](AttentionArgs& a) { a.path = static_cast<Path>(-7); }},
      {"scores_stage", "5", [](AttentionArgs& a) { a.scores_stage = static_cast<attn::ScoresStage>(5); }},
      {"query.dtype", "100", [](AttentionArgs& a) { a.query.dtype = static_cast<attn::DType>(100); }},
      {"key.dtype", "-1", [](AttentionArgs& a) { a.key.dtype = static_cast<attn::DType>(-1); }},
      {"value.dtype", "99", [](AttentionArgs& a) { a.value.dtype = static_cast<attn::DType>(99); }},
      {"output.dtype", "9", [](AttentionArgs& a) { a.output.dtype = static_cast<attn::DType>(9); }},
      {"key_layout", "2", [](AttentionArgs& a) { a.key_layout = static_cast<attn::KeyLayout>(2); }},
      {"key_layout", "-1", [](AttentionArgs& a) { a.key_layout = static_cast<attn::KeyLayout>(-1); }},
      {"bias.dtype", "3", [](AttentionArgs& a) { a.bias.dtype = static_cast<attn::DType>(3); }},
      {"weights.dtype", "-2", [](AttentionArgs& a) { a.weights.dtype = static_cast<attn::DType>(-2); }},
  });
}

TEST_CASE("error: a result whose elements share an address", "[refused][attention][error]") {
  check_all({
      {"output.row_stride", "5", [](AttentionArgs& a) { a.output.row_stride = 5; }},
      {"output.row_stride", "0", [](AttentionArgs& a) { a.output.row_stride = 0; }},
      {"output.row_stride", "-5", [](AttentionArgs& a) { a.output.row_stride = -5; }},
      {"output", "17", [](AttentionArgs& a) { a.output.head_stride = 17; }},
      {"output", "0", [](AttentionArgs& a) { a.output.head_stride = 0; }},
      {"output", "0", [](AttentionArgs& a) { a.output.batch_stride = 0; }},
      {"output", "71", [](AttentionArgs& a) { a.output.batch_stride = 71; }},
  });
  check_refused({"weights.row_stride", "3", [](AttentionArgs& a) { a.weights.row_stride = 3; }}, Path::blas);
  check_refused({"weights", "0", [](AttentionArgs& a) { a.weights.batch_stride = 0; }}, Path::blas);
}

TEST_CASE("error: overlap of a result with an input or another result", "[refused][attention][error]") {
  test::Random random(82);
  for (const Path path : test::paths())
    for (const int victim : {0, 1, 2})
      for (const std::ptrdiff_t shift : {0, 8, -8}) {
        // Square shapes, so that the output has the size of every input.
        Problem p({1, 2, 2, 33, 33, 17, 17}, random);
        p.args.path = path;
        std::vector<float>* inputs[] = {&p.q, &p.k, &p.v};
        const char* names[] = {"query", "key", "value"};
        std::vector<float>& memory = *inputs[victim];
        memory.resize(memory.size() + 16, 1.0f);
        const void** data[] = {&p.args.query.data, &p.args.key.data, &p.args.value.data};
        *data[victim] = memory.data() + 8;
        p.args.output.data = memory.data() + 8 + shift;
        const std::vector<float> before = memory;
        const attn::Status status = attn::attention(p.args);
        INFO("path " << test::name_of(path) << ", output over " << names[victim] << ": " << status.message());
        CHECK(status.code() == StatusCode::invalid_argument);
        CHECK(std::string(status.message()).find("output") != std::string::npos);
        CHECK(std::string(status.message()).find(names[victim]) != std::string::npos);
        CHECK(test::bits_equal(memory, before));
      }
  check_refused(
      {"weights", "output", [](AttentionArgs& a) { a.weights.data = static_cast<float*>(a.output.data) + 1; }},
      Path::blas);
  check_refused(
      {"logsumexp", "weights", [](AttentionArgs& a) { a.logsumexp = static_cast<float*>(a.weights.data) + 2; }},
      Path::blas);
  check_all({
      {"logsumexp", "output", [](AttentionArgs& a) { a.logsumexp = static_cast<float*>(a.output.data) + 100; }},
      {"logsumexp", "query",
       [](AttentionArgs& a) { a.logsumexp = const_cast<float*>(static_cast<const float*>(a.query.data)) + 3; }},
  });
}

TEST_CASE("error: parallel", "[refused][attention][error]") {
  static const attn::Parallel no_run{nullptr, nullptr, 2};
  static const attn::Parallel no_threads{[](void*, std::int64_t, attn::Parallel::Task, void*) {}, nullptr, 0};
  check_all({
      {"parallel", "null", [](AttentionArgs& a) { a.parallel = &no_run; }},
      {"threads", "0", [](AttentionArgs& a) { a.parallel = &no_threads; }},
  });
}

TEST_CASE("error: what BLAS cannot hold", "[refused][attention][error]") {
  if (!attn::blas::built) return;
  constexpr std::int64_t over = std::int64_t{1} << 31;
  const Path path = Path::blas;
  // Nothing is read: key and value stand where no memory is.
  const auto far = [](AttentionArgs& a) {
    a.key_length = over;
    a.key = a.value = {reinterpret_cast<const void*>(std::uintptr_t{1} << 60), attn::DType::f32, 0, 0, 8};
    a.weights.data = nullptr;
  };
  check_refused({"key", std::to_string(over), far}, path);
  check_refused(
      {"key", std::to_string(over),
       [&](AttentionArgs& a) {
         far(a);
         a.key.dtype = a.value.dtype = attn::DType::bf16;
         a.key.row_stride = a.value.row_stride = 0;  // one row of bf16, whose widened copies BLAS would count
       }},
      path);
  check_refused(
      {"query.row_stride", std::to_string(over),
       [](AttentionArgs& a) {
         a.query.data = reinterpret_cast<const void*>(std::uintptr_t{1} << 60);
         a.query.row_stride = over;
       }},
      path);
  // A layout that is right but that BLAS does not take is unsupported there, and fine on the streaming path.
  for (const std::int64_t stride : {0, 4, -5}) {
    const auto key_stride = [=](AttentionArgs& a) {
      a.key.row_stride = stride;
      if (stride < 0) a.key.data = static_cast<const float*>(a.key.data) + 15;
    };
    check_refused({"key.row_stride", std::to_string(stride), key_stride}, path, StatusCode::unsupported);
    test::Random random(83);
    Problem p(good, random);
    key_stride(p.args);
    p.args.path = Path::streaming;
    CHECK(p.check() == "");
  }
}

TEST_CASE("error: masks and biases beyond all memory", "[refused][attention][error]") {
  static const std::uint8_t mask[4] = {};
  static const float bias[4] = {};
  check_all({
      {"mask", std::to_string(top),
       [](AttentionArgs& a) {
         a.mask = {mask, 0, 0, 0, top};
       }},
      {"mask", std::to_string(bottom),
       [](AttentionArgs& a) {
         a.mask = {mask, 0, 0, bottom, 0};
       }},
      {"bias", std::to_string(top / 2), [](AttentionArgs& a) { a.bias = {bias, attn::DType::f32, 0, top / 2, 0, 1}; }},
      {"bias", std::to_string(bottom), [](AttentionArgs& a) { a.bias = {bias, attn::DType::f32, bottom, 0, 0, 1}; }},
  });
}

TEST_CASE("error: what a call reads beside its tensors overlaps a result", "[refused][attention][error]") {
  check_all({
      {"mask", "output",
       [](AttentionArgs& a) {
         a.mask = {static_cast<const std::uint8_t*>(a.output.data), 0, 0, 0, 1};
       }},
      {"bias", "output",
       [](AttentionArgs& a) { a.bias = {static_cast<const float*>(a.output.data), attn::DType::f32, 0, 0, 0, 1}; }},
      {"bias", "logsumexp", [](AttentionArgs& a) { a.bias = {a.logsumexp - 1, attn::DType::f32, 0, 0, 0, 1}; }},
      {"bias", "output",  // a half that ends where the output begins may stand there, a float may not
       [](AttentionArgs& a) {
         a.bias = {static_cast<const std::uint16_t*>(a.output.data) - 1, attn::DType::f32, 0, 0, 0, 0};
       }},
      {"bias.head_factors", "output",
       [](AttentionArgs& a) {
         static const std::uint16_t zero = 0;
         a.bias = {&zero, attn::DType::f16, 0, 0, 0, 0, static_cast<const float*>(a.output.data)};
       }},
      {"alibi_slopes", "output",
       [](AttentionArgs& a) { a.alibi_slopes = static_cast<const float*>(a.output.data) + 7; }},
      {"sinks", "logsumexp", [](AttentionArgs& a) { a.sinks = a.logsumexp; }},
      {"key_weight_sums", "output", [](AttentionArgs& a) { a.key_weight_sums = static_cast<float*>(a.output.data); }},
      {"key_weight_sums", "key",
       [](AttentionArgs& a) { a.key_weight_sums = const_cast<float*>(static_cast<const float*>(a.key.data)) + 4; }},
  });
}

TEST_CASE("error: packed batches", "[refused][attention][error]") {
  static const std::int64_t queries[] = {0, 2, 5}, keys[] = {0, 4, 7};
  static const std::int64_t late[] = {1, 2, 5}, falling[] = {0, 3, 2}, long_queries[] = {0, 1, 5},
                            long_keys[] = {0, 5, 7}, lengths[] = {4, 4};
  const auto packed = [](const std::int64_t* q, const std::int64_t* k, const std::int64_t* length = nullptr) {
    return [=](AttentionArgs& a) {
      a.weights.data = nullptr;
      a.cu_query_lengths = q;
      a.cu_key_lengths = k;
      a.key_lengths = length;
    };
  };
  check_all({
      {"cu_key_lengths", "null", packed(queries, nullptr)},
      {"cu_query_lengths", "null", packed(nullptr, keys)},
      {"cu_query_lengths[0]", "1", packed(late, keys)},
      {"cu_key_lengths[0]", "1", packed(queries, late)},
      {"cu_query_lengths[2]", "3 and 2", packed(falling, keys)},
      {"cu_query_lengths[2]", "query_length = 3", packed(long_queries, keys)},
      {"cu_key_lengths[1]", "key_length = 4", packed(queries, long_keys)},
      {"key_lengths[1]", "3", packed(queries, keys, lengths)},
  });
}

TEST_CASE("error: keys in panels", "[refused][attention][error]") {
  static const std::int64_t queries[] = {0, 1, 3}, keys[] = {0, 3, 4};
  const auto in_panels = [](std::function<void(AttentionArgs&)> set) {
    return [set](AttentionArgs& a) {
      a.key_layout = attn::KeyLayout::panels;
      a.key = {a.key.data, attn::DType::f32, 2 * 16 * 5, 16 * 5, 16 * 5};
      set(a);
    };
  };
  check_all({
      {"cu_key_lengths[1]", "3", in_panels([](AttentionArgs& a) {
         a.cu_query_lengths = queries;
         a.cu_key_lengths = keys;
       })},
      {"key.data", "null", in_panels([](AttentionArgs& a) { a.key.data = nullptr; })},
      {"key", std::to_string(top), in_panels([](AttentionArgs& a) { a.key.head_stride = top; })},
      // The last panel is whole: its 16th key stands in the output, though no query sees it.
      {"output", "key", in_panels([](AttentionArgs& a) {
         a.batch = 1;
         a.output.data = static_cast<float*>(const_cast<void*>(a.key.data)) + 2 * 16 * 5 - 1;
       })},
  });
  check_all(
      {{"key.dtype", "q8_0", in_panels([](AttentionArgs& a) { a.key.dtype = attn::DType::q8_0; })}},
      StatusCode::unsupported);
}

TEST_CASE("error: Path::blas of a build without a BLAS", "[refused][attention][error]") {
  if (attn::blas::built) return;
  test::Random random(84);
  Problem p(good, random);
  const std::size_t bytes = attn::workspace_size(p.args);
  p.want_weights();
  CHECK(attn::workspace_size(p.args) > bytes);  // automatic is streaming
  CHECK(p.check() == "");
  p.args.path = Path::blas;
  CHECK(attn::workspace_size(p.args) == 0);
  for (std::vector<float>* x : {&p.output, &p.weights}) x->assign(x->size(), test::canary);
  const attn::Status status = attn::attention(p.args);
  CHECK(status.code() == StatusCode::unsupported);
  CHECK(
      status.message() ==
      std::string("Path::blas is unsupported: this library was built without a BLAS (ATTN_BLAS=OFF)"));
  for (const std::vector<float>* x : {&p.output, &p.weights})
    CHECK(test::bits_equal(*x, std::vector<float>(x->size(), test::canary)));
}

TEST_CASE("error: weights and scores of a packed batch have the rows of all sequences", "[refused][attention][error]") {
  static float room[4 * 5 * 4];
  static const std::int64_t queries[] = {0, 2, 5}, keys[] = {0, 4, 7};
  const auto with = [](Output AttentionArgs::*result, std::int64_t head_stride, std::int64_t row_stride) {
    return [=](AttentionArgs& a) {
      a.weights = {};
      a.output.head_stride = 5 * 6;
      a.cu_query_lengths = queries;
      a.cu_key_lengths = keys;
      a.*result = {room, attn::DType::f32, 0, head_stride, row_stride};
    };
  };
  for (const auto& [name, result] :
       {std::pair("weights", &AttentionArgs::weights), {"scores", &AttentionArgs::scores}}) {
    // Five rows of four columns of each head: 20 floats, where one sequence has 12 at the most.
    for (const Path path : test::paths()) {
      check_refused({name, "19", with(result, 19, 4)}, path);
      check_refused({name, "3", with(result, 20, 3)}, path);
    }
  }
}

TEST_CASE("error: bf16_weights need values of bf16, and the streaming path", "[refused][attention][error]") {
  for (const attn::DType type : {attn::DType::f32, attn::DType::f16})
    check_all({{"value.dtype", std::to_string(static_cast<int>(type)), [type](AttentionArgs& a) {
                  a.value.dtype = type;
                  a.bf16_weights = true;
                }}});
  const auto set = [](AttentionArgs& a) {
    a.value.dtype = attn::DType::bf16;
    a.bf16_weights = true;
  };
  for (const Path path : test::paths())
    if (path == Path::blas) check_refused({"bf16_weights", "true", set}, path, StatusCode::unsupported);
}
