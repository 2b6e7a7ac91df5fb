#include <fmt/core.h>

#include <cmath>
#include <mutex>
#include <numbers>
#include <numeric>
#include <random>

#include "ops/common.hpp"
#include "ops/generated.hpp"
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

// 64 random bits at a time: element i of a draw comes from half i of its blocks, so a prefix of a longer draw is the
// shorter one.
class Words {
 public:
  explicit Words(int64_t count) : from_(draw(static_cast<uint64_t>((count + 1) / 2))) {}
  uint64_t next() {
    const uint64_t half = used_ % 2;
    if (half == 0) block_ = util::philox(from_.seed, from_.position + used_ / 2);
    ++used_;
    return uint64_t{block_[2 * half]} << 32 | block_[2 * half + 1];
  }

 private:
  RandomState from_;
  uint64_t used_ = 0;
  std::array<uint32_t, 4> block_{};
};

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

// A draw of one value in [0, 1) with 53 random bits for each element.
template <class F>
Tensor from_uniform(const Shape& shape, DType dtype, F f) {
  Words words(elements_of(shape));
  return generated(shape, dtype, [&](int64_t) { return f(static_cast<double>(words.next() >> 11) * 0x1p-53); });
}

// A whole number in [0, count), from 64 random bits: D. Lemire, "Fast random integer generation in an interval", 2019.
uint64_t below(uint64_t word, uint64_t count) {
  return static_cast<uint64_t>(static_cast<unsigned __int128>(word) * count >> 64);
}

[[noreturn]] void reject(const Call& call, const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, std::string(call.op.name) + ": " + what);
}

Tensor uniform_within(const Shape& shape, double low, double high, DType dtype) {
  return from_uniform(shape, dtype, [=](double unit) { return low + unit * (high - low); });
}

Tensor normal_of(const Shape& shape, double mean, double deviation, DType dtype) {
  return as_dtype(randn(shape, wide(dtype)) * deviation + mean, dtype);
}

Tensor uniform_forward(const Call& call) {
  require_floating(call, call.dtype(3));
  const double low = call.number(1), high = call.number(2);
  if (!(low <= high) || !std::isfinite(high - low))
    reject(call, "expects finite low <= high, got " + std::to_string(low) + " and " + std::to_string(high));
  return uniform_within(call.dims(0), low, high, call.dtype(3));
}

Tensor normal_forward(const Call& call) {
  require_floating(call, call.dtype(3));
  if (!(call.number(2) >= 0)) reject(call, "std must be 0 or more, got " + std::to_string(call.number(2)));
  return normal_of(call.dims(0), call.number(1), call.number(2), call.dtype(3));
}

Tensor bernoulli_forward(const Call& call) {
  const double p = call.number(1);
  if (!(p >= 0 && p <= 1)) reject(call, "p must be from 0 to 1, got " + fmt::format("{}", p));
  return from_uniform(call.dims(0), call.dtype(2), [=](double unit) { return unit < p ? 1.0 : 0.0; });
}

Tensor randint_forward(const Call& call) {
  const int64_t low = call.integer(0), high = call.integer(1);
  if (low >= high) reject(call, "expects low < high, got " + std::to_string(low) + " and " + std::to_string(high));
  Words words(elements_of(call.dims(2)));
  const uint64_t count = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  return generated(call.dims(2), call.dtype(3), [&](int64_t) {
    return static_cast<int64_t>(static_cast<uint64_t>(low) + below(words.next(), count));
  });
}

// The shuffle of Fisher and Yates.
Tensor randperm_forward(const Call& call) {
  const int64_t n = call.integer(0);
  if (n < 0) reject(call, "n must be 0 or more, got " + std::to_string(n));
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Words words(n);
  for (size_t left = order.size(); left > 1; --left)
    std::swap(order[left - 1], order[static_cast<size_t>(below(words.next(), left))]);
  return as_dtype(tensor(order), call.dtype(1));
}

// What goes into and comes out of a unit with weights [out, in, ...], as PyTorch counts.
struct Fans {
  double in, out;
};

Fans fans_of(const Call& call, bool known) {
  const Shape& shape = call.dims(0);
  if (known) return {0, 0};
  if (shape.size() < 2)
    reject(call, "weights must be [out, in, ...] when their fans aren't given, got " + shape.to_string());
  double taps = 1;
  for (int i = 2; i < shape.size(); ++i) taps *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[1]) * taps, static_cast<double>(shape[0]) * taps};
}

// sqrt(`power` / (fan in + fan out)) times the gain, for fans from the arguments or else from the shape.
double glorot(const Call& call, double power) {
  require_floating(call, call.dtype(4));
  double in = call.number(1), out = call.number(2);
  if (in < 0 || out < 0) reject(call, "fans must be 0 or more");
  const Fans fans = fans_of(call, in > 0 && out > 0);
  in = in > 0 ? in : fans.in;
  out = out > 0 ? out : fans.out;
  return call.number(3) * std::sqrt(power / std::max(in + out, 1.0));
}

