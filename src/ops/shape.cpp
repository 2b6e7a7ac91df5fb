#include <algorithm>

#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "ops/common.hpp"
#include "ops/part.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// `asked` with its -1, if any, worked out.
Shape resolve_shape(const Shape& from, const Dims& asked, const char* op) {
  Shape out = asked;
  Shape given;
  int free_axis = -1;
  for (int i = 0; i < out.size(); ++i) {
    if (out[i] >= 0)
      given.push_back(out[i]);
    else if (out[i] == -1 && free_axis < 0)
      free_axis = i;
    else
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(op) + ": sizes must be 0 or more, with at most one -1, got " + asked.to_string());
  }
  const int64_t count = elements_of(from), known = elements_of(given);
  if (free_axis >= 0 && known > 0 && count % known == 0)
    out[free_axis] = count / known;
  else if (free_axis >= 0)
    out[free_axis] = known == 0 && count == 0 ? 0 : -1;
  if ((free_axis >= 0 && out[free_axis] < 0) || elements_of(out) != count)
    throw Error(ErrorCode::kShapeMismatch, std::string(op) + ": can't make shape " + asked.to_string() + " of " +
                                               from.to_string() + " (" + std::to_string(count) + " elements)");
  return out;
}

Tensor reshape_forward(const Call& call) {
  const Shape shape = resolve_shape(call.in(0).shape(), call.dims(0), "reshape");
  const Tensor x = kernels::contiguous(call.in(0));
  return make_view(x, shape, contiguous_strides(shape), x.impl()->offset);
}

Dims permutation(const Dims& given, int ndim, const char* op) {
  Dims axes;
  if (given.empty())
    for (int i = ndim - 1; i >= 0; --i) axes.push_back(i);
  for (int64_t axis : given) axes.push_back(normalize_axis(axis, ndim, op));
  bool fits = axes.size() == ndim;
  for (int i = 0; fits && i < ndim; ++i) fits = axes.contains(i);
  if (!fits)
    throw Error(ErrorCode::kInvalidArgument, std::string(op) + ": axes must name each of " + std::to_string(ndim) +
                                                 " dimensions once, got " + given.to_string());
  return axes;
}

Tensor transpose_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims axes = permutation(call.dims(0), x.ndim(), "transpose");
  Shape shape(x.ndim(), 0);
  Dims strides(x.ndim(), 0);
  for (int i = 0; i < x.ndim(); ++i) {
    shape[i] = x.shape()[static_cast<int>(axes[i])];
    strides[i] = x.strides()[static_cast<int>(axes[i])];
  }
  return make_view(x, shape, strides, x.impl()->offset);
}

Tensor expand_forward(const Call& call) {
  const Tensor& x = call.in(0);
  Shape shape = call.dims(0);
  const int shift = shape.size() - x.ndim();
  Dims strides(shape.size(), 0);
  bool fits = shift >= 0;
  for (int i = 0; fits && i < x.ndim(); ++i) {
    int64_t& size = shape[shift + i];
    if (size == -1) size = x.shape()[i];
    if (x.shape()[i] == size)
      strides[shift + i] = x.strides()[i];
    else
      fits = x.shape()[i] == 1;
  }
  for (int i = 0; i < std::min(shift, shape.size()); ++i) fits = fits && shape[i] >= 0;
  if (!fits)
    throw Error(ErrorCode::kShapeMismatch,
                "expand: " + x.shape().to_string() + " doesn't broadcast to " + call.dims(0).to_string());
  return make_view(x, shape, strides, x.impl()->offset);
}

Tensor squeeze_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), "squeeze");
  Shape shape;
  Dims strides;
  for (int i = 0; i < x.ndim(); ++i) {
    const bool asked = axes.contains(i);
    if (asked && x.shape()[i] == 1) continue;
    if (asked && !call.dims(0).empty())
      throw Error(ErrorCode::kShapeMismatch,
                  "squeeze: axis " + std::to_string(i) + " of " + x.shape().to_string() + " isn't of size 1");
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  return make_view(x, shape, strides, x.impl()->offset);
}

