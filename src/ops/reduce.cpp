#include "kernels/reduce.hpp"

#include <cmath>
#include <functional>

#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "ops/common.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

using kernels::Reduce;

Tensor reduce_as(Reduce kind, const Tensor& x, const Dims& axes, bool keep_dims, DType dtype) {
  Tensor out = make_tensor(reduced_shape(x.shape(), axes, keep_dims), dtype);
  kernels::reduce(kind, x, axes, out);
  return out;
}

int64_t count_of(const Shape& shape, const Dims& axes) {
  int64_t count = 1;
  for (int64_t axis : axes) count *= shape[static_cast<int>(axis)];
  return count;
}

// What a reduction sums over: sums of integers are int64.
Tensor summable(const Tensor& x) { return as_dtype(x, is_floating(x.dtype()) ? x.dtype() : DType::i64); }

Tensor sum_forward(const Call& call) {
  const DType dtype = call.in(0).dtype();
  const InDType x(call.in(0), is_floating(dtype) ? dtype : DType::i64);
  return reduce_as(Reduce::kSum, x, normalize_axes(call.dims(0), x->ndim(), "sum"), call.flag(1), x->dtype());
}

Tensor mean_forward(const Call& call) {
  const Tensor x = as_dtype(call.in(0), wide_floating(call.in(0).dtype()));
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), "mean");
  Tensor total = reduce_as(Reduce::kSum, x, axes, call.flag(1), x.dtype());
  const double count = static_cast<double>(count_of(x.shape(), axes));
  kernels::binary(kernels::Binary::kDiv, total, constant(count, x.dtype()), total);
  return as_dtype(total, floating(call.in(0).dtype()));
}

template <Reduce kind>
Tensor extreme_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), call.op.name.data());
  if (count_of(x.shape(), axes) == 0)
    throw Error(ErrorCode::kShapeMismatch, std::string(call.op.name) + ": needs at least one element along axes " +
                                               axes.to_string() + ", got shape " + x.shape().to_string());
  return reduce_as(kind, x, axes, call.flag(1), x.dtype());
}

template <Reduce kind>
Tensor logic_forward(const Call& call) {
  const Tensor& x = call.in(0);
  return reduce_as(kind, x, normalize_axes(call.dims(0), x.ndim(), call.op.name.data()), call.flag(1), DType::boolean);
}

// The flat position without an axis, as in NumPy. Integer -1 would be the last axis, so "no axis" is the empty list.
template <bool largest>
Tensor arg_forward(const Call& call) {
  const char* name = call.op.name.data();
  const Dims& given = call.dims(0);
  if (given.size() > 1)
    throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": takes one axis or none, got " + given.to_string());
  const Tensor x = given.empty() ? reshape(call.in(0).detach(), Dims(-1)) : call.in(0);
  const int axis = given.empty() ? 0 : normalize_axis(given[0], x.ndim(), name);
  if (x.elements() == 0 && (x.ndim() == 0 || x.shape()[axis] == 0))
    throw Error(ErrorCode::kShapeMismatch, std::string(name) + ": needs at least one element along axis " +
                                               std::to_string(axis) + ", got shape " + x.shape().to_string());
  const Dims axes(axis);
  Tensor out = make_tensor(
      given.empty() ? reduced_shape(call.in(0).shape(), normalize_axes({}, call.in(0).ndim(), name), call.flag(1))
                    : reduced_shape(x.shape(), axes, call.flag(1)),
      DType::i64);
  kernels::arg_reduce(largest, x, axis, out);
  return out;
}

// A gradient of the reduced shape, with the axes back as 1, ready to broadcast to `shape`.
Tensor restored(const Tensor& reduced, const Shape& shape, const Dims& given) {
  return reshape(reduced, reduced_shape(shape, normalize_axes(given, shape.size(), "gradient"), true));
}

// Each of the elements that tie for the extreme gets an equal share.
Tensor extreme_gradient(const GradientCall& c) {
  const Tensor best = restored(c.out(), c.shape(0), c.dims(0)).detach();
  const Tensor hits = astype(eq(c.in(0).detach(), best), c.gradient.dtype());
  return restored(c.gradient, c.shape(0), c.dims(0)) *
         (hits / sum(hits, normalize_axes(c.dims(0), c.shape(0).size(), "gradient"), true));
}

double degrees_of_freedom(const Shape& shape, const Dims& axes, double correction) {
  const Dims all = normalize_axes(axes, shape.size(), "variance");
  return std::max(0.0, static_cast<double>(count_of(shape, all)) - correction);
}

Tensor variance_forward(const Call& call) {
  const Tensor x = astype(call.in(0), wide_floating(call.in(0).dtype()));
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), call.op.name.data());
  const Tensor total = sum(square(x - mean(x, axes, true)), axes, call.flag(1));
  return astype(total / degrees_of_freedom(x.shape(), call.dims(0), call.number(2)), floating(call.in(0).dtype()));
}

