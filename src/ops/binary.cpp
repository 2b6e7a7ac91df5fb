#include <algorithm>
#include <cmath>

#include "kernels/pointwise.hpp"
#include "ops/common.hpp"
#include "ops/quick.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

using kernels::Binary;

template <Binary kind>
Tensor arithmetic_as(const Call& call, DType dtype) {
  const InDType a(call.in(0), dtype), b(call.in(1), dtype);
  return kernels::pointwise(kind, a, b, broadcast(a->shape(), b->shape(), call.op.name.data()));
}

template <Binary kind>
Tensor arithmetic(const Call& call) {
  if (Tensor out = quick_binary<kind>(call.in(0), call.in(1)); out.defined()) return out;
  return arithmetic_as<kind>(call, result_type(call.inputs));
}

// Division of integers gives float32, as in PyTorch.
Tensor div_forward(const Call& call) {
  if (Tensor out = quick_binary<Binary::kDiv>(call.in(0), call.in(1)); out.defined()) return out;
  return arithmetic_as<Binary::kDiv>(call, floating(result_type(call.inputs)));
}

// Booleans count as 0 and 1 in a quotient, a remainder or a power.
DType numeric_type(const Call& call) {
  const DType dtype = result_type(call.inputs);
  return dtype == DType::boolean ? DType::i64 : dtype;
}

Tensor power_forward(const Call& call) { return arithmetic_as<Binary::kPower>(call, numeric_type(call)); }

// Integers have no infinity to answer a division by zero with.
template <Binary kind>
Tensor quotient(const Call& call) {
  const DType dtype = numeric_type(call);
  const bool defined = is_floating(dtype) || all(call.in(1).detach()).item<bool>();
  if (!defined && call.in(0).elements() > 0)
    throw Error(ErrorCode::kInvalidArgument, std::string(call.op.name) + ": an integer is divided by zero");
  return arithmetic_as<kind>(call, dtype);
}

Tensor atan2_forward(const Call& call) {
  return arithmetic_as<Binary::kAtan2>(call, floating(result_type(call.inputs)));
}

// a - b, and 0 where both are the same infinity.
Tensor gap(const Tensor& a, const Tensor& b) { return where(eq(a, b), zeros({}, a.dtype()), a - b); }

Tensor logaddexp_forward(const Call& call) {
  const DType dtype = floating(result_type(call.inputs));
  const Tensor a = as_dtype(call.in(0), dtype), b = as_dtype(call.in(1), dtype);
  return maximum(a, b) + log1p(exp(-absolute(gap(a, b))));
}

// The gradient of a function that is constant almost everywhere.
Tensor no_change(const GradientCall& c) { return zeros(c.shape(c.index()), c.dtype(c.index())); }

template <Binary kind>
Tensor bits(const Call& call) {
  const DType dtype = result_type(call.inputs);
  if (is_floating(dtype)) reject_dtype(call.op, "integers or booleans", dtype);
  return arithmetic_as<kind>(call, dtype);
}

template <Binary kind>
Tensor shift(const Call& call) {
  const DType dtype = result_type(call.inputs);
  if (dtype == DType::boolean) reject_dtype(call.op, "integers", dtype);
  return bits<kind>(call);
}

// The share of the gradient that goes to the side that won; a tie is split evenly, so the sum is right.
Tensor winner(const GradientCall& c, const Tensor& wins, const Tensor& ties) {
  return c.gradient * (astype(wins, c.gradient.dtype()) + astype(ties, c.gradient.dtype()) * 0.5);
}

Tensor where_forward(const Call& call) {
  const Tensor condition = as_dtype(call.in(0), DType::boolean);
  const DType dtype = result_type(call.inputs.subspan(1));
  const Tensor a = as_dtype(call.in(1), dtype), b = as_dtype(call.in(2), dtype);
  const Shape shape = broadcast(condition.shape(), broadcast(a.shape(), b.shape(), "where"), "where");
  return kernels::pointwise_where(condition, a, b, shape);
}

double floor_mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

RefArray where_reference(const RefCall& c) {
  RefArray out{c.in(0).shape, {}};
  for (size_t i = 0; i < c.in(0).data.size(); ++i)
    out.data.push_back(c.in(0).data[i] != 0 ? c.in(1).data[i] : c.in(2).data[i]);
  return out;
}

}  // namespace

