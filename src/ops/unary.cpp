#include <cmath>
#include <numbers>

#include "kernels/pointwise.hpp"
#include "ops/common.hpp"
#include "ops/quick.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

using kernels::Predicate;
using kernels::Unary;

// For functions of real numbers: integers become float32 first.
template <Unary kind>
Tensor real(const Call& call) {
  const DType dtype = floating(call.in(0).dtype());
  return kernels::pointwise(kind, InDType(call.in(0), dtype));
}

// For functions that keep the dtype.
template <Unary kind>
Tensor keeping(const Call& call) {
  const Tensor& x = call.in(0);
  if constexpr (kind == Unary::kSquare || kind == Unary::kNegative)
    if (Tensor out = quick_unary<kind>(x); out.defined()) return out;
  if (x.dtype() == DType::boolean) reject_dtype(call.op, "numbers", x.dtype());
  return kernels::pointwise(kind, x);
}

template <Predicate kind>
Tensor asking(const Call& call) {
  return kernels::pointwise(kind, call.in(0));
}

Tensor bitwise_not_forward(const Call& call) {
  if (is_floating(call.in(0).dtype())) reject_dtype(call.op, "integers or booleans", call.in(0).dtype());
  return kernels::pointwise(Unary::kBitwiseNot, call.in(0));
}

Tensor clip_forward(const Call& call) {
  const DType dtype = floating(call.in(0).dtype());
  const Tensor low = constant(call.number(0), dtype), high = constant(call.number(1), dtype);
  const Shape& shape = call.in(0).shape();
  const Tensor raised = kernels::pointwise(kernels::Binary::kMaximum, as_dtype(call.in(0), dtype), low, shape);
  return kernels::pointwise(kernels::Binary::kMinimum, raised, high, shape);
}

// What the input lets through at `condition`.
Tensor masked(const GradientCall& c, const Tensor& condition) {
  return where(condition, c.gradient, constant(0, c.gradient.dtype()));
}

// One pass instead of two, where that is most of the cost.
bool quick_square_gradient(const GradientCall& c, std::span<Tensor> input_gradients) {
  TensorImpl &gradient = *c.gradient.impl(), &x = *c.in(0).impl();
  if (!is_quick(gradient) || !is_quick(x) || gradient.shape != x.shape) return false;
  input_gradients[0] = quick_zip(gradient, x, [](float g, float value) { return g * (value * 2); });
  return true;
}

const Gradient kStep = Gradient::none("constant almost everywhere");

}  // namespace