Tensor unsqueeze_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const int axis = normalize_axis(call.integer(0), x.ndim() + 1, "unsqueeze");
  Shape shape = x.shape();
  Dims strides = x.strides();
  shape.insert(axis, 1);
  strides.insert(axis, 0);
  return make_view(x, shape, strides, x.impl()->offset);
}

// `tensor`'s elements start, start + step, ... before stop along `axis`, with NumPy's rules for what is out of range.
struct Window {
  int axis;
  int64_t start;
  int64_t step;
  int64_t count;
};

Window window(const Shape& shape, int64_t axis, int64_t start, int64_t stop, int64_t step, const char* op) {
  if (step == 0) throw Error(ErrorCode::kInvalidArgument, std::string(op) + ": step can't be 0");
  if (shape.empty()) throw Error(ErrorCode::kShapeMismatch, std::string(op) + ": a rank-0 tensor has no axis to slice");
  Window w{normalize_axis(axis, shape.size(), op), 0, step, 0};
  const int64_t n = shape[w.axis];
  // A longer step reaches no further element, but may overflow.
  w.step = step = std::clamp(step, -n - 1, n + 1);
  const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto clamp = [&](int64_t at) { return std::clamp(at < 0 && at >= -n ? at + n : at, low, high); };
  w.start = clamp(start);
  // A negative stop below -n means "before the first element" when walking backwards.
  const int64_t end = clamp(stop);
  const int64_t span = step > 0 ? end - w.start : w.start - end;
  const int64_t stride = step > 0 ? step : -step;
  w.count = span > 0 ? (span - 1) / stride + 1 : 0;
  return w;
}

Tensor window_view(const Tensor& x, const Window& w) {
  Shape shape = x.shape();
  Dims strides = x.strides();
  shape[w.axis] = w.count;
  const int64_t offset = x.impl()->offset + (w.count ? w.start * strides[w.axis] : 0);
  strides[w.axis] *= w.step;
  return make_view(x, shape, strides, offset);
}

Tensor slice_forward(const Call& call) {
  const Tensor& x = call.in(0);
  return window_view(x, window(x.shape(), call.integer(0), call.integer(1), call.integer(2), call.integer(3), "slice"));
}

// Zeros of the given shape with the input in the window that slice would take.
Tensor unslice_forward(const Call& call) {
  const Shape& shape = call.dims(0);
  const Window w = window(shape, call.integer(1), call.integer(2), call.integer(3), call.integer(4), "unslice");
  Tensor out = make_tensor(shape, call.in(0).dtype());
  kernels::fill(out, 0);
  const Tensor target = window_view(out, w);
  if (target.shape() != call.in(0).shape())
    throw Error(ErrorCode::kShapeMismatch, "unslice: the window has shape " + target.shape().to_string() + ", got " +
                                               call.in(0).shape().to_string());
  kernels::copy(call.in(0), target);
  return out;
}

// The sum of two sizes of one axis.
int64_t grown(int64_t size, int64_t more, const char* op) {
  if (__builtin_add_overflow(size, more, &size))
    throw Error(ErrorCode::kTooLarge, std::string(op) + ": the sizes along an axis don't fit in 63 bits");
  return size;
}

Tensor concatenate_forward(const Call& call) {
  if (call.count() == 0) throw Error(ErrorCode::kInvalidArgument, "concatenate: needs at least one tensor");
  const DType dtype = result_type(call.inputs);
  Shape shape = call.in(0).shape();
  const int axis = normalize_axis(call.integer(0), shape.size(), "concatenate");
  if (shape.empty()) throw Error(ErrorCode::kShapeMismatch, "concatenate: rank-0 tensors can't be joined, use stack");
  for (int i = 1; i < call.count(); ++i) {
    Shape same = call.in(i).shape();
    const int64_t size = same.size() == shape.size() ? same[axis] : 0;
    if (same.size() == shape.size()) same[axis] = shape[axis];
    if (same != shape)
      throw Error(ErrorCode::kShapeMismatch, "concatenate: shapes must be equal but for axis " + std::to_string(axis) +
                                                 ", got " + call.in(0).shape().to_string() + " and " +
                                                 call.in(i).shape().to_string());
    shape[axis] = grown(shape[axis], size, "concatenate");
  }
  Tensor out = make_tensor(shape, dtype);
  int64_t at = 0;
  for (int i = 0; i < call.count(); ++i) {
    const int64_t size = call.in(i).shape()[axis];
    kernels::copy(call.in(i), window_view(out, {axis, at, 1, size}));
    at += size;
  }
  return out;
}

