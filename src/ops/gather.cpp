#include "kernels/gather.hpp"

#include "kernels/copy.hpp"
#include "ops/common.hpp"
#include "ops/indices.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

int64_t size_along(const Shape& shape, int axis) { return shape.empty() ? 1 : shape[axis]; }

// The axis, after a look at whether `indices` fits beside the tensor.
int picked_axis(const Op& op, const Shape& shape, const Shape& indices, int64_t given) {
  const int axis = normalize_axis(given, shape.size(), op.name.data());
  bool fits = shape.size() == indices.size();
  for (int i = 0; fits && i < shape.size(); ++i) fits = i == axis || indices[i] <= shape[i];
  if (!fits)
    throw Error(ErrorCode::kShapeMismatch, std::string(op.name) + ": indices must have the tensor's rank and be no " +
                                               "longer on axes other than " + std::to_string(axis) + ", got " +
                                               indices.to_string() + " for " + shape.to_string());
  return axis;
}

Tensor gather_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Shape& shape = call.in(1).shape();
  const int axis = picked_axis(call.op, x.shape(), shape, call.integer(0));
  const Positions indices = checked_indices(call.op.name, call.in(1), size_along(x.shape(), axis), FromEnd::kNegative);
  Tensor out = make_tensor(shape, x.dtype());
  kernels::gather(x, axis, shape, indices, out);
  return out;
}

// True when the part of `values` at the start of each axis is meant, as where PyTorch's source is longer.
bool is_longer(const Shape& values, const Shape& shape) {
  bool longer = values.size() == shape.size();
  for (int i = 0; longer && i < shape.size(); ++i) longer = values[i] >= shape[i];
  return longer;
}

// `values` as they are put at indices of `shape`: broadcast, or their first part.
Tensor fitted(const Op& op, const Tensor& values, const Shape& shape, DType dtype) {
  check_holds(op.name, dtype, values);
  Tensor part = values;
  if (is_longer(values.shape(), shape)) {
    for (int i = 0; i < shape.size(); ++i) part = slice(part, i, 0, shape[i]);
  } else {
    if (!broadcasts_to(values.shape(), shape))
      throw Error(ErrorCode::kShapeMismatch, std::string(op.name) + ": values of shape " + values.shape().to_string() +
                                                 " don't fit indices of shape " + shape.to_string());
    part = expand(values, shape);
  }
  return kernels::contiguous(as_dtype(part, dtype));
}

// The gradient of what fitted() took its part of.
Tensor unfitted(const Tensor& gradient, const Shape& values) {
  if (gradient.shape() == values || !is_longer(values, gradient.shape())) return gradient;
  Dims after = values;
  for (int i = 0; i < values.size(); ++i) after[i] -= gradient.shape()[i];
  return pad_constant(gradient, Dims(values.size(), 0), after);
}

template <bool add>
Tensor scatter_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Shape& shape = call.in(1).shape();
  const int axis = picked_axis(call.op, x.shape(), shape, call.integer(0));
  const Positions indices = checked_indices(call.op.name, call.in(1), size_along(x.shape(), axis), FromEnd::kNegative);
  const NoGrad guard;
  const Tensor values = fitted(call.op, call.in(2), shape, x.dtype());
  Tensor out = make_tensor(x.shape(), add ? wide(x.dtype()) : x.dtype());
  kernels::copy(x, out);
  (add ? kernels::scatter_add : kernels::scatter)(values, axis, shape, indices, out);
  return as_dtype(out, x.dtype());
}

// True where a value is the last that scatter puts in its place: the others are overwritten.
Tensor is_last(const Tensor& indices, const Shape& shape, int64_t axis) {
  const int64_t count = indices.elements();
  const Tensor order = reshape(arange(0, static_cast<double>(count), 1, DType::i64), indices.shape());
  return eq(gather(scatter(full(shape, -1, DType::i64), indices, order, axis), indices, axis), order);
}

