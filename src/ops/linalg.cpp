#include <cmath>
#include <limits>

#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The sum of |x| to the power p over `axes`, to the power 1/p; the axes stay as 1.
Tensor power_norm(const Tensor& x, double p, const Dims& axes) {
  const Tensor size = absolute(x);
  if (p == 1) return sum(size, axes, true);
  if (x.elements() == 0) return power(sum(size, axes, true), 1 / p);
  // Squares overflow, or vanish, long before the norm does: so the largest is made 1 first.
  const Tensor largest = amax(size, axes, true);
  const Tensor scale = where(logical_and(gt(largest, 0), isfinite(largest)), largest, constant(1, x.dtype()));
  if (p == 2) return sqrt(sum(square(size / scale), axes, true)) * scale;
  return power(sum(power(size / scale, p), axes, true), 1 / p) * scale;
}

Tensor norm_forward(const Call& call) {
  const DType dtype = floating(call.in(0).dtype());
  const Tensor x = as_dtype(call.in(0), wide(dtype));
  const double p = call.number(0);
  if (std::isnan(p)) throw Error(ErrorCode::kInvalidArgument, "norm: p must be a number, got NaN");
  const Dims axes = normalize_axes(call.dims(1), x.ndim(), "norm");
  const auto compute = [&] {
    if (p == kInfinity) return amax(absolute(x), axes, true);
    if (p == -kInfinity) return amin(absolute(x), axes, true);
    if (p == 0) return sum(astype(neq(x, 0), x.dtype()), axes, true);
    return power_norm(x, p, axes);
  };
  return as_dtype(reshape(compute(), reduced_shape(x.shape(), axes, call.flag(2))), dtype);
}

// A result with the reduced axes back as 1.
Tensor kept(const GradientCall& c, const Tensor& reduced) {
  const Dims axes = normalize_axes(c.dims(1), c.shape(0).size(), "norm");
  return reshape(reduced, reduced_shape(c.shape(0), axes, true));
}

Tensor norm_gradient(const GradientCall& c) {
  const double p = c.number(0);
  const Tensor x = c.in(0), gradient = kept(c, c.gradient), out = kept(c, c.out());
  if (p == 0) return zeros(x.shape(), x.dtype());
  if (p == 1) return gradient * sign(x);
  if (std::isinf(p)) {
    const Tensor hits = astype(eq(absolute(x.detach()), out.detach()), x.dtype());
    return gradient * sign(x) * (hits / sum(hits, normalize_axes(c.dims(1), x.ndim(), "norm"), true));
  }
  const Tensor zero = constant(0, x.dtype()), one = constant(1, x.dtype());
  const Tensor flat = eq(out, 0);
  const Tensor share = where(flat, zero, x / where(flat, one, out));
  if (p == 2) return gradient * share;
  const Tensor none = eq(share, 0);
  const Tensor steep = power(where(none, one, absolute(share)), p - 1);
  return gradient * sign(x) * where(none, zero, steep);
}

Tensor normalize_forward(const Call& call) {
  const DType dtype = floating(call.in(0).dtype());
  const Tensor x = converted(call.in(0), wide(dtype));
  const Tensor size = norm(x, call.number(0), Dims(normalize_axis(call.integer(1), x.ndim(), "normalize")), true);
  return converted(x / maximum(size, call.number(2)), dtype);
}

RefArray norm_reference(const RefCall& c) {
  const RefArray& x = c.in(0);
  const double p = c.number(0);
  const Dims axes = normalize_axes(c.dims(1), x.shape.size(), "reference");
  RefArray out{reduced_shape(x.shape, axes, c.flag(2)), {}};
  out.data.assign(static_cast<size_t>(elements_of(out.shape)), p == -kInfinity ? kInfinity : 0);
  const Dims strides = contiguous_strides(reduced_shape(x.shape, axes, true));
  for (size_t flat = 0; flat < x.data.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), position = 0;
    for (int axis = x.shape.size() - 1; axis >= 0; --axis) {
      if (!axes.contains(axis)) position += rest % x.shape[axis] * strides[axis];
      rest /= x.shape[axis];
    }
    double& cell = out.data[static_cast<size_t>(position)];
    const double size = std::abs(x.data[flat]);
    if (std::isinf(p))
      cell = p > 0 ? std::max(cell, size) : std::min(cell, size);
    else
      cell += p == 0 ? size != 0 : std::pow(size, p);
  }
  if (p != 0 && !std::isinf(p))
    for (double& cell : out.data) cell = std::pow(cell, 1 / p);
  return out;
}

RefArray normalize_reference(const RefCall& c) {
  const RefArray& x = c.in(0);
  const int axis = normalize_axis(c.integer(1), x.shape.size(), "reference");
  const RefArray size = norm_reference({{x}, {c.attrs[0], Dims(axis), true}});
  RefArray out = x;
  size_t inner = 1;
  for (int i = axis + 1; i < x.shape.size(); ++i) inner *= static_cast<size_t>(x.shape[i]);
  const size_t n = static_cast<size_t>(x.shape[axis]);
  for (size_t i = 0; i < out.data.size(); ++i)
    out.data[i] /= std::max(size.data[i / (n * inner) * inner + i % inner], c.number(2));
  return out;
}

std::vector<Sample> norm_cases() {
  return {{{Shape{2, 3, 4}}, {2.0, Dims(), false}},
          {{Shape{2, 3, 4}}, {2.0, Dims{1}, true}},
          {{Shape{3, 4}}, {1.0, Dims{-1}, false}},
          {{Shape{3, 4}}, {3.0, Dims{0}, false}},
          {{Shape{3, 4}}, {1.5, Dims(), false}},
          {{Shape{3, 4}}, {kInfinity, Dims{1}, false}},
          {{Shape{3, 4}}, {-kInfinity, Dims{0}, true}},
          {{Shape{3, 4}}, {0.0, Dims{0}, false}},
          {{Shape{}}, {2.0, Dims(), false}},
          {{Shape{0, 3}}, {2.0, Dims{0}, false}},
          {{Shape{0, 3}}, {1.0, Dims(), false}}};
}

}  // namespace

std::span<const Op> linalg_ops() {
  static const std::vector<Op> rows = {
      {.name = "norm",
       .js = "norm",
       .args = {tensor_arg("tensor"), float_arg("p", 2), dims_arg("axes", Dims()), bool_arg("keep_dims", false)},
       .doc = "The p-norm over `axes`, all of them when empty, without overflow: the sum of |x| to the power p, to the "
              "power 1/p. For infinity the largest |x|, for -infinity the smallest, for 0 the number of elements that "
              "aren't 0. Integers give float32. The gradient at 0 is 0.",
       .forward = norm_forward,
       .gradient = {{kIn0 | kOut, norm_gradient}},
       .reference = norm_reference,
       .samples = {{{-2, 2}}, norm_cases()}},
      {.name = "normalize",
       .js = "normalize",
       .args = {tensor_arg("tensor"), float_arg("p", 2), int_arg("axis", 1), float_arg("epsilon", 1e-12)},
       .doc = "x divided by its p-norm along `axis`, or by `epsilon` where the norm is smaller. Integers give float32.",
       .forward = normalize_forward,
       .gradient = Gradient::composed(),
       .reference = normalize_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 4}}, {2.0, int64_t{1}, 1e-12}},
                    {{Shape{2, 3, 2}}, {1.0, int64_t{-1}, 1e-12}},
                    {{Shape{4}}, {3.0, int64_t{0}, 1e-6}},
                    {{Shape{0, 3}}, {2.0, int64_t{1}, 1e-12}}}}},
  };
  return rows;
}

}  // namespace sm::ops
