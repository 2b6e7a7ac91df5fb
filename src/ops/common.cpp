#include "ops/common.hpp"

#include <algorithm>

#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/pointwise.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

int kind_of(DType dtype) { return dtype == DType::boolean ? 0 : is_integral(dtype) ? 1 : 2; }

}  // namespace

DType result_type(Inputs inputs) {
  DType groups[3];
  bool present[3] = {};
  for (const Tensor* input : inputs) {
    if (!input->defined()) continue;
    const TensorImpl& impl = input->checked_impl();
    const int group = impl.is_number ? 2 : impl.shape.empty() ? 1 : 0;
    // A number is of the default dtype of its kind.
    const DType dtype = impl.is_number && is_floating(impl.dtype) ? DType::f32 : impl.dtype;
    groups[group] = present[group] ? promote(groups[group], dtype) : dtype;
    present[group] = true;
  }
  DType result = DType::boolean;
  bool any = false;
  for (int group = 0; group < 3; ++group) {
    if (!present[group]) continue;
    if (!any || kind_of(groups[group]) > kind_of(result)) result = any ? promote(result, groups[group]) : groups[group];
    any = true;
  }
  return result;
}

Tensor as_dtype(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  const Tensor recorded = kernels::recorded_cast(tensor, dtype);
  return recorded.defined() ? recorded : kernels::cast(tensor, dtype);
}

Tensor converted(const Tensor& tensor, DType dtype) { return tensor.dtype() == dtype ? tensor : astype(tensor, dtype); }

DType floating_result(const Op& op, Inputs inputs) {
  const DType dtype = result_type(inputs);
  if (!is_floating(dtype)) reject_dtype(op, "floating-point tensors", dtype);
  return dtype;
}

Tensor swap_last(const Tensor& tensor) {
  Dims axes;
  for (int i = 0; i < tensor.ndim() - 2; ++i) axes.push_back(i);
  axes.push_back(tensor.ndim() - 1);
  axes.push_back(tensor.ndim() - 2);
  return transpose(tensor, axes);
}

void reject_dtype(const Op& op, const char* expects, DType got) {
  throw Error(ErrorCode::kDTypeMismatch,
              std::string(op.name) + ": expects " + expects + ", got " + std::string(name_of(got)));
}

Dims normalize_axes(const Dims& axes, int ndim, const char* op) {
  Dims out;
  if (axes.empty()) {
    for (int i = 0; i < ndim; ++i) out.push_back(i);
    return out;
  }
  for (int64_t axis : axes) {
    const int front = normalize_axis(axis, ndim, op);
    if (out.contains(front))
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(op) + ": axis " + std::to_string(axis) + " is given twice in " + axes.to_string());
    if (ndim > 0) out.push_back(front);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Shape reduced_shape(const Shape& shape, const Dims& axes, bool keep_dims) {
  Shape out;
  for (int i = 0; i < shape.size(); ++i) {
    if (!axes.contains(i))
      out.push_back(shape[i]);
    else if (keep_dims)
      out.push_back(1);
  }
  return out;
}

namespace {

// The axes that stay, then those of `axes`.
Dims kept_first(int ndim, const Dims& axes) {
  Dims order;
  for (int i = 0; i < ndim; ++i)
    if (!axes.contains(i)) order.push_back(i);
  for (int64_t axis : axes) order.push_back(axis);
  return order;
}

}  // namespace

Tensor flattened(const Tensor& tensor, const Dims& axes) {
  Shape shape = reduced_shape(tensor.shape(), axes, false);
  int64_t count = 1;
  for (int64_t axis : axes) count *= tensor.shape()[static_cast<int>(axis)];
  shape.push_back(count);
  return reshape(tensor.ndim() < 2 ? tensor : transpose(tensor, kept_first(tensor.ndim(), axes)), shape);
}

Tensor unflattened(const Tensor& tensor, const Shape& shape, const Dims& axes) {
  const Dims order = kept_first(shape.size(), axes);
  Shape moved = shape;
  Dims inverse = order;
  for (int i = 0; i < order.size(); ++i) {
    moved[i] = shape[static_cast<int>(order[i])];
    inverse[static_cast<int>(order[i])] = i;
  }
  const Tensor apart = reshape(tensor, moved);
  return shape.size() < 2 ? apart : transpose(apart, inverse);
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  bool fits = from.size() <= to.size();
  for (int i = 1; fits && i <= from.size(); ++i)
    fits = from[from.size() - i] == 1 || from[from.size() - i] == to[to.size() - i];
  return fits;
}

Tensor same_view(const Tensor& tensor) { return expand(tensor, tensor.shape()); }

Tensor constant(double value, DType dtype) {
  Tensor out = make_tensor({}, dtype);
  kernels::fill(out, value);
  return out;
}

std::vector<Op> joined(const std::vector<std::vector<Op>>& groups) {
  std::vector<Op> all;
  for (const std::vector<Op>& group : groups) all.insert(all.end(), group.begin(), group.end());
  return all;
}

std::vector<Sample> unary_cases() {
  return {{{Shape{2, 3}}, {}}, {{Shape{}}, {}}, {{Shape{0, 3}}, {}}, {{Shape{2, 1, 4}}, {}}};
}

std::vector<Sample> binary_cases() {
  return {{{Shape{2, 3}, Shape{2, 3}}, {}}, {{Shape{2, 3}, Shape{3}}, {}},      {{Shape{2, 1}, Shape{1, 4}}, {}},
          {{Shape{}, Shape{2, 2}}, {}},     {{Shape{3, 2, 2}, Shape{}}, {}},    {{Shape{0, 3}, Shape{1, 3}}, {}},
          {{Shape{}, Shape{}}, {}},         {{Shape{2, 1, 3}, Shape{4, 1}}, {}}};
}

}  // namespace sm::ops