Tensor scatter_values_gradient(const GradientCall& c) {
  const Tensor reached = gather(c.gradient, c.in(1), c.integer(0));
  return unfitted(where(is_last(c.in(1), c.shape(0), c.integer(0)), reached, zeros({}, reached.dtype())), c.shape(2));
}

// The positions in row order of the elements of `mask` that aren't zero.
Tensor set_positions(const Tensor& mask) {
  const Tensor truth = kernels::contiguous(as_dtype(mask, DType::boolean));
  const bool* flags = truth.impl()->as<bool>();
  int64_t count = 0;
  for (int64_t i = 0, n = truth.elements(); i < n; ++i) count += flags[i];
  Tensor out = make_tensor(Shape(count), DType::i64);
  int64_t* to = out.impl()->as<int64_t>();
  // Without a branch, which would be guessed wrong half of the time.
  for (int64_t i = 0, k = 0; k < count; ++i) {
    to[k] = i;
    k += flags[i];
  }
  return out;
}

Tensor nonzero_forward(const Call& call) {
  const Shape& shape = call.in(0).shape();
  const Tensor positions = set_positions(call.in(0));
  const int64_t count = positions.elements();
  const int ndim = shape.size();
  Tensor out = make_tensor(Shape{count, ndim}, DType::i64);
  if (ndim == 0) return out;
  const int64_t* from = positions.impl()->as<int64_t>();
  int64_t* to = out.impl()->as<int64_t>();
  // Divides only where a new row along the last axis begins.
  Dims at(ndim, 0);
  int64_t row = 0;
  for (int64_t k = 0; k < count; ++k, to += ndim) {
    if (from[k] >= row + shape.back()) {
      int64_t rest = from[k] / shape.back();
      row = rest * shape.back();
      for (int i = ndim - 2; i >= 0; --i) {
        at[i] = rest % shape[i];
        rest /= shape[i];
      }
    }
    for (int i = 0; i < ndim - 1; ++i) to[i] = at[i];
    to[ndim - 1] = from[k] - row;
  }
  return out;
}

Tensor masked_select_forward(const Call& call) {
  const Shape shape = broadcast(call.in(0).shape(), call.in(1).shape(), "masked_select");
  const Tensor mask = expand(call.in(1).detach(), shape);
  return take(reshape(expand(call.in(0), shape), -1), set_positions(mask));
}

Tensor masked_fill_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Tensor& value = call.in(2);
  check_holds("masked_fill", x.dtype(), value);
  return where(call.in(1), astype(value, x.dtype()), x);
}

// Calls visit(offset in the tensor, position among the indices) for each index in order.
template <class Visit>
void walk_picked(const Shape& shape, const RefArray& indices, int64_t given_axis, Visit visit) {
  const int axis = normalize_axis(given_axis, shape.size(), "reference");
  const Dims strides = contiguous_strides(shape);
  for (size_t flat = 0; flat < indices.data.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), position = 0;
    for (int i = shape.size() - 1; i >= 0; --i) {
      const int64_t index = static_cast<int64_t>(indices.data[flat]);
      position += (i == axis ? (index + shape[i]) % shape[i] : rest % indices.shape[i]) * strides[i];
      rest /= indices.shape[i];
    }
    visit(static_cast<size_t>(position), flat);
  }
}

RefArray gather_reference(const RefCall& c) {
  RefArray out = reference_zeros(c.in(1).shape);
  walk_picked(c.in(0).shape, c.in(1), c.integer(0), [&](size_t at, size_t k) { out.data[k] = c.in(0).data[at]; });
  return out;
}

// The value for the k-th index.
double scattered_value(const RefCall& c, size_t k) {
  const RefArray& values = c.in(2);
  int64_t rest = static_cast<int64_t>(k), position = 0, step = 1;
  for (int i = c.in(1).shape.size() - 1, mine = values.shape.size() - 1; mine >= 0; --i, --mine) {
    if (values.shape[mine] > 1) position += rest % c.in(1).shape[i] * step;
    step *= values.shape[mine];
    rest /= c.in(1).shape[i];
  }
  return values.data[static_cast<size_t>(position)];
}