std::span<const Op> unary_ops() {
  static const std::vector<Arg> kX = {tensor_arg("tensor")};
  static const Samples kAnywhere{{{-2, 2}}, unary_cases()};
  static const Samples kPositive{{{0.2, 3}}, unary_cases()};
  static const Samples kInside{{{-0.9, 0.9}}, unary_cases()};
  static const Samples kKinked{{{-2, 2}}, unary_cases(), false};
  static const std::vector<Op> rows = {
      {.name = "negative",
       .js = "negative negate neg",
       .args = kX,
       .doc = "-x.",
       .forward = keeping<Unary::kNegative>,
       .gradient = {{kNothing, [](const GradientCall& c) { return -c.gradient; }}},
       .reference = [](double x) { return -x; },
       .samples = kAnywhere},
      {.name = "absolute",
       .js = "absolute abs",
       .args = kX,
       .doc = "|x|. The gradient at 0 is 0.",
       .forward = keeping<Unary::kAbsolute>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * sign(c.in(0)); }}},
       .reference = [](double x) { return std::abs(x); },
       .samples = kKinked},
      {.name = "sign",
       .js = "sign",
       .args = kX,
       .doc = "-1, 0 or 1; NaN for NaN.",
       .forward = keeping<Unary::kSign>,
       .gradient = {{kNothing, [](const GradientCall& c) { return zeros(c.shape(0), c.dtype(0)); }}},
       .reference = [](double x) { return static_cast<double>((x > 0) - (x < 0)); },
       .samples = kKinked},
      {.name = "exp",
       .js = "exp",
       .args = kX,
       .doc = "e to the power x. Integers give float32.",
       .forward = real<Unary::kExp>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * c.out(); }}},
       .reference = [](double x) { return std::exp(x); },
       .samples = kAnywhere},
      {.name = "log",
       .js = "log",
       .args = kX,
       .doc = "The natural logarithm. Integers give float32.",
       .forward = real<Unary::kLog>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient / c.in(0); }}},
       .reference = [](double x) { return std::log(x); },
       .samples = kPositive},
      {.name = "log1p",
       .js = "log1p",
       .args = kX,
       .doc = "log(1 + x), exact for small x. Integers give float32.",
       .forward = real<Unary::kLog1p>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient / (c.in(0) + 1.0); }}},
       .reference = [](double x) { return std::log1p(x); },
       .samples = kPositive},
      {.name = "sqrt",
       .js = "sqrt",
       .args = kX,
       .doc = "The square root; NaN below 0. Integers give float32.",
       .forward = real<Unary::kSqrt>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * 0.5 / c.out(); }}},
       .reference = [](double x) { return std::sqrt(x); },
       .samples = kPositive},
      {.name = "square",
       .js = "square",
       .args = kX,
       .doc = "x times x.",
       .forward = keeping<Unary::kSquare>,
       .gradient = Gradient({{kIn0, [](const GradientCall& c) { return c.gradient * (c.in(0) * 2.0); }}},
                            quick_square_gradient),
       .reference = [](double x) { return x * x; },
       .samples = kAnywhere},
      {.name = "reciprocal",
       .js = "reciprocal",
       .args = kX,
       .doc = "1 / x. Integers give float32.",
       .forward = real<Unary::kReciprocal>,
       .gradient = {{kOut, [](const GradientCall& c) { return -(c.gradient * square(c.out())); }}},
       .reference = [](double x) { return 1 / x; },
       .samples = kPositive},
      {.name = "sin",
       .js = "sin",
       .args = kX,
       .doc = "The sine of x in radians. Integers give float32.",
       .forward = real<Unary::kSin>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * cos(c.in(0)); }}},
       .reference = [](double x) { return std::sin(x); },
       .samples = kAnywhere},
      {.name = "cos",
       .js = "cos",
       .args = kX,
       .doc = "The cosine of x in radians. Integers give float32.",
       .forward = real<Unary::kCos>,
       .gradient = {{kIn0, [](const GradientCall& c) { return -(c.gradient * sin(c.in(0))); }}},
       .reference = [](double x) { return std::cos(x); },
       .samples = kAnywhere},
      {.name = "tanh",
       .js = "tanh",
       .args = kX,
       .doc = "The hyperbolic tangent. Integers give float32.",
       .forward = real<Unary::kTanh>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * (1.0 - square(c.out())); }}},
       .reference = [](double x) { return std::tanh(x); },
       .samples = kAnywhere},
      {.name = "sigmoid",
       .js = "sigmoid",
       .args = kX,
       .doc = "1 / (1 + exp(-x)), without overflow on either side. Integers give float32.",
       .forward = real<Unary::kSigmoid>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * (c.out() * (1.0 - c.out())); }}},
       .reference = [](double x) { return 1 / (1 + std::exp(-x)); },
       .samples = kAnywhere},
      {.name = "erf",
       .js = "erf",
       .args = kX,
       .doc = "The error function. Integers give float32.",
       .forward = real<Unary::kErf>,
       .gradient = {{kIn0,
                     [](const GradientCall& c) {
                       return c.gradient * (exp(-square(c.in(0))) * (2 * std::numbers::inv_sqrtpi));
                     }}},
       .reference = [](double x) { return std::erf(x); },
       .samples = kAnywhere},
      {.name = "expm1",
       .js = "expm1",
       .args = kX,
       .doc = "exp(x) - 1, exact for small x. Integers give float32.",
       .forward = real<Unary::kExpm1>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * (c.out() + 1.0); }}},
       .reference = [](double x) { return std::expm1(x); },
       .samples = kAnywhere},
      {.name = "rsqrt",
       .js = "rsqrt",
       .args = kX,
       .doc = "1 / sqrt(x). Integers give float32.",
       .forward = real<Unary::kRsqrt>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * (c.out() * square(c.out()) * -0.5); }}},
       .reference = [](double x) { return 1 / std::sqrt(x); },
       .samples = kPositive},
      {.name = "log2",
       .js = "log2",
       .args = kX,
       .doc = "The logarithm to base 2. Integers give float32.",
       .forward = real<Unary::kLog2>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient / (c.in(0) * std::numbers::ln2); }}},
       .reference = [](double x) { return std::log2(x); },
       .samples = kPositive},
      {.name = "log10",
       .js = "log10",
       .args = kX,
       .doc = "The logarithm to base 10. Integers give float32.",
       .forward = real<Unary::kLog10>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient / (c.in(0) * std::numbers::ln10); }}},
       .reference = [](double x) { return std::log10(x); },
       .samples = kPositive},
      {.name = "tan",
       .js = "tan",
       .args = kX,
       .doc = "The tangent of x in radians. Integers give float32.",
       .forward = real<Unary::kTan>,
       .gradient = {{kOut, [](const GradientCall& c) { return c.gradient * (square(c.out()) + 1.0); }}},
       .reference = [](double x) { return std::tan(x); },
       .samples = kInside},
      {.name = "asin",
       .js = "asin",
       .args = kX,
       .doc = "The arc sine in radians; NaN outside -1 to 1. Integers give float32.",
       .forward = real<Unary::kAsin>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * rsqrt(1.0 - square(c.in(0))); }}},
       .reference = [](double x) { return std::asin(x); },
       .samples = kInside},
      {.name = "acos",
       .js = "acos",
       .args = kX,
       .doc = "The arc cosine in radians; NaN outside -1 to 1. Integers give float32.",
       .forward = real<Unary::kAcos>,
       .gradient = {{kIn0, [](const GradientCall& c) { return -(c.gradient * rsqrt(1.0 - square(c.in(0)))); }}},
       .reference = [](double x) { return std::acos(x); },
       .samples = kInside},
      {.name = "atan",
       .js = "atan",
       .args = kX,
       .doc = "The arc tangent in radians. Integers give float32.",
       .forward = real<Unary::kAtan>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient / (square(c.in(0)) + 1.0); }}},
       .reference = [](double x) { return std::atan(x); },
       .samples = kAnywhere},
      {.name = "sinh",
       .js = "sinh",
       .args = kX,
       .doc = "The hyperbolic sine. Integers give float32.",
       .forward = real<Unary::kSinh>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * cosh(c.in(0)); }}},
       .reference = [](double x) { return std::sinh(x); },
       .samples = kAnywhere},
      {.name = "cosh",
       .js = "cosh",
       .args = kX,
       .doc = "The hyperbolic cosine. Integers give float32.",
       .forward = real<Unary::kCosh>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * sinh(c.in(0)); }}},
       .reference = [](double x) { return std::cosh(x); },
       .samples = kAnywhere},
      {.name = "softplus",
       .js = "softplus",
       .args = kX,
       .doc = "log(1 + exp(x)), without overflow. Integers give float32.",
       .forward = real<Unary::kSoftplus>,
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * sigmoid(c.in(0)); }}},
       .reference = [](double x) { return std::log1p(std::exp(x)); },
       .samples = kAnywhere},
      {.name = "relu",
       .js = "relu",
       .args = kX,
       .doc = "max(x, 0). The gradient at 0 is 0.",
       .forward = keeping<Unary::kRelu>,
       .gradient = {{kOut, [](const GradientCall& c) { return masked(c, gt(c.out(), 0)); }}},
       .reference = [](double x) { return x > 0 ? x : 0; },
       .samples = kKinked},
      {.name = "floor",
       .js = "floor",
       .args = kX,
       .doc = "The largest whole number not above x.",
       .forward = keeping<Unary::kFloor>,
       .gradient = {{kNothing, [](const GradientCall& c) { return zeros(c.shape(0), c.dtype(0)); }}},
       .reference = [](double x) { return std::floor(x); },
       .samples = kKinked},
      {.name = "ceil",
       .js = "ceil",
       .args = kX,
       .doc = "The smallest whole number not below x.",
       .forward = keeping<Unary::kCeil>,
       .gradient = {{kNothing, [](const GradientCall& c) { return zeros(c.shape(0), c.dtype(0)); }}},
       .reference = [](double x) { return std::ceil(x); },
       .samples = kKinked},
      {.name = "rint",
       .js = "rint round",
       .args = kX,
       .doc = "The nearest whole number, halves to even.",
       .forward = keeping<Unary::kRint>,
       .gradient = {{kNothing, [](const GradientCall& c) { return zeros(c.shape(0), c.dtype(0)); }}},
       .reference = [](double x) { return std::nearbyint(x); },
       .samples = kKinked},
      {.name = "trunc",
       .js = "trunc",
       .args = kX,
       .doc = "The nearest whole number towards zero.",
       .forward = keeping<Unary::kTrunc>,
       .gradient = {{kNothing, [](const GradientCall& c) { return zeros(c.shape(0), c.dtype(0)); }}},
       .reference = [](double x) { return std::trunc(x); },
       .samples = kKinked},
      {.name = "clip",
       .js = "clip clamp",
       .args = {tensor_arg("tensor"), float_arg("low"), float_arg("high")},
       .doc = "x held between `low` and `high`. The gradient is 1 from `low` to `high`, both included, and 0 outside. "
              "Integers give float32.",
       .forward = clip_forward,
       .gradient =
           {{kIn0, [](const GradientCall&
                          c) { return masked(c, logical_and(gte(c.in(0), c.number(0)), lte(c.in(0), c.number(1)))); }}},
       .reference =
           [](const RefCall& c) {
             RefArray out = c.in(0);
             for (double& x : out.data) x = std::min(std::max(x, c.number(0)), c.number(1));
             return out;
           },
       .samples = {{{-2, 2}}, {{{Shape{3, 4}}, {-0.7, 0.9}}, {{Shape{}}, {-1.0, 1.0}}}, false}},
      {.name = "isnan",
       .js = "isnan",
       .args = kX,
       .doc = "Whether each element is NaN; boolean.",
       .forward = asking<Predicate::kIsNan>,
       .gradient = kStep,
       .reference = [](double x) { return static_cast<double>(std::isnan(x)); },
       .samples = kKinked,
       .dtypes = DTypes::kAny},
      {.name = "isinf",
       .js = "isinf",
       .args = kX,
       .doc = "Whether each element is infinite; boolean.",
       .forward = asking<Predicate::kIsInf>,
       .gradient = kStep,
       .reference = [](double x) { return static_cast<double>(std::isinf(x)); },
       .samples = kKinked,
       .dtypes = DTypes::kAny},
      {.name = "isfinite",
       .js = "isfinite",
       .args = kX,
       .doc = "Whether each element is finite; boolean.",
       .forward = asking<Predicate::kIsFinite>,
       .gradient = kStep,
       .reference = [](double x) { return static_cast<double>(std::isfinite(x)); },
       .samples = kKinked,
       .dtypes = DTypes::kAny},
      {.name = "logical_not",
       .js = "logicalNot",
       .args = kX,
       .doc = "Whether each element is zero; boolean.",
       .forward = asking<Predicate::kLogicalNot>,
       .gradient = kStep,
       .reference = [](double x) { return static_cast<double>(x == 0); },
       .samples = kKinked,
       .dtypes = DTypes::kAny},
      {.name = "bitwise_not",
       .js = "bitwiseNot",
       .args = kX,
       .doc = "Every bit inverted; `not` for booleans.",
       .forward = bitwise_not_forward,
       .gradient = Gradient::none("integers have no gradient"),
       .reference = [](double x) { return -x - 1; },
       .samples = kKinked,
       .dtypes = DTypes::kIntegral},
  };
  return rows;
}

}  // namespace sm::ops