// Where input `index` of a concatenation starts along `axis`.
Tensor concatenate_gradient(const GradientCall& c) {
  const int axis = normalize_axis(c.integer(0), c.shape(0).size(), "concatenate");
  int64_t start = 0;
  for (int i = 0; i < c.index(); ++i) start += c.shape(i)[axis];
  return slice(c.gradient, axis, start, start + c.shape(c.index())[axis]);
}

Tensor stack_forward(const Call& call) {
  if (call.count() == 0) throw Error(ErrorCode::kInvalidArgument, "stack: needs at least one tensor");
  std::vector<Tensor> rows;
  const int axis = normalize_axis(call.integer(0), call.in(0).ndim() + 1, "stack");
  for (int i = 0; i < call.count(); ++i) {
    if (call.in(i).shape() != call.in(0).shape())
      throw Error(ErrorCode::kShapeMismatch, "stack: shapes must be equal, got " + call.in(0).shape().to_string() +
                                                 " and " + call.in(i).shape().to_string());
    rows.push_back(unsqueeze(call.in(i), axis));
  }
  return concatenate(rows, axis);
}

Tensor pad_constant_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims& before = call.dims(0);
  const Dims& after = call.dims(1);
  if (before.size() != x.ndim() || after.size() != x.ndim() ||
      std::any_of(before.begin(), before.end(), [](int64_t n) { return n < 0; }) ||
      std::any_of(after.begin(), after.end(), [](int64_t n) { return n < 0; }))
    throw Error(ErrorCode::kInvalidArgument, "pad: needs a size of 0 or more before and after each of " +
                                                 std::to_string(x.ndim()) + " axes, got " + before.to_string() +
                                                 " and " + after.to_string());
  Shape shape = x.shape();
  for (int i = 0; i < x.ndim(); ++i) shape[i] = grown(grown(shape[i], before[i], "pad"), after[i], "pad");
  Tensor out = make_tensor(shape, x.dtype());
  kernels::fill(out, call.number(2));
  Tensor inside = out;
  for (int i = 0; i < x.ndim(); ++i) inside = window_view(inside, {i, before[i], 1, x.shape()[i]});
  kernels::copy(x, inside);
  return out;
}

Tensor pad_constant_gradient(const GradientCall& c) {
  Tensor inside = c.gradient;
  for (int i = 0; i < c.shape(0).size(); ++i) inside = slice(inside, i, c.dims(0)[i], c.dims(0)[i] + c.shape(0)[i]);
  return inside;
}

Tensor contiguous_forward(const Call& call) { return make_alias(kernels::contiguous(call.in(0))); }

Tensor astype_forward(const Call& call) {
  const Tensor& x = call.in(0);
  return x.dtype() == call.dtype(0) ? make_alias(x) : as_dtype(x, call.dtype(0));
}

RefArray same_data(const RefCall& c, Shape shape) { return {std::move(shape), c.in(0).data}; }

RefArray transpose_reference(const RefCall& c) {
  const Dims axes = permutation(c.dims(0), c.in(0).shape.size(), "reference");
  Shape shape = c.in(0).shape;
  for (int i = 0; i < shape.size(); ++i) shape[i] = c.in(0).shape[static_cast<int>(axes[i])];
  return gathered(c.in(0), shape, 0, [&](const Dims& at) {
    Dims from = at;
    for (int i = 0; i < at.size(); ++i) from[static_cast<int>(axes[i])] = at[i];
    return from;
  });
}

RefArray expand_reference(const RefCall& c) {
  const int shift = c.dims(0).size() - c.in(0).shape.size();
  return gathered(c.in(0), c.dims(0), 0, [&](const Dims& at) {
    Dims from = c.in(0).shape;
    for (int i = 0; i < from.size(); ++i) from[i] = from[i] == 1 ? 0 : at[shift + i];
    return from;
  });
}