template <bool add>
RefArray scatter_reference(const RefCall& c) {
  RefArray out = c.in(0);
  walk_picked(out.shape, c.in(1), c.integer(0),
              [&](size_t at, size_t k) { out.data[at] = scattered_value(c, k) + (add ? out.data[at] : 0); });
  return out;
}

RefArray masked_select_reference(const RefCall& c) {
  const Shape shape = broadcast(c.in(0).shape, c.in(1).shape, "reference");
  const auto spread = [&](const RefArray& x) {
    return gathered(x, shape, 0, [&](const Dims& at) {
      Dims from = x.shape;
      for (int i = 0; i < from.size(); ++i) from[i] = from[i] == 1 ? 0 : at[shape.size() - from.size() + i];
      return from;
    });
  };
  const RefArray x = spread(c.in(0)), mask = spread(c.in(1));
  RefArray out{Shape(0), {}};
  for (size_t i = 0; i < x.data.size(); ++i)
    if (mask.data[i] != 0) out.data.push_back(x.data[i]);
  out.shape = Shape(out.data.size());
  return out;
}

RefArray nonzero_reference(const RefCall& c) {
  const RefArray& x = c.in(0);
  RefArray out{Shape{0, x.shape.size()}, {}};
  for (size_t flat = 0; flat < x.data.size(); ++flat) {
    if (x.data[flat] == 0) continue;
    ++out.shape[0];
    int64_t step = elements_of(x.shape), rest = static_cast<int64_t>(flat);
    for (int64_t size : x.shape) {
      step /= size;
      const int64_t at = rest / step;
      out.data.push_back(static_cast<double>(at));
      rest %= step;
    }
  }
  return out;
}

std::vector<Sample> scatter_cases() {
  return {{{Shape{4, 3}, Shape{2, 3}, Shape{2, 3}}, {int64_t{0}}},
          {{Shape{2, 4}, Shape{2, 6}, Shape{2, 6}}, {int64_t{-1}}},
          {{Shape{2, 4, 3}, Shape{1, 5, 2}, Shape{2, 5, 3}}, {int64_t{1}}},
          {{Shape{4, 3}, Shape{5, 2}, Shape{}}, {int64_t{0}}},
          {{Shape{4, 3}, Shape{2, 3}, Shape{2, 1}}, {int64_t{0}}},
          {{Shape{4}, Shape{0}, Shape{0}}, {int64_t{0}}}};
}

[[gnu::cold]] std::vector<Op> gather_rows() {
  const std::vector<Range> ranges = {{-2, 2}, {-4, 4, true}, {-2, 2}};
  const std::vector<Arg> scatter_args = {tensor_arg("tensor"), index_arg("indices"), tensor_arg("values"),
                                         int_arg("axis", 0)};
  return {
      {.name = "gather",
       .js = "gather",
       .args = {tensor_arg("tensor"), index_arg("indices"), int_arg("axis", 0)},
       .doc = "The element at indices[..., k, ...] along `axis` for each index, in place on the other axes, where the "
              "indices may be shorter than the tensor. Negative indices count from the end.",
       .forward = gather_forward,
       .gradient = {{kIn1,
                     [](const GradientCall& c) {
                       return scatter_add(zeros(c.shape(0), c.gradient.dtype()), c.in(1), c.gradient, c.integer(0));
                     }},
                    {}},
       .reference = gather_reference,
       .samples = {ranges,
                   {{{Shape{4, 3}, Shape{2, 3}}, {int64_t{0}}},
                    {{Shape{2, 4}, Shape{1, 6}}, {int64_t{-1}}},
                    {{Shape{2, 4, 3}, Shape{2, 5, 2}}, {int64_t{1}}},
                    {{Shape{4}, Shape{3}}, {int64_t{0}}},
                    {{Shape{4, 3}, Shape{0, 3}}, {int64_t{0}}}}},
       .dtypes = DTypes::kAny},
      {.name = "scatter",
       .js = "scatter",
       .args = scatter_args,
       .doc = "The tensor with values[..., k, ...] at indices[..., k, ...] along `axis`, in place on the other axes. "
              "`values` broadcasts to the indices' shape, or is longer, and then its first part counts. Where an index "
              "comes up repeatedly the last value stays, and only that one gets a gradient.",
       .forward = scatter_forward<false>,
       .gradient = {{kIn1,
                     [](const GradientCall& c) {
                       return scatter(c.gradient, c.in(1), zeros({}, c.gradient.dtype()), c.integer(0));
                     }},
                    {},
                    {kIn1, scatter_values_gradient}},
       .reference = scatter_reference<false>,
       .samples = {ranges, scatter_cases()},
       .dtypes = DTypes::kAny},
      {.name = "scatter_add",
       .js = "scatterAdd",
       .args = scatter_args,
       .doc =
           "The tensor with values[..., k, ...] added at indices[..., k, ...] along `axis`, in order; otherwise like "
           "scatter. 16-bit floats are summed in float32.",
       .forward = scatter_forward<true>,
       .gradient = {{kNothing, [](const GradientCall& c) { return c.gradient; }},
                    {},
                    {kIn1,
                     [](const GradientCall& c) {
                       return unfitted(gather(c.gradient, c.in(1), c.integer(0)), c.shape(2));
                     }}},
       .reference = scatter_reference<true>,
       .samples = {ranges, scatter_cases()}},
  };
}

