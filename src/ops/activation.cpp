#include <cmath>
#include <numbers>

#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// Forwards compute in `wide` and round once.
Tensor widened(const Call& call) { return as_dtype(call.in(0), wide(floating(call.in(0).dtype()))); }
Tensor narrowed(const Call& call, const Tensor& out) { return as_dtype(out, floating(call.in(0).dtype())); }

Tensor zero_like(const Tensor& x) { return constant(0, x.dtype()); }

// The gradient above 0, and times `slope` elsewhere.
Tensor sloped(const GradientCall& c, const Tensor& slope) {
  return where(gt(c.in(0), 0), c.gradient, c.gradient * slope);
}

// The gradient times `slope` strictly between `low` and `high`.
Tensor between(const GradientCall& c, double low, double high, double slope) {
  const Tensor inside = logical_and(gt(c.in(0), low), lt(c.in(0), high));
  return where(inside, slope == 1 ? c.gradient : c.gradient * slope, zero_like(c.gradient));
}

Tensor leaky_relu_forward(const Call& call) {
  const Tensor x = widened(call);
  return narrowed(call, where(gt(x, 0), x, x * call.number(0)));
}

Tensor elu_forward(const Call& call) {
  const Tensor x = widened(call);
  return narrowed(call, where(gt(x, 0), x, expm1(x) * call.number(0)));
}

Tensor elu_gradient(const GradientCall& c) {
  // exp of what is on the other side would overflow, and spoil second derivatives.
  return sloped(c, exp(minimum(c.in(0), 0)) * c.number(0));
}

Tensor silu_forward(const Call& call) {
  const Tensor x = widened(call);
  return narrowed(call, x * sigmoid(x * call.number(0)));
}

Tensor silu_gradient(const GradientCall& c) {
  const Tensor scaled = c.in(0) * c.number(0), gate = sigmoid(scaled);
  return c.gradient * (gate * (scaled * (1.0 - gate) + 1.0));
}

bool by_tanh(const Call& call) {
  const std::string& given = call.text(0);
  if (given != "none" && given != "tanh")
    throw Error(ErrorCode::kInvalidArgument, "gelu: approximate must be \"none\" or \"tanh\", got \"" + given + "\"");
  return given == "tanh";
}

constexpr double kCubic = 0.044715;
const double kRootTwoOverPi = std::sqrt(2 / std::numbers::pi);

Tensor gelu_forward(const Call& call) {
  const bool tanhed = by_tanh(call);
  const Tensor x = widened(call);
  const Tensor bell = tanhed ? tanh((x + square(x) * x * kCubic) * kRootTwoOverPi) : erf(x * (1 / std::numbers::sqrt2));
  return narrowed(call, x * (bell + 1.0) * 0.5);
}

Tensor gelu_gradient(const GradientCall& c) {
  const Tensor x = c.in(0);
  if (c.text(0) == "tanh") {
    const Tensor bell = tanh((x + square(x) * x * kCubic) * kRootTwoOverPi);
    const Tensor slope = (square(x) * (3 * kCubic) + 1.0) * kRootTwoOverPi;
    return c.gradient * ((bell + 1.0) * 0.5 + x * (1.0 - square(bell)) * slope * 0.5);
  }
  const Tensor share = (erf(x * (1 / std::numbers::sqrt2)) + 1.0) * 0.5;
  const Tensor density = exp(square(x) * -0.5) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  return c.gradient * (share + x * density);
}

RefArray mapped(const RefCall& c, double (*f)(double, double)) {
  RefArray out = c.in(0);
  for (double& x : out.data) x = f(x, c.number(0));
  return out;
}

RefArray gelu_reference(const RefCall& c) {
  const bool tanhed = std::get<std::string>(c.attrs[0]) == "tanh";
  RefArray out = c.in(0);
  for (double& x : out.data)
    x *= tanhed ? (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))) / 2
                : std::erfc(-x / std::sqrt(2)) / 2;
  return out;
}

std::vector<Sample> cases_with(std::vector<Attr> attrs) {
  std::vector<Sample> cases = unary_cases();
  for (Sample& sample : cases) sample.attrs = attrs;
  return cases;
}