RefArray slice_reference(const RefCall& c) {
  const int axis = static_cast<int>(c.integer(0));
  const int64_t step = c.integer(3);
  std::vector<int64_t> picked;  // spelled out element by element, for sample bounds that are inside the axis
  for (int64_t i = c.integer(1); step > 0 ? i < c.integer(2) : i > c.integer(2); i += step) picked.push_back(i);
  Shape shape = c.in(0).shape;
  shape[axis] = static_cast<int64_t>(picked.size());
  return gathered(c.in(0), shape, 0, [&](const Dims& at) {
    Dims from = at;
    from[axis] = picked[static_cast<size_t>(at[axis])];
    return from;
  });
}

RefArray unslice_reference(const RefCall& c) {
  const int axis = static_cast<int>(c.integer(1));
  return gathered(c.in(0), c.dims(0), 0, [&](const Dims& at) {
    Dims from = at;
    const int64_t away = at[axis] - c.integer(2), step = c.integer(4);
    from[axis] = away % step == 0 ? away / step : -1;
    return from;
  });
}

RefArray concatenate_reference(const RefCall& c) {
  const int axis = static_cast<int>(c.integer(0));
  Shape shape = c.in(0).shape;
  shape[axis] = 0;
  for (const RefArray& x : c.inputs) shape[axis] += x.shape[axis];
  RefArray out{shape, std::vector<double>(static_cast<size_t>(elements_of(shape)), 0.0)};
  int64_t start = 0;
  for (const RefArray& x : c.inputs) {
    const RefArray placed = gathered(x, shape, 0, [&](const Dims& at) {
      Dims from = at;
      from[axis] -= start;
      return from;
    });
    for (size_t i = 0; i < out.data.size(); ++i) out.data[i] += placed.data[i];
    start += x.shape[axis];
  }
  return out;
}

RefArray stack_reference(const RefCall& c) {
  RefCall joined = c;
  for (RefArray& x : joined.inputs) x.shape.insert(static_cast<int>(c.integer(0)), 1);
  return concatenate_reference(joined);
}

RefArray pad_constant_reference(const RefCall& c) {
  Shape shape = c.in(0).shape;
  for (int i = 0; i < shape.size(); ++i) shape[i] += c.dims(0)[i] + c.dims(1)[i];
  return gathered(c.in(0), shape, c.number(2), [&](const Dims& at) {
    Dims from = at;
    for (int i = 0; i < at.size(); ++i) from[i] -= c.dims(0)[i];
    return from;
  });
}

}  // namespace

bool part_of_slice(const Shape& whole, Attrs attrs, Part& part) {
  const auto number = [&](size_t i) { return std::get<int64_t>(attrs[i]); };
  const Window w = window(whole, number(0), number(1), number(2), number(3), "slice");
  if (w.step != 1) return false;
  part = {w.axis, w.start, w.count, whole};
  return true;
}