[[gnu::cold]] std::vector<Op> mask_rows() {
  return {
      {.name = "masked_select",
       .js = "maskedSelect",
       .args = {tensor_arg("tensor"), tensor_arg("mask")},
       .doc = "The elements where `mask` isn't zero, in row order; rank 1. Tensor and mask broadcast.",
       .forward = masked_select_forward,
       .gradient = Gradient::composed(),
       .reference = masked_select_reference,
       .samples = {{{-2, 2}, {0, 2, true}},
                   {{{Shape{4, 3}, Shape{4, 3}}, {}},
                    {{Shape{4, 3}, Shape{3}}, {}},
                    {{Shape{3}, Shape{2, 1}}, {}},
                    {{Shape{5}, Shape{}}, {}},
                    {{Shape{0, 2}, Shape{2}}, {}}}},
       .dtypes = DTypes::kAny},
      {.name = "masked_fill",
       .js = "maskedFill",
       .args = {tensor_arg("tensor"), tensor_arg("mask"), tensor_arg("value")},
       .doc = "The tensor with `value`, which broadcasts, where `mask` isn't zero; of the tensor's dtype.",
       .forward = masked_fill_forward,
       .gradient = Gradient::composed(),
       .reference =
           [](const RefCall& c) {
             RefArray out = c.in(0);
             for (size_t i = 0; i < out.data.size(); ++i)
               if (c.in(1).data[i % c.in(1).data.size()] != 0) out.data[i] = c.in(2).data[0];
             return out;
           },
       .samples = {{{-2, 2}, {0, 2, true}, {-2, 2}},
                   {{{Shape{2, 3}, Shape{2, 3}, Shape{}}, {}},
                    {{Shape{2, 3}, Shape{3}, Shape{1}}, {}},
                    {{Shape{}, Shape{}, Shape{}}, {}},
                    {{Shape{0, 3}, Shape{3}, Shape{}}, {}}}},
       .dtypes = DTypes::kAny},
      {.name = "nonzero",
       .js = "nonzero",
       .args = {tensor_arg("tensor")},
       .doc = "The positions of the elements that aren't zero, in row order, as [count, ndim]; int64.",
       .forward = nonzero_forward,
       .gradient = Gradient::none("positions don't vary with the elements"),
       .reference = nonzero_reference,
       .samples = {{{0, 2}}, {{{Shape{3, 4}}, {}}, {{Shape{2, 2, 3}}, {}}, {{Shape{}}, {}}, {{Shape{0, 2}}, {}}}},
       .dtypes = DTypes::kAny},
  };
}

}  // namespace

std::span<const Op> gather_ops() {
  static const std::vector<Op> rows = joined({gather_rows(), mask_rows()});
  return rows;
}

}  // namespace sm::ops