Tensor std_forward(const Call& call) {
  const Tensor x = astype(call.in(0), wide_floating(call.in(0).dtype()));
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), call.op.name.data());
  return astype(sqrt(variance(x, axes, call.flag(1), call.number(2))), floating(call.in(0).dtype()));
}

Tensor std_gradient(const GradientCall& c) {
  const Tensor out = restored(c.out(), c.shape(0), c.dims(0)), gradient = restored(c.gradient, c.shape(0), c.dims(0));
  const Tensor centred = c.in(0) - mean(c.in(0), c.dims(0), true);
  const Tensor slope = gradient / (out * degrees_of_freedom(c.shape(0), c.dims(0), c.number(2)));
  return centred * where(eq(out, 0), zeros({}, slope.dtype()), slope);
}

Tensor logsumexp_forward(const Call& call) {
  const DType dtype = floating(call.in(0).dtype());
  const Tensor x = as_dtype(call.in(0), wide_floating(dtype));
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), "logsumexp");
  // An infinite maximum would give inf - inf.
  const Tensor peak = amax(x, axes, true);
  const Tensor safe = where(isfinite(peak), peak, zeros({}, x.dtype()));
  const Tensor out = log(sum(exp(x - safe), axes, true)) + safe;
  return as_dtype(reshape(out, reduced_shape(x.shape(), axes, call.flag(1))), dtype);
}

Tensor sum_to_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Shape& target = call.dims(0);
  const int shift = x.ndim() - target.size();
  Dims axes;
  bool fits = shift >= 0;
  for (int i = 0; fits && i < x.ndim(); ++i) {
    if (i < shift || (target[i - shift] == 1 && x.shape()[i] != 1))
      axes.push_back(i);
    else
      fits = target[i - shift] == x.shape()[i];
  }
  if (!fits)
    throw Error(ErrorCode::kShapeMismatch,
                "sum_to: " + target.to_string() + " doesn't broadcast to " + x.shape().to_string());
  const Tensor from = summable(x);
  if (axes.empty()) return make_alias(from);
  Tensor out = make_tensor(target, from.dtype());
  kernels::reduce(Reduce::kSum, from, axes, out);
  return out;
}

// Folds the reduced axes with `step` from `start`, in plain loops.
RefArray fold(const RefCall& c, double start, const std::function<double(double, double)>& step) {
  const RefArray& x = c.in(0);
  const Dims axes = normalize_axes(c.dims(0), x.shape.size(), "reference");
  RefArray out{reduced_shape(x.shape, axes, c.flag(1)), {}};
  out.data.assign(static_cast<size_t>(elements_of(out.shape)), start);
  const Dims kept_strides = contiguous_strides(reduced_shape(x.shape, axes, true));
  for (size_t flat = 0; flat < x.data.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), position = 0;
    for (int axis = x.shape.size() - 1; axis >= 0; --axis) {
      if (!axes.contains(axis)) position += rest % x.shape[axis] * kept_strides[axis];
      rest /= x.shape[axis];
    }
    double& cell = out.data[static_cast<size_t>(position)];
    cell = step(cell, x.data[flat]);
  }
  return out;
}

double reduced_count(const RefCall& c) {
  return static_cast<double>(count_of(c.in(0).shape, normalize_axes(c.dims(0), c.in(0).shape.size(), "reference")));
}

RefArray sum_reference(const RefCall& c) {
  return fold(c, 0, [](double a, double x) { return a + x; });
}

RefArray mean_reference(const RefCall& c) {
  RefArray out = sum_reference(c);
  for (double& value : out.data) value /= reduced_count(c);
  return out;
}

RefArray variance_reference(const RefCall& c) {
  // E[x^2] - E[x]^2 is good enough in double at these sizes, and is another formula than ours.
  const RefArray squares = fold(c, 0, [](double a, double x) { return a + x * x; });
  RefArray out = sum_reference(c);
  const double n = reduced_count(c);
  for (size_t i = 0; i < out.data.size(); ++i)
    out.data[i] = (squares.data[i] - out.data[i] * out.data[i] / n) / (n - c.number(2));
  return out;
}

template <bool largest>
RefArray arg_reference(const RefCall& c) {
  const RefArray& x = c.in(0);
  const Dims axes = normalize_axes(c.dims(0), x.shape.size(), "reference");
  RefArray best =
      fold(c, largest ? -1e300 : 1e300, [](double a, double v) { return largest ? std::max(a, v) : std::min(a, v); });
  RefArray out = best;
  const Dims kept_strides = contiguous_strides(reduced_shape(x.shape, axes, true));
  for (size_t flat = x.data.size(); flat-- > 0;) {
    int64_t rest = static_cast<int64_t>(flat), position = 0, along = 0;
    for (int axis = x.shape.size() - 1; axis >= 0; --axis) {
      if (!axes.contains(axis))
        position += rest % x.shape[axis] * kept_strides[axis];
      else
        along = axes.size() == 1 ? rest % x.shape[axis] : 0;
      rest /= x.shape[axis];
    }
    if (c.dims(0).empty()) along = static_cast<int64_t>(flat);
    if (x.data[flat] == best.data[static_cast<size_t>(position)])
      out.data[static_cast<size_t>(position)] = static_cast<double>(along);
  }
  return out;
}