std::span<const Op> shape_ops() {
  static const std::vector<Op> rows = {
      {.name = "reshape", .js = "reshape", .args = {tensor_arg("tensor"), dims_arg("shape")},
       .doc = "The same elements in row order in another shape; one size may be -1. A view when the tensor is contiguous.",
       .forward = reshape_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return reshape(c.gradient, c.shape(0)); }}},
       .reference = [](const RefCall& c) { return same_data(c, resolve_shape(c.in(0).shape, c.dims(0), "reference")); },
       .samples = {{{-2, 2}}, {{{Shape{2, 6}}, {Dims{3, 4}}}, {{Shape{2, 6}}, {Dims{-1}}}, {{Shape{}}, {Dims{1, 1}}}, {{Shape{0, 3}}, {Dims{3, 0}}}, {{Shape{4}}, {Dims{2, -1}}}}},
       .dtypes = DTypes::kAny},
      {.name = "transpose", .js = "transpose", .args = {tensor_arg("tensor"), dims_arg("axes", Dims())},
       .doc = "Axis i of the result is axis axes[i] of the input; reversed when `axes` is empty. A view.",
       .forward = transpose_forward,
       .gradient = {{kNothing, [](const GradientCall& c) {
                       const Dims axes = permutation(c.dims(0), c.shape(0).size(), "transpose");
                       Dims inverse = axes;
                       for (int i = 0; i < axes.size(); ++i) inverse[static_cast<int>(axes[i])] = i;
                       return transpose(c.gradient, inverse);
                     }}},
       .reference = transpose_reference,
       .samples = {{{-2, 2}}, {{{Shape{2, 3}}, {Dims()}}, {{Shape{2, 3, 4}}, {Dims{1, 2, 0}}}, {{Shape{2, 3, 4}}, {Dims{-1, 0, 1}}}, {{Shape{}}, {Dims()}}, {{Shape{0, 2}}, {Dims()}}}},
       .dtypes = DTypes::kAny},
      {.name = "expand", .js = "expand", .args = {tensor_arg("tensor"), dims_arg("shape")},
       .doc = "Broadcast to `shape`, where -1 keeps a size. A view: the elements aren't repeated in memory.",
       .forward = expand_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return sum_to(c.gradient, c.shape(0)); }}},
       .reference = expand_reference,
       .samples = {{{-2, 2}}, {{{Shape{3}}, {Dims{2, 3}}}, {{Shape{2, 1}}, {Dims{2, 4}}}, {{Shape{}}, {Dims{2}}}, {{Shape{1, 3}}, {Dims{0, 3}}}}},
       .dtypes = DTypes::kAny},
      {.name = "squeeze", .js = "squeeze", .args = {tensor_arg("tensor"), dims_arg("axes", Dims())},
       .doc = "Without the given axes of size 1, or without all of them. A view.", .forward = squeeze_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return reshape(c.gradient, c.shape(0)); }}},
       .reference = [](const RefCall& c) {
         Shape shape;
         const Dims axes = normalize_axes(c.dims(0), c.in(0).shape.size(), "reference");
         for (int i = 0; i < c.in(0).shape.size(); ++i)
           if (c.in(0).shape[i] != 1 || !axes.contains(i)) shape.push_back(c.in(0).shape[i]);
         return same_data(c, shape);
       },
       .samples = {{{-2, 2}}, {{{Shape{1, 3, 1}}, {Dims()}}, {{Shape{1, 3, 1}}, {Dims{-1}}}}}, .dtypes = DTypes::kAny},
      {.name = "unsqueeze", .js = "unsqueeze", .args = {tensor_arg("tensor"), int_arg("axis")},
       .doc = "With a new axis of size 1 at `axis`. A view.", .forward = unsqueeze_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return reshape(c.gradient, c.shape(0)); }}},
       .reference = [](const RefCall& c) {
         Shape shape = c.in(0).shape;
         shape.insert(normalize_axis(c.integer(0), shape.size() + 1, "reference"), 1);
         return same_data(c, shape);
       },
       .samples = {{{-2, 2}}, {{{Shape{2, 3}}, {int64_t{0}}}, {{Shape{2, 3}}, {int64_t{-1}}}, {{Shape{}}, {int64_t{0}}}}}, .dtypes = DTypes::kAny},
      {.name = "slice", .js = "slice",
       .args = {tensor_arg("tensor"), int_arg("axis"), int_arg("start"), int_arg("stop"), int_arg("step", 1)},
       .doc = "Elements start, start + step, ... before `stop` along `axis`, with NumPy's rules for negative and "
              "out-of-range bounds. A view.",
       .forward = slice_forward,
       .gradient = {{kNothing, [](const GradientCall& c) {
                       return unslice(c.gradient, c.shape(0), c.integer(0), c.integer(1), c.integer(2), c.integer(3));
                     }}},
       .reference = slice_reference,
       .samples = {{{-2, 2}}, {{{Shape{5, 3}}, {int64_t{0}, int64_t{1}, int64_t{4}, int64_t{1}}},
                               {{Shape{5, 3}}, {int64_t{0}, int64_t{0}, int64_t{5}, int64_t{2}}},
                               {{Shape{2, 6}}, {int64_t{1}, int64_t{4}, int64_t{0}, int64_t{-2}}},
                               {{Shape{4}}, {int64_t{0}, int64_t{2}, int64_t{2}, int64_t{1}}}}},
       .dtypes = DTypes::kAny},
      {.name = "unslice", .js = "unslice",
       .args = {tensor_arg("tensor"), dims_arg("shape"), int_arg("axis"), int_arg("start"), int_arg("stop"), int_arg("step", 1)},
       .doc = "Zeros of `shape` with the input where `slice` of the same arguments would look: slice's gradient.",
       .forward = unslice_forward,
       .gradient = {{kNothing, [](const GradientCall& c) {
                       return slice(c.gradient, c.integer(1), c.integer(2), c.integer(3), c.integer(4));
                     }}},
       .reference = unslice_reference,
       .samples = {{{-2, 2}}, {{{Shape{3, 2}}, {Dims{5, 2}, int64_t{0}, int64_t{1}, int64_t{4}, int64_t{1}}},
                               {{Shape{3}}, {Dims{6}, int64_t{0}, int64_t{0}, int64_t{6}, int64_t{2}}}}}},
      {.name = "concatenate", .js = "concatenate concat", .args = {tensors_arg("tensors"), int_arg("axis", 0)},
       .doc = "The tensors one after another along `axis`; the other sizes must be equal.", .forward = concatenate_forward,
       .gradient = {{kNothing, concatenate_gradient}}, .reference = concatenate_reference,
       .samples = {{{-2, 2}}, {{{Shape{2, 3}, Shape{1, 3}}, {int64_t{0}}}, {{Shape{2, 1}, Shape{2, 0}, Shape{2, 4}, Shape{2, 2}}, {int64_t{1}}}, {{Shape{3}}, {int64_t{0}}}}},
       .dtypes = DTypes::kAny},
      {.name = "stack", .js = "stack", .args = {tensors_arg("tensors"), int_arg("axis", 0)},
       .doc = "Tensors of one shape along a new axis at `axis`.", .forward = stack_forward, .gradient = Gradient::composed(),
       .reference = stack_reference,
       .samples = {{{-2, 2}}, {{{Shape{2, 3}, Shape{2, 3}}, {int64_t{1}}}, {{Shape{}, Shape{}, Shape{}}, {int64_t{0}}}}}, .dtypes = DTypes::kAny},
      {.name = "pad_constant", .js = "padConstant",
       .args = {tensor_arg("tensor"), dims_arg("before"), dims_arg("after"), float_arg("value", 0.0)},
       .doc = "`before[i]` and `after[i]` elements of `value` around the tensor along each axis i.", .forward = pad_constant_forward,
       .gradient = {{kNothing, pad_constant_gradient}}, .reference = pad_constant_reference,
       .samples = {{{-2, 2}}, {{{Shape{2, 3}}, {Dims{1, 0}, Dims{0, 2}, 0.0}}, {{Shape{2}}, {Dims{1}, Dims{1}, -1.5}}, {{Shape{0}}, {Dims{2}, Dims{0}, 1.0}}}}},
      {.name = "contiguous", .js = "contiguous", .args = {tensor_arg("tensor")},
       .doc = "The same values laid out row by row without gaps; shares the storage when they already are.",
       .forward = contiguous_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return c.gradient; }}},
       .reference = [](double x) { return x; }, .samples = {{{-2, 2}}, unary_cases()}, .dtypes = DTypes::kAny},
      {.name = "astype", .js = "astype", .args = {tensor_arg("tensor"), dtype_arg("dtype")},
       .doc = "Converted to `dtype`: floats to integers towards zero, NaN to 0; anything but zero to true.",
       .forward = astype_forward,
       .gradient = {{kNothing, [](const GradientCall& c) { return astype(c.gradient, c.dtype(0)); }}},
       .reference = [](const RefCall& c) { return c.in(0); }, .samples = {{{-2, 2}}, {{{Shape{2, 3}}, {DType::f64}}, {{Shape{0}}, {DType::f64}}}},
       .dtypes = DTypes::kAny},
  };
  return rows;
}

}  // namespace sm::ops
