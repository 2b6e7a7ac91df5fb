#include <cmath>
#include <mutex>
#include <numbers>
#include <random>

#include "kernels/elementwise.hpp"
#include "kernels/types.hpp"
#include "ops/common.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"
#include "util/philox.hpp"

namespace sm {
namespace {

std::mutex random_mutex;

RandomState& state() {
  static RandomState instance = [] {
    std::random_device device;
    return RandomState{(uint64_t{device()} << 32) | device(), 0};
  }();
  return instance;
}

// Reserves `blocks` of the stream.
RandomState draw(uint64_t blocks) {
  const std::lock_guard lock(random_mutex);
  const RandomState mine = state();
  state().position += blocks;
  return mine;
}

}  // namespace

void manual_seed(uint64_t seed) { set_random_state({seed, 0}); }

RandomState random_state() {
  const std::lock_guard lock(random_mutex);
  return state();
}

void set_random_state(RandomState next) {
  const std::lock_guard lock(random_mutex);
  state() = next;
}

namespace ops {
namespace {

Tensor filled(const Shape& shape, DType dtype, double value) {
  Tensor out = make_tensor(shape, dtype);
  kernels::fill(out, value);
  return out;
}

// Fills with f(index).
template <class F>
Tensor generated(const Shape& shape, DType dtype, F f) {
  Tensor out = make_tensor(shape, dtype);
  kernels::with_type(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    T* to = out.impl()->as<T>();
    for (int64_t i = 0, n = out.elements(); i < n; ++i) to[i] = kernels::convert<T>(f(i));
  });
  return out;
}

Tensor arange_forward(const Call& call) {
  const double start = call.number(0), stop = call.number(1), step = call.number(2);
  const double count = std::ceil((stop - start) / step);
  if (!std::isfinite(count) || std::abs(count) > 9e15)
    throw Error(ErrorCode::kInvalidArgument, "arange: no finite number of steps of " + std::to_string(step) + " from " +
                                                 std::to_string(start) + " to " + std::to_string(stop));
  return generated(Shape(static_cast<int64_t>(std::max(0.0, count))), call.dtype(3),
                   [=](int64_t i) { return start + static_cast<double>(i) * step; });
}

Tensor linspace_forward(const Call& call) {
  const double start = call.number(0), stop = call.number(1);
  const int64_t steps = call.integer(2);
  if (steps < 0)
    throw Error(ErrorCode::kInvalidArgument, "linspace: steps must be 0 or more, got " + std::to_string(steps));
  const double gap = steps > 1 ? (stop - start) / static_cast<double>(steps - 1) : 0;
  return generated(Shape(steps), call.dtype(3),
                   [=](int64_t i) { return i + 1 == steps && i > 0 ? stop : start + static_cast<double>(i) * gap; });
}

Tensor identity_forward(const Call& call) {
  const int64_t n = call.integer(0);
  if (n < 0) throw Error(ErrorCode::kInvalidArgument, "identity: n must be 0 or more, got " + std::to_string(n));
  return generated(Shape{n, n}, call.dtype(1), [n](int64_t i) { return i / n == i % n ? 1.0 : 0.0; });
}

void require_floating(const Call& call, DType dtype) {
  if (!is_floating(dtype)) reject_dtype(call.op, "a floating-point dtype", dtype);
}

// Element i comes from word i of the stream, so a prefix of a longer draw is the shorter one.
Tensor rand_forward(const Call& call) {
  const Shape& shape = call.dims(0);
  require_floating(call, call.dtype(1));
  const RandomState from = draw(static_cast<uint64_t>((elements_of(shape) + 3) / 4));
  // More bits than the dtype holds would round up to 1.
  const int bits = call.dtype(1) == DType::bf16 ? 8 : call.dtype(1) == DType::f16 ? 11 : 24;
  const double unit = std::exp2(-bits);
  std::array<uint32_t, 4> block{};
  return generated(shape, call.dtype(1), [&](int64_t i) {
    if (i % 4 == 0) block = util::philox(from.seed, from.position + static_cast<uint64_t>(i / 4));
    return static_cast<double>(block[i % 4] >> (32 - bits)) * unit;
  });
}

// Box and Muller's transform of two uniform values into two normal ones (1958).
Tensor randn_forward(const Call& call) {
  const Shape& shape = call.dims(0);
  require_floating(call, call.dtype(1));
  const RandomState from = draw(static_cast<uint64_t>((elements_of(shape) + 3) / 4));
  std::array<double, 4> values{};
  return generated(shape, call.dtype(1), [&](int64_t i) {
    if (i % 4 == 0) {
      const auto block = util::philox(from.seed, from.position + static_cast<uint64_t>(i / 4));
      for (int pair = 0; pair < 4; pair += 2) {
        const double radius = std::sqrt(-2 * std::log((static_cast<double>(block[pair]) + 1) * 0x1p-32));
        const double angle = 2 * std::numbers::pi * static_cast<double>(block[pair + 1]) * 0x1p-32;
        values[pair] = radius * std::cos(angle);
        values[pair + 1] = radius * std::sin(angle);
      }
    }
    return values[i % 4];
  });
}

RefArray counted(const RefCall& c, int64_t count, double (*f)(const RefCall&, int64_t)) {
  RefArray out{Shape(count), {}};
  for (int64_t i = 0; i < count; ++i) out.data.push_back(f(c, i));
  return out;
}

RefArray constant_reference(const RefCall& c, double value) {
  return {c.dims(0), std::vector<double>(static_cast<size_t>(elements_of(c.dims(0))), value)};
}

}  // namespace

std::span<const Op> make_ops() {
  const Gradient kFixed = Gradient::none("has no tensor inputs");
  static const Arg kDType = dtype_arg("dtype", DType::f32);
  static const std::vector<Op> rows = {
      {.name = "zeros",
       .js = "zeros",
       .args = {dims_arg("shape"), kDType},
       .doc = "All zeros.",
       .forward = [](const Call& call) { return filled(call.dims(0), call.dtype(1), 0); },
       .gradient = kFixed,
       .reference = [](const RefCall& c) { return constant_reference(c, 0); },
       .samples = {{}, {{{}, {Dims{2, 3}, DType::f64}}, {{}, {Dims(), DType::i32}}, {{}, {Dims{0, 2}, DType::f32}}}}},
      {.name = "ones",
       .js = "ones",
       .args = {dims_arg("shape"), kDType},
       .doc = "All ones.",
       .forward = [](const Call& call) { return filled(call.dims(0), call.dtype(1), 1); },
       .gradient = kFixed,
       .reference = [](const RefCall& c) { return constant_reference(c, 1); },
       .samples = {{}, {{{}, {Dims{2, 3}, DType::f64}}, {{}, {Dims{4}, DType::boolean}}}}},
      {.name = "full",
       .js = "full",
       .args = {dims_arg("shape"), float_arg("value"), kDType},
       .doc = "Every element is `value`.",
       .forward = [](const Call& call) { return filled(call.dims(0), call.dtype(2), call.number(1)); },
       .gradient = kFixed,
       .reference = [](const RefCall& c) { return constant_reference(c, c.number(1)); },
       .samples = {{}, {{{}, {Dims{2, 3}, 1.5, DType::f64}}, {{}, {Dims{2}, -3.0, DType::i8}}}}},
      {.name = "arange",
       .js = "arange",
       .args = {float_arg("start"), float_arg("stop"), float_arg("step", 1.0), kDType},
       .doc = "start, start + step, ... before `stop`; rank 1.",
       .forward = arange_forward,
       .gradient = kFixed,
       .reference =
           [](const RefCall& c) {
             RefArray out{Shape(0), {}};
             for (int i = 0; (c.number(1) - c.number(0) - i * c.number(2)) * c.number(2) > 0; ++i)
               out.data.push_back(c.number(0) + i * c.number(2));
             out.shape = Shape(out.data.size());
             return out;
           },
       .samples = {{},
                   {{{}, {0.0, 5.0, 1.0, DType::f32}},
                    {{}, {3.0, -1.0, -0.5, DType::f64}},
                    {{}, {1.0, 1.0, 1.0, DType::f32}},
                    {{}, {0.0, 10.0, 3.0, DType::i64}}}}},
      {.name = "linspace",
       .js = "linspace",
       .args = {float_arg("start"), float_arg("stop"), int_arg("steps"), kDType},
       .doc = "`steps` values evenly spaced from `start` to `stop`, both included; rank 1.",
       .forward = linspace_forward,
       .gradient = kFixed,
       .reference =
           [](const RefCall& c) {
             return counted(c, c.integer(2), [](const RefCall& call, int64_t i) {
               const double part =
                   call.integer(2) > 1 ? static_cast<double>(i) / static_cast<double>(call.integer(2) - 1) : 0;
               return call.number(0) * (1 - part) + call.number(1) * part;
             });
           },
       .samples = {{},
                   {{{}, {0.0, 1.0, int64_t{5}, DType::f64}},
                    {{}, {2.0, -2.0, int64_t{1}, DType::f32}},
                    {{}, {0.0, 1.0, int64_t{0}, DType::f32}}}}},
      {.name = "identity",
       .js = "identity ident eye",
       .args = {int_arg("n"), kDType},
       .doc = "The n by n matrix with ones on its diagonal.",
       .forward = identity_forward,
       .gradient = kFixed,
       .reference =
           [](const RefCall& c) {
             const int64_t n = c.integer(0);
             RefArray out{Shape{n, n}, std::vector<double>(static_cast<size_t>(n * n), 0.0)};
             for (int64_t i = 0; i < n; ++i) out.data[static_cast<size_t>(i * n + i)] = 1;
             return out;
           },
       .samples = {{}, {{{}, {int64_t{3}, DType::f64}}, {{}, {int64_t{0}, DType::f32}}}}},
      {.name = "rand",
       .js = "rand",
       .args = {dims_arg("shape"), kDType},
       .doc = "Uniform in [0, 1) with 24 random bits (11 in float16, 8 in bfloat16), from the stream that manual_seed "
              "starts.",
       .forward = rand_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
      {.name = "randn",
       .js = "randn",
       .args = {dims_arg("shape"), kDType},
       .doc = "Normal with mean 0 and variance 1, from the stream that manual_seed starts.",
       .forward = randn_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
  };
  return rows;
}

}  // namespace ops
}  // namespace sm