double he(const Call& call, double power) {
  require_floating(call, call.dtype(3));
  const double given = call.number(1), slope = call.number(2);
  if (given < 0) reject(call, "the fan must be 0 or more");
  const double fan = given > 0 ? given : fans_of(call, false).in;
  return std::sqrt(power / (1 + slope * slope) / std::max(fan, 1.0));
}

Tensor xavier_uniform_forward(const Call& call) {
  const double bound = glorot(call, 6);
  return uniform_within(call.dims(0), -bound, bound, call.dtype(4));
}

Tensor xavier_normal_forward(const Call& call) { return normal_of(call.dims(0), 0, glorot(call, 2), call.dtype(4)); }

Tensor kaiming_uniform_forward(const Call& call) {
  const double bound = he(call, 6);
  return uniform_within(call.dims(0), -bound, bound, call.dtype(3));
}

Tensor kaiming_normal_forward(const Call& call) { return normal_of(call.dims(0), 0, he(call, 2), call.dtype(3)); }

}  // namespace

std::span<const Op> random_ops() {
  const Gradient kFixed = Gradient::none("has no tensor inputs");
  static const Arg kDType = dtype_arg("dtype", DType::f32);
  static const std::vector<Op> rows = {
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
      {.name = "uniform",
       .js = "uniform",
       .args = {dims_arg("shape"), float_arg("low", 0), float_arg("high", 1), kDType},
       .doc = "Uniform from `low` to `high`, from the stream that manual_seed starts.",
       .forward = uniform_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
      {.name = "normal",
       .js = "normal",
       .args = {dims_arg("shape"), float_arg("mean", 0), float_arg("std", 1), kDType},
       .doc = "Normal with the given mean and standard deviation, from the stream that manual_seed starts.",
       .forward = normal_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
      {.name = "bernoulli",
       .js = "bernoulli",
       .args = {dims_arg("shape"), float_arg("p", 0.5), kDType},
       .doc = "1 with probability `p`, else 0, from the stream that manual_seed starts.",
       .forward = bernoulli_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kAny},
      {.name = "randint",
       .js = "randint",
       .args = {int_arg("low"), int_arg("high"), dims_arg("shape"), dtype_arg("dtype", DType::i64)},
       .doc = "Whole numbers from `low` up to but not including `high`, all as likely, from the stream that "
              "manual_seed starts.",
       .forward = randint_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kAny},
      {.name = "randperm",
       .js = "randperm",
       .args = {int_arg("n"), dtype_arg("dtype", DType::i64)},
       .doc = "The numbers 0 to n - 1 in random order, from the stream that manual_seed starts.",
       .forward = randperm_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kAny},
      {.name = "xavier_uniform",
       .js = "xavierUniform xavier_uniform",
       .args = {dims_arg("shape"), float_arg("fan_in", 0), float_arg("fan_out", 0), float_arg("gain", 1), kDType},
       .doc = "Weights uniform within gain * sqrt(6 / (fan_in + fan_out)); fans of 0 are counted for a shape [out, in, "
              "...] (Glorot and Bengio, 2010).",
       .forward = xavier_uniform_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
      {.name = "xavier_normal",
       .js = "xavierNormal xavier_normal",
       .args = {dims_arg("shape"), float_arg("fan_in", 0), float_arg("fan_out", 0), float_arg("gain", 1), kDType},
       .doc = "Weights with mean 0 and standard deviation gain * sqrt(2 / (fan_in + fan_out)); fans of 0 are counted "
              "for a shape [out, in, ...] (Glorot and Bengio, 2010).",
       .forward = xavier_normal_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
      {.name = "kaiming_uniform",
       .js = "kaimingUniform kaiming_uniform",
       .args = {dims_arg("shape"), float_arg("fan_in", 0), float_arg("slope", 0), kDType},
       .doc = "Weights uniform within sqrt(6 / ((1 + slope * slope) * fan_in)), for layers followed by a leaky ReLU of "
              "that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015).",
       .forward = kaiming_uniform_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
      {.name = "kaiming_normal",
       .js = "kaimingNormal kaiming_normal",
       .args = {dims_arg("shape"), float_arg("fan_in", 0), float_arg("slope", 0), kDType},
       .doc = "Weights with mean 0 and variance 2 / ((1 + slope * slope) * fan_in), for layers followed by a leaky "
              "ReLU of that slope; a fan of 0 is counted for a shape [out, in, ...] (He and others, 2015).",
       .forward = kaiming_normal_forward,
       .gradient = kFixed,
       .reference = Reference::none(),
       .samples = {},
       .dtypes = DTypes::kFloating},
  };
  return rows;
}

}  // namespace ops
}  // namespace sm
