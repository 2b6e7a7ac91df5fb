#include "kernels/copy.hpp"
#include "ops/common.hpp"
#include "ops/indices.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// The view of elements starts[i] + k * steps[i], k < counts[i], along each axis i of `x`.
Tensor window_view(const char* op, const Tensor& x, const Dims& starts, const Dims& counts, const Dims& steps) {
  const int ndim = x.ndim();
  bool fits = starts.size() == ndim && counts.size() == ndim && steps.size() == ndim;
  Dims strides = x.strides();
  int64_t offset = 0;
  for (int i = 0; fits && i < ndim; ++i) {
    int64_t last = 0;
    fits = counts[i] >= 0 && steps[i] != 0;
    if (!fits || counts[i] <= 0) continue;
    fits = starts[i] >= 0 && starts[i] < x.shape()[i] && !__builtin_mul_overflow(counts[i] - 1, steps[i], &last) &&
           !__builtin_add_overflow(starts[i], last, &last) && last >= 0 && last < x.shape()[i];
    offset += starts[i] * strides[i];
    strides[i] = counts[i] == 1 ? strides[i] : strides[i] * steps[i];
  }
  if (!fits)
    throw Error(ErrorCode::kOutOfRange, std::string(op) + ": starts " + starts.to_string() + ", counts " +
                                            counts.to_string() + " and steps " + steps.to_string() +
                                            " aren't a window of shape " + x.shape().to_string());
  return make_view(x, counts, strides, x.impl()->offset + (elements_of(counts) ? offset : 0));
}

Tensor window_forward(const Call& call) {
  return window_view("window", call.in(0), call.dims(0), call.dims(1), call.dims(2));
}

Tensor assign_window_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& value = call.in(1);
  const Shape& counts = call.dims(1);
  check_holds("assign_window", x.dtype(), value);
  Tensor out = make_tensor(x.shape(), x.dtype());
  const Tensor target = window_view("assign_window", out, call.dims(0), counts, call.dims(2));
  if (!broadcasts_to(value.shape(), counts))
    throw Error(ErrorCode::kShapeMismatch,
                "assign_window: " + value.shape().to_string() + " doesn't broadcast to " + counts.to_string());
  kernels::copy(x, out);
  kernels::copy(value, target);
  return out;
}

// Where the window takes the element at each of its positions.
RefArray window_reference(const RefCall& c) {
  return gathered(c.in(0), c.dims(1), 0, [&](const Dims& at) {
    Dims from = c.dims(0);
    for (int i = 0; i < at.size(); ++i) from[i] += at[i] * c.dims(2)[i];
    return from;
  });
}

RefArray assign_window_reference(const RefCall& c) {
  RefArray numbers = reference_zeros(c.in(0).shape), out = c.in(0);
  for (size_t i = 0; i < numbers.data.size(); ++i) numbers.data[i] = static_cast<double>(i);
  const RefArray places = window_reference({{numbers}, c.attrs});
  const RefArray& value = c.in(1);
  const RefArray spread = gathered(value, c.dims(1), 0, [&](const Dims& at) {
    Dims from = value.shape;
    for (int i = 0; i < from.size(); ++i) from[i] = from[i] == 1 ? 0 : at[at.size() - from.size() + i];
    return from;
  });
  for (size_t i = 0; i < places.data.size(); ++i) out.data[static_cast<size_t>(places.data[i])] = spread.data[i];
  return out;
}

}  // namespace

std::span<const Op> window_ops() {
  static const std::vector<Op> rows = {
      {.name = "window",
       .js = "window",
       .args = {tensor_arg("tensor"), dims_arg("starts"), dims_arg("counts"), dims_arg("steps")},
       .doc = "Elements starts[i] + k * steps[i], k < counts[i], along each axis i. A view.",
       .forward = window_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       return assign_window(zeros(c.shape(0), c.gradient.dtype()), c.gradient, c.dims(0), c.dims(1),
                                            c.dims(2));
                     }}},
       .reference = window_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{4, 5}}, {Dims{1, 4}, Dims{2, 3}, Dims{2, -2}}},
                    {{Shape{3}}, {Dims{2}, Dims{1}, Dims{1}}},
                    {{Shape{}}, {Dims(), Dims(), Dims()}},
                    {{Shape{3, 2}}, {Dims{0, 0}, Dims{0, 2}, Dims{1, 1}}}}},
       .dtypes = DTypes::kAny},
      {.name = "assign_window",
       .js = "assignWindow",
       .args = {tensor_arg("tensor"), tensor_arg("value"), dims_arg("starts"), dims_arg("counts"), dims_arg("steps")},
       .doc =
           "The tensor with `value`, which broadcasts to `counts`, where window of the same arguments would look; of "
           "the tensor's dtype.",
       .forward = assign_window_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       return assign_window(c.gradient, zeros({}, c.gradient.dtype()), c.dims(0), c.dims(1), c.dims(2));
                     }},
                    {kNothing,
                     [](const GradientCall& c) { return window(c.gradient, c.dims(0), c.dims(1), c.dims(2)); }}},
       .reference = assign_window_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{4, 5}, Shape{2, 3}}, {Dims{1, 4}, Dims{2, 3}, Dims{2, -2}}},
                    {{Shape{4, 5}, Shape{3}}, {Dims{3, 0}, Dims{4, 3}, Dims{-1, 2}}},
                    {{Shape{3}, Shape{}}, {Dims{0}, Dims{2}, Dims{2}}},
                    {{Shape{}, Shape{}}, {Dims(), Dims(), Dims()}},
                    {{Shape{3, 2}, Shape{0, 2}}, {Dims{0, 0}, Dims{0, 2}, Dims{1, 1}}}}},
       .dtypes = DTypes::kAny},
  };
  return rows;
}

}  // namespace sm::ops