std::vector<Arg> reducing_args() {
  return {tensor_arg("tensor"), dims_arg("axes", Dims()), bool_arg("keep_dims", false)};
}

std::vector<Sample> reducing_cases(bool with_empty = true) {
  std::vector<Sample> cases = {{{Shape{2, 3, 4}}, {Dims(), false}},  {{Shape{2, 3, 4}}, {Dims{1}, false}},
                               {{Shape{2, 3, 4}}, {Dims{-1}, true}}, {{Shape{2, 3, 4}}, {Dims{0, 2}, false}},
                               {{Shape{70, 9}}, {Dims{0}, false}},   {{Shape{}}, {Dims(), false}},
                               {{Shape{3, 33}}, {Dims{1}, false}}};
  if (with_empty) {
    cases.push_back({{Shape{0, 3}}, {Dims{0}, false}});
    cases.push_back({{Shape{2, 0}}, {Dims{0}, true}});
  }
  return cases;
}

std::vector<Sample> spread_cases() {
  std::vector<Sample> cases;
  for (const Sample& sample : reducing_cases(false))
    if (!sample.shapes[0].empty()) cases.push_back({sample.shapes, {sample.attrs[0], sample.attrs[1], 1.0}});
  cases.push_back({{Shape{5, 2}}, {Dims{0}, true, 0.0}});
  return cases;
}

}  // namespace

