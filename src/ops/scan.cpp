#include "kernels/scan.hpp"

#include "kernels/copy.hpp"
#include "kernels/reduce.hpp"
#include "ops/common.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

DType summed_dtype(DType dtype) { return is_floating(dtype) ? dtype : DType::i64; }

Tensor cumsum_forward(const Call& call) {
  const Tensor x = as_dtype(call.in(0), summed_dtype(call.in(0).dtype()));
  const int axis = normalize_axis(call.integer(0), x.ndim(), "cumsum");
  Tensor out = make_tensor(x.shape(), x.dtype());
  kernels::cumsum(kernels::contiguous(x), kernels::along(x.shape(), axis), call.flag(1), out);
  return out;
}

Tensor prod_forward(const Call& call) {
  const Tensor x = as_dtype(call.in(0), summed_dtype(call.in(0).dtype()));
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), "prod");
  Tensor out = make_tensor(reduced_shape(x.shape(), axes, call.flag(1)), x.dtype());
  kernels::reduce(kernels::Reduce::kProd, x, axes, out);
  return out;
}

// Every second element along the last axis, from `start`.
Tensor alternate(const Tensor& x, int64_t start) { return slice(x, -1, start, x.shape().back(), 2); }

// Multiplies in pairs, pairs of pairs and so on, and walks back down: each
// element's factor is what the others multiply to, without dividing by it, so
// zeros do no harm.
Tensor prod_gradient(const GradientCall& c) {
  const Shape& shape = c.shape(0);
  const Dims axes = normalize_axes(c.dims(0), shape.size(), "prod");
  std::vector<Tensor> levels = {astype(flattened(c.in(0), axes), wide(c.dtype(0)))};
  if (levels[0].elements() == 0) return zeros(shape, c.dtype(0));
  const auto even = [](const Tensor& x) {
    Dims none(x.ndim(), 0), one = none;
    one[x.ndim() - 1] = 1;
    return x.shape().back() % 2 ? pad_constant(x, none, one, 1) : x;
  };
  for (; levels.back().shape().back() > 1; levels.push_back(alternate(levels.back(), 0) * alternate(levels.back(), 1)))
    levels.back() = even(levels.back());
  Tensor gradient = reshape(astype(c.gradient, wide(c.dtype(0))), levels.back().shape());
  for (size_t level = levels.size() - 1; level-- > 0;) {
    const Tensor& factors = levels[level];
    if (gradient.shape().back() * 2 != factors.shape().back())
      gradient = slice(gradient, -1, 0, factors.shape().back() / 2);
    gradient =
        reshape(stack({gradient * alternate(factors, 1), gradient * alternate(factors, 0)}, -1), factors.shape());
  }
  int64_t count = 1;
  for (int64_t axis : axes) count *= shape[static_cast<int>(axis)];
  return unflattened(slice(gradient, -1, 0, count), shape, axes);
}

Tensor count_nonzero_forward(const Call& call) {
  const Tensor x = call.in(0).detach();
  return sum(neq(x, zeros({}, x.dtype())), normalize_axes(call.dims(0), x.ndim(), "count_nonzero"), call.flag(1));
}

RefArray cumsum_reference(const RefCall& c) {
  return along_axis(c.in(0), c.integer(0), [&](std::vector<double>& row) {
    const std::vector<double> x = row;
    for (size_t i = 0; i < x.size(); ++i) {
      row[i] = 0;
      for (size_t j = 0; j < x.size(); ++j)
        if (c.flag(1) ? j >= i : j <= i) row[i] += x[j];
    }
  });
}

// Folds each group of elements over the axes of attribute 0.
RefArray folded(const RefCall& c, double start, double (*step)(double, double)) {
  const RefArray& x = c.in(0);
  const Dims axes = normalize_axes(c.dims(0), x.shape.size(), "reference");
  const Dims strides = contiguous_strides(reduced_shape(x.shape, axes, true));
  RefArray out = reference_zeros(reduced_shape(x.shape, axes, c.flag(1)));
  for (double& value : out.data) value = start;
  for (size_t flat = 0; flat < x.data.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), position = 0;
    for (int axis = x.shape.size() - 1; axis >= 0; --axis) {
      if (!axes.contains(axis)) position += rest % x.shape[axis] * strides[axis];
      rest /= x.shape[axis];
    }
    double& cell = out.data[static_cast<size_t>(position)];
    cell = step(cell, x.data[flat]);
  }
  return out;
}

std::vector<Sample> folding_cases() {
  return {{{Shape{2, 3, 4}}, {Dims(), false}},  {{Shape{2, 3, 4}}, {Dims{1}, false}},
          {{Shape{2, 3, 4}}, {Dims{-1}, true}}, {{Shape{3, 2, 5}}, {Dims{0, 2}, false}},
          {{Shape{}}, {Dims(), false}},         {{Shape{0, 3}}, {Dims{0}, false}},
          {{Shape{2, 0}}, {Dims{0}, true}},     {{Shape{7}}, {Dims{0}, false}}};
}

}  // namespace

std::span<const Op> scan_ops() {
  static const std::vector<Arg> kFoldArgs = {tensor_arg("tensor"), dims_arg("axes", Dims()),
                                             bool_arg("keep_dims", false)};
  static const std::vector<Op> rows = {
      {.name = "cumsum",
       .js = "cumsum",
       .args = {tensor_arg("tensor"), int_arg("axis"), bool_arg("reverse", false)},
       .doc = "The sum of the elements up to each one along `axis`, or from each one on when `reverse`. Integers and "
              "booleans give int64.",
       .forward = cumsum_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return cumsum(c.gradient, c.integer(0), !c.flag(1)); }}},
       .reference = cumsum_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 5}}, {int64_t{-1}, false}},
                    {{Shape{4, 3}}, {int64_t{0}, true}},
                    {{Shape{2, 3, 70}}, {int64_t{1}, false}},
                    {{Shape{}}, {int64_t{0}, false}},
                    {{Shape{0, 3}}, {int64_t{0}, false}}}},
       .dtypes = DTypes::kAny},
      {.name = "prod",
       .js = "prod",
       .args = kFoldArgs,
       .doc = "The product over `axes`, all of them when empty. Integers and booleans give int64. Where there are "
              "zeros the gradients are right, too.",
       .forward = prod_forward,
       .gradient = {{kIn0, prod_gradient}},
       .reference = [](const RefCall& c) { return folded(c, 1, [](double a, double x) { return a * x; }); },
       .samples = {{{-1.5, 1.5}}, folding_cases()},
       .dtypes = DTypes::kAny},
      {.name = "count_nonzero",
       .js = "countNonzero",
       .args = kFoldArgs,
       .doc = "How many elements over `axes`, all of them when empty, aren't zero; int64.",
       .forward = count_nonzero_forward,
       .gradient = Gradient::none("a count doesn't vary with the elements"),
       .reference = [](const RefCall& c) { return folded(c, 0, [](double a, double x) { return a + (x != 0); }); },
       .samples = {{{-2, 2}}, folding_cases()},
       .dtypes = DTypes::kAny},
  };
  return rows;
}

}  // namespace sm::ops