[[gnu::cold]] std::vector<Op> clipped_rows() {
  const Arg x = tensor_arg("tensor");
  return {
      {.name = "relu6",
       .js = "relu6",
       .args = {x},
       .doc = "x held between 0 and 6. The gradient is 0 at both. Integers give float32.",
       .forward = [](const Call& call) { return clip(call.in(0), 0, 6); },
       .gradient = {{kIn0, [](const GradientCall& c) { return between(c, 0, 6, 1); }}},
       .reference = [](double v) { return std::min(std::max(v, 0.0), 6.0); },
       .samples = {{{-2, 9}}, unary_cases(), false}},
      {.name = "hard_tanh",
       .js = "hardTanh",
       .args = {x, float_arg("low", -1), float_arg("high", 1)},
       .doc = "x held between `low` and `high`. The gradient is 0 at both, unlike that of `clip`. Integers give "
              "float32.",
       .forward = [](const Call& call) { return clip(call.in(0), call.number(0), call.number(1)); },
       .gradient = {{kIn0, [](const GradientCall& c) { return between(c, c.number(0), c.number(1), 1); }}},
       .reference =
           [](const RefCall& c) {
             RefArray out = c.in(0);
             for (double& v : out.data) v = std::min(std::max(v, c.number(0)), c.number(1));
             return out;
           },
       .samples = {{{-3, 3}}, cases_with({-1.0, 1.5}), false}},
      {.name = "hard_sigmoid",
       .js = "hardSigmoid",
       .args = {x},
       .doc = "x / 6 + 0.5 held between 0 and 1. The gradient is 0 at both. Integers give float32.",
       .forward = [](const Call& call) { return narrowed(call, clip(widened(call) * (1 / 6.0) + 0.5, 0, 1)); },
       .gradient = {{kIn0, [](const GradientCall& c) { return between(c, -3, 3, 1 / 6.0); }}},
       .reference = [](double v) { return std::min(std::max(v / 6 + 0.5, 0.0), 1.0); },
       .samples = {{{-5, 5}}, unary_cases(), false}},
      {.name = "threshold_relu",
       .js = "thresholdRelu",
       .args = {x, float_arg("threshold", 1)},
       .doc = "x where it isn't below `threshold`, else 0. Integers give float32.",
       .forward =
           [](const Call& call) {
             const Tensor v = as_dtype(call.in(0), floating(call.in(0).dtype()));
             return where(gte(v, call.number(0)), v, zero_like(v));
           },
       .gradient = {{kIn0,
                     [](const GradientCall& c) {
                       return where(gte(c.in(0), c.number(0)), c.gradient, zero_like(c.gradient));
                     }}},
       .reference = [](const RefCall& c) { return mapped(c, [](double v, double t) { return v >= t ? v : 0; }); },
       .samples = {{{-2, 3}}, cases_with({1.0}), false}},
  };
}

[[gnu::cold]] std::vector<Op> smooth_rows() {
  const Arg x = tensor_arg("tensor");
  return {
      {.name = "leaky_relu",
       .js = "leakyRelu",
       .args = {x, float_arg("slope", 0.01)},
       .doc = "x above 0, `slope` times x elsewhere (Maas and others, 2013). The gradient at 0 is `slope`. Integers "
              "give float32.",
       .forward = leaky_relu_forward,
       .gradient = {{kIn0, [](const GradientCall& c) { return sloped(c, c.number(0)); }}},
       .reference = [](const RefCall& c) { return mapped(c, [](double v, double s) { return v > 0 ? v : s * v; }); },
       .samples = {{{-2, 2}}, cases_with({0.1}), false}},
      {.name = "elu",
       .js = "elu",
       .args = {x, float_arg("alpha", 1)},
       .doc = "x above 0, `alpha` times (exp(x) - 1) elsewhere (Clevert and others, 2015). Integers give float32.",
       .forward = elu_forward,
       .gradient = {{kIn0, elu_gradient}},
       .reference =
           [](const RefCall& c) { return mapped(c, [](double v, double a) { return v > 0 ? v : a * std::expm1(v); }); },
       .samples = {{{-2, 2}}, cases_with({0.7}), false}},
      {.name = "gelu",
       .js = "gelu",
       .args = {x, string_arg("approximate", "none")},
       .doc =
           "x times the normal distribution's share below x; with `approximate` tanh in the faster form of the paper "
           "(Hendrycks and Gimpel, 2016). Integers give float32.",
       .forward = gelu_forward,
       .gradient = {{kIn0, gelu_gradient}},
       .reference = gelu_reference,
       .samples = {{{-3, 3}},
                   [] {
                     std::vector<Sample> cases = cases_with({std::string("none")});
                     cases.push_back({{Shape{3, 5}}, {std::string("tanh")}});
                     return cases;
                   }()}},
      {.name = "silu",
       .js = "silu swish",
       .args = {x, float_arg("beta", 1)},
       .doc = "x times sigmoid(beta * x) (Ramachandran, Zoph and Le, 2017). Integers give float32.",
       .forward = silu_forward,
       .gradient = {{kIn0, silu_gradient}},
       .reference =
           [](const RefCall& c) { return mapped(c, [](double v, double b) { return v / (1 + std::exp(-b * v)); }); },
       .samples = {{{-3, 3}}, cases_with({1.3})}},
      {.name = "softsign",
       .js = "softsign",
       .args = {x},
       .doc = "x / (1 + |x|). Integers give float32.",
       .forward =
           [](const Call& call) {
             const Tensor v = widened(call);
             return narrowed(call, v / (absolute(v) + 1.0));
           },
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient / square(absolute(c.in(0)) + 1.0); }}},
       .reference = [](double v) { return v / (1 + std::abs(v)); },
       .samples = {{{-2, 2}}, unary_cases(), false}},
      {.name = "log_sigmoid",
       .js = "logSigmoid",
       .args = {x},
       .doc = "log(sigmoid(x)), exact where sigmoid would underflow. Integers give float32.",
       .forward = [](const Call& call) { return narrowed(call, -softplus(-widened(call))); },
       .gradient = {{kIn0, [](const GradientCall& c) { return c.gradient * sigmoid(-c.in(0)); }}},
       .reference = [](double v) { return -std::log1p(std::exp(-v)); },
       .samples = {{{-3, 3}}, unary_cases()}},
  };
}

}  // namespace

std::span<const Op> activation_ops() {
  static const std::vector<Op> rows = [] {
    std::vector<Op> all = clipped_rows();
    for (Op& op : smooth_rows()) all.push_back(std::move(op));
    return all;
  }();
  return rows;
}

}  // namespace sm::ops