std::span<const Op> reduce_ops() {
  static const Samples kAnywhere{{{-2, 2}}, reducing_cases()};
  static const Samples kNonEmpty{{{-2, 2}}, reducing_cases(false), false};
  static const std::vector<Arg> kArgArgs = {tensor_arg("tensor"), dims_arg("axis", Dims()),
                                            bool_arg("keep_dims", false)};
  static const std::vector<Arg> kSpreadArgs = {tensor_arg("tensor"), dims_arg("axes", Dims()),
                                               bool_arg("keep_dims", false), float_arg("correction", 1.0)};
  static const std::vector<Op> rows = {
      {.name = "sum",
       .js = "sum",
       .args = reducing_args(),
       .doc = "The sum over `axes`, all of them when empty. Integers and booleans give int64.",
       .forward = sum_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       return expand(restored(c.gradient, c.shape(0), c.dims(0)), c.shape(0));
                     }}},
       .reference = sum_reference,
       .samples = kAnywhere,
       .dtypes = DTypes::kAny},
      {.name = "mean",
       .js = "mean",
       .args = reducing_args(),
       .doc = "The mean over `axes`, all of them when empty. Integers give float32; no elements give NaN.",
       .forward = mean_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       const Dims axes = normalize_axes(c.dims(0), c.shape(0).size(), "mean");
                       const double count = static_cast<double>(count_of(c.shape(0), axes));
                       return expand(restored(c.gradient, c.shape(0), c.dims(0)) / count, c.shape(0));
                     }}},
       .reference = mean_reference,
       .samples = {{{-2, 2}}, reducing_cases(false)}},
      {.name = "amax",
       .js = "amax max",
       .args = reducing_args(),
       .doc = "The largest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share "
              "the gradient evenly.",
       .forward = extreme_forward<Reduce::kMax>,
       .gradient = {{kIn0 | kOut, extreme_gradient}},
       .reference = [](const RefCall& c) { return fold(c, -1e300, [](double a, double x) { return std::max(a, x); }); },
       .samples = kNonEmpty},
      {.name = "amin",
       .js = "amin min",
       .args = reducing_args(),
       .doc = "The smallest element over `axes`, all of them when empty; NaN if there is one. Elements that tie share "
              "the gradient evenly.",
       .forward = extreme_forward<Reduce::kMin>,
       .gradient = {{kIn0 | kOut, extreme_gradient}},
       .reference = [](const RefCall& c) { return fold(c, 1e300, [](double a, double x) { return std::min(a, x); }); },
       .samples = kNonEmpty},
      {.name = "argmax",
       .js = "argmax",
       .args = kArgArgs,
       .doc = "The position of the first largest element along `axis`, or in row order without one; int64.",
       .forward = arg_forward<true>,
       .gradient = Gradient::none("positions have no gradient"),
       .reference = arg_reference<true>,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 5}}, {Dims{1}, false}},
                    {{Shape{3, 5}}, {Dims{0}, true}},
                    {{Shape{3, 5}}, {Dims(), false}},
                    {{Shape{}}, {Dims(), false}}}}},
      {.name = "argmin",
       .js = "argmin",
       .args = kArgArgs,
       .doc = "The position of the first smallest element along `axis`, or in row order without one; int64.",
       .forward = arg_forward<false>,
       .gradient = Gradient::none("positions have no gradient"),
       .reference = arg_reference<false>,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 5}}, {Dims{1}, false}},
                    {{Shape{3, 5}}, {Dims{0}, true}},
                    {{Shape{3, 5}}, {Dims(), false}}}}},
      {.name = "all",
       .js = "all",
       .args = reducing_args(),
       .doc = "Whether no element over `axes` is zero; boolean.",
       .forward = logic_forward<Reduce::kAll>,
       .gradient = Gradient::none("booleans have no gradient"),
       .reference =
           [](const RefCall& c) { return fold(c, 1, [](double a, double x) { return double(a != 0 && x != 0); }); },
       .samples = {{{0, 3, true}}, reducing_cases()},
       .dtypes = DTypes::kAny},
      {.name = "any",
       .js = "any",
       .args = reducing_args(),
       .doc = "Whether some element over `axes` isn't zero; boolean.",
       .forward = logic_forward<Reduce::kAny>,
       .gradient = Gradient::none("booleans have no gradient"),
       .reference =
           [](const RefCall& c) { return fold(c, 0, [](double a, double x) { return double(a != 0 || x != 0); }); },
       .samples = {{{0, 2, true}}, reducing_cases()},
       .dtypes = DTypes::kAny},
      {.name = "variance",
       .js = "variance var",
       .args = kSpreadArgs,
       .doc = "The variance over `axes`, all of them when empty, divided by the count less `correction` (1, as "
              "PyTorch's default; 0 for the population). Integers give float32.",
       .forward = variance_forward,
       .gradient = Gradient::composed(),
       .reference = variance_reference,
       .samples = {{{-2, 2}}, spread_cases()}},
      {.name = "std",
       .js = "std",
       .args = kSpreadArgs,
       .doc = "The square root of the variance; see `variance`. Integers give float32. The gradient at 0 is 0.",
       .forward = std_forward,
       .gradient = {{kIn0 | kOut, std_gradient}},
       .reference =
           [](const RefCall& c) {
             RefArray out = variance_reference(c);
             for (double& x : out.data) x = std::sqrt(x);
             return out;
           },
       .samples = {{{-2, 2}}, spread_cases()}},
      {.name = "logsumexp",
       .js = "logsumexp",
       .args = reducing_args(),
       .doc = "log(sum(exp(x))) over `axes`, all of them when empty, without overflow. Integers give float32.",
       .forward = logsumexp_forward,
       .gradient = {{kIn0 | kOut,
                     [](const GradientCall& c) {
                       const Tensor out = restored(c.out(), c.shape(0), c.dims(0));
                       return restored(c.gradient, c.shape(0), c.dims(0)) * exp(c.in(0) - out);
                     }}},
       .reference =
           [](const RefCall& c) {
             RefArray out = fold(c, 0, [](double a, double x) { return a + std::exp(x); });
             for (double& x : out.data) x = std::log(x);
             return out;
           },
       .samples = {{{-2, 2}}, reducing_cases(false)}},
      {.name = "sum_to",
       .js = "sumTo",
       .args = {tensor_arg("tensor"), dims_arg("shape")},
       .doc = "Sums over the axes along which `shape` was broadcast: what undoes broadcasting in a gradient. Integers "
              "give int64.",
       .forward = sum_to_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return expand(c.gradient, c.shape(0)); }}},
       .reference =
           [](const RefCall& c) {
             const RefArray& x = c.in(0);
             const Shape& target = c.dims(0);
             RefArray out{target, std::vector<double>(static_cast<size_t>(elements_of(target)), 0.0)};
             for (size_t flat = 0; flat < x.data.size(); ++flat) {
               int64_t rest = static_cast<int64_t>(flat), position = 0, step = 1;
               for (int axis = x.shape.size() - 1, mine = target.size() - 1; mine >= 0; --axis, --mine) {
                 if (target[mine] != 1) position += rest % x.shape[axis] * step;
                 step *= target[mine];
                 rest /= x.shape[axis];
               }
               out.data[static_cast<size_t>(position)] += x.data[flat];
             }
             return out;
           },
       .samples = {{{-2, 2}},
                   {{{Shape{2, 3}}, {Dims{3}}},
                    {{Shape{2, 3}}, {Dims{2, 1}}},
                    {{Shape{4, 2, 3}}, {Dims()}},
                    {{Shape{2, 3}}, {Dims{2, 3}}}}}},
  };
  return rows;
}

}  // namespace sm::ops