std::span<const Op> binary_ops() {
  static const std::vector<Arg> kAB = {tensor_arg("tensor"), tensor_arg("other")};
  static const Samples kAnywhere{{{-2, 2}}, binary_cases()};
  static const Samples kKinked{{{-2, 2}}, binary_cases(), false};
  static const Samples kDivisor{{{-2, 2}, {0.5, 2}}, binary_cases()};
  static const Samples kQuotient{{{-2, 2}, {0.7, 2}}, binary_cases(), false};
  static const Samples kBase{{{0.3, 2}, {-2, 2}}, binary_cases()};
  static const Samples kBits{{{0, 30}}, binary_cases(), false};
  static const Samples kShifts{{{0, 7}, {0, 4}}, binary_cases(), false};
  const Gradient kIntegers = Gradient::none("integers have no gradient");
  static const std::vector<Op> rows = {
      {.name = "add",
       .js = "add",
       .args = kAB,
       .doc = "a + b, broadcast.",
       .forward = arithmetic<Binary::kAdd>,
       .gradient = {{kNothing, [](const GradientCall& c) { return c.gradient; }},
                    {kNothing, [](const GradientCall& c) { return c.gradient; }}},
       .reference = [](double a, double b) { return a + b; },
       .samples = kAnywhere},
      {.name = "sub",
       .js = "sub",
       .args = kAB,
       .doc = "a - b, broadcast.",
       .forward = arithmetic<Binary::kSub>,
       .gradient = {{kNothing, [](const GradientCall& c) { return c.gradient; }},
                    {kNothing, [](const GradientCall& c) { return -c.gradient; }}},
       .reference = [](double a, double b) { return a - b; },
       .samples = kAnywhere},
      {.name = "mul",
       .js = "mul",
       .args = kAB,
       .doc = "a * b, element by element, broadcast.",
       .forward = arithmetic<Binary::kMul>,
       .gradient = {{kIn1, [](const GradientCall& c) { return c.gradient * c.in(1); }},
                    {kIn0, [](const GradientCall& c) { return c.gradient * c.in(0); }}},
       .reference = [](double a, double b) { return a * b; },
       .samples = kAnywhere},
      {.name = "div",
       .js = "div",
       .args = kAB,
       .doc = "a / b, broadcast. Integers are divided as float32; a division by zero gives an infinity or NaN.",
       .forward = div_forward,
       .gradient = {{kIn1, [](const GradientCall& c) { return c.gradient / c.in(1); }},
                    {kIn1 | kOut, [](const GradientCall& c) { return -(c.gradient * c.out() / c.in(1)); }}},
       .reference = [](double a, double b) { return a / b; },
       .samples = kDivisor},
      {.name = "mod",
       .js = "mod",
       .args = kAB,
       .doc = "The remainder of a / b with the sign of b, as Python's %. Integers can't be divided by zero.",
       .forward = quotient<Binary::kMod>,
       .gradient = {{kNothing, [](const GradientCall& c) { return c.gradient; }},
                    {kIn0 | kIn1, [](const GradientCall& c) { return -(c.gradient * floor(c.in(0) / c.in(1))); }}},
       .reference = floor_mod,
       .samples = kQuotient},
      {.name = "floor_divide",
       .js = "floorDivide",
       .args = kAB,
       .doc = "a / b rounded down, as Python's //. Integers can't be divided by zero.",
       .forward = quotient<Binary::kFloorDivide>,
       .gradient = {{kNothing, no_change}, {kNothing, no_change}},
       .reference = [](double a, double b) { return std::floor(a / b); },
       .samples = kQuotient},
      {.name = "atan2",
       .js = "atan2",
       .args = kAB,
       .doc = "The angle in radians of the point (b, a), from -pi to pi. Integers give float32.",
       .forward = atan2_forward,
       .gradient =
           {{kIn0 | kIn1,
             [](const GradientCall& c) { return c.gradient * (c.in(1) / (square(c.in(0)) + square(c.in(1)))); }},
            {kIn0 | kIn1,
             [](const GradientCall& c) { return -(c.gradient * (c.in(0) / (square(c.in(0)) + square(c.in(1))))); }}},
       .reference = [](double a, double b) { return std::atan2(a, b); },
       .samples = kDivisor},
      {.name = "logaddexp",
       .js = "logaddexp",
       .args = kAB,
       .doc = "log(exp(a) + exp(b)), broadcast, without overflow. Integers give float32.",
       .forward = logaddexp_forward,
       .gradient = {{kIn0 | kIn1, [](const GradientCall& c) { return c.gradient * sigmoid(gap(c.in(0), c.in(1))); }},
                    {kIn0 | kIn1, [](const GradientCall& c) { return c.gradient * sigmoid(gap(c.in(1), c.in(0))); }}},
       .reference = [](double a, double b) { return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b))); },
       .samples = kAnywhere},
      {.name = "power",
       .js = "power pow",
       .args = kAB,
       .doc = "a to the power b, broadcast. For integers the result is an integer and wraps around.",
       .forward = power_forward,
       .gradient = {{kIn0 | kIn1,
                     [](const GradientCall& c) {
                       const Tensor b = c.in(1);
                       const Tensor slope = b * power(c.in(0), b - 1.0);
                       return c.gradient * where(eq(b, 0), zeros({}, slope.dtype()), slope);
                     }},
                    {kIn0 | kIn1 | kOut,
                     [](const GradientCall& c) {
                       // 0 to a positive power stays 0 however the exponent moves.
                       const Tensor a = c.in(0);
                       const Tensor flat = logical_and(eq(a, 0), gte(c.in(1), 0));
                       const Tensor logs = log(where(flat, ones({}, a.dtype()), a));
                       return c.gradient * where(flat, zeros({}, logs.dtype()), c.out() * logs);
                     }}},
       .reference = [](double a, double b) { return std::pow(a, b); },
       .samples = kBase},
      {.name = "maximum",
       .js = "maximum",
       .args = kAB,
       .doc = "The larger of a and b; NaN if either is. At a tie each gets half of the gradient.",
       .forward = arithmetic<Binary::kMaximum>,
       .gradient = {{kIn0 | kIn1,
                     [](const GradientCall& c) { return winner(c, gt(c.in(0), c.in(1)), eq(c.in(0), c.in(1))); }},
                    {kIn0 | kIn1,
                     [](const GradientCall& c) { return winner(c, gt(c.in(1), c.in(0)), eq(c.in(0), c.in(1))); }}},
       .reference = [](double a, double b) { return std::max(a, b); },
       .samples = kKinked},
      {.name = "minimum",
       .js = "minimum",
       .args = kAB,
       .doc = "The smaller of a and b; NaN if either is. At a tie each gets half of the gradient.",
       .forward = arithmetic<Binary::kMinimum>,
       .gradient = {{kIn0 | kIn1,
                     [](const GradientCall& c) { return winner(c, lt(c.in(0), c.in(1)), eq(c.in(0), c.in(1))); }},
                    {kIn0 | kIn1,
                     [](const GradientCall& c) { return winner(c, lt(c.in(1), c.in(0)), eq(c.in(0), c.in(1))); }}},
       .reference = [](double a, double b) { return std::min(a, b); },
       .samples = kKinked},
      {.name = "where",
       .js = "where",
       .args = {tensor_arg("condition"), tensor_arg("a"), tensor_arg("b")},
       .doc = "a where the condition isn't zero, else b; all three broadcast.",
       .forward = where_forward,
       .gradient = {{},
                    {kIn0,
                     [](const GradientCall& c) { return where(c.in(0), c.gradient, zeros({}, c.gradient.dtype())); }},
                    {kIn0,
                     [](const GradientCall& c) { return where(c.in(0), zeros({}, c.gradient.dtype()), c.gradient); }}},
       .reference = where_reference,
       .samples = {{{0, 2, true}, {-2, 2}, {-2, 2}}, {{{Shape{2, 3}, Shape{2, 3}, Shape{2, 3}}, {}}}},
       .dtypes = DTypes::kAny},
      {.name = "bitwise_and",
       .js = "bitwiseAnd",
       .args = kAB,
       .doc = "a & b on integers and booleans.",
       .forward = bits<Binary::kBitwiseAnd>,
       .gradient = kIntegers,
       .reference = [](double a, double b) { return static_cast<double>(int64_t(a) & int64_t(b)); },
       .samples = kBits,
       .dtypes = DTypes::kIntegral},
      {.name = "bitwise_or",
       .js = "bitwiseOr",
       .args = kAB,
       .doc = "a | b on integers and booleans.",
       .forward = bits<Binary::kBitwiseOr>,
       .gradient = kIntegers,
       .reference = [](double a, double b) { return static_cast<double>(int64_t(a) | int64_t(b)); },
       .samples = kBits,
       .dtypes = DTypes::kIntegral},
      {.name = "bitwise_xor",
       .js = "bitwiseXor",
       .args = kAB,
       .doc = "a ^ b on integers and booleans.",
       .forward = bits<Binary::kBitwiseXor>,
       .gradient = kIntegers,
       .reference = [](double a, double b) { return static_cast<double>(int64_t(a) ^ int64_t(b)); },
       .samples = kBits,
       .dtypes = DTypes::kIntegral},
      {.name = "l_shift",
       .js = "lShift",
       .args = kAB,
       .doc = "a << b on integers; 0 once b reaches the width.",
       .forward = shift<Binary::kLShift>,
       .gradient = kIntegers,
       .reference = [](double a, double b) { return a * std::exp2(b); },
       .samples = kShifts,
       .dtypes = DTypes::kIntegral},
      {.name = "r_shift",
       .js = "rShift",
       .args = kAB,
       .doc = "a >> b on integers, keeping the sign.",
       .forward = shift<Binary::kRShift>,
       .gradient = kIntegers,
       .reference = [](double a, double b) { return std::floor(a / std::exp2(b)); },
       .samples = kShifts,
       .dtypes = DTypes::kIntegral},
  };
  return rows;
}

}  // namespace sm::ops
