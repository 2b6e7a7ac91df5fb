#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/gather.hpp"
#include "ops/common.hpp"
#include "ops/indices.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

Tensor one_hot_forward(const Call& call) {
  const Tensor& labels = call.in(0);
  const int64_t classes = call.integer(0);
  if (!is_integral(labels.dtype())) reject_dtype(call.op, "integer labels", labels.dtype());
  if (classes < 1)
    throw Error(ErrorCode::kInvalidArgument, "one_hot: classes must be 1 or more, got " + std::to_string(classes));
  const Tensor indices = kernels::contiguous(as_dtype(labels, DType::i64));
  Shape shape = labels.shape();
  shape.push_back(classes);
  Tensor out = make_tensor(shape, DType::f32);
  kernels::fill(out, 0);
  const int64_t* label = indices.impl()->as<int64_t>();
  float* row = out.impl()->as<float>();
  for (int64_t i = 0; i < indices.elements(); ++i, row += classes) {
    if (label[i] < 0 || label[i] >= classes)
      throw Error(ErrorCode::kOutOfRange,
                  "one_hot: label " + std::to_string(label[i]) + " is outside 0 to " + std::to_string(classes - 1));
    row[label[i]] = 1;
  }
  return out;
}

RefArray one_hot_reference(const RefCall& c) {
  RefArray out{c.in(0).shape, {}};
  out.shape.push_back(c.integer(0));
  for (double label : c.in(0).data)
    for (int64_t k = 0; k < c.integer(0); ++k) out.data.push_back(label == static_cast<double>(k));
  return out;
}

// The shape with `axis` replaced by the axes of `indices`.
Shape taken_shape(const Shape& shape, int axis, const Shape& indices) {
  Shape out;
  for (int i = 0; i < axis; ++i) out.push_back(shape[i]);
  for (int64_t size : indices) out.push_back(size);
  for (int i = axis + 1; i < shape.size(); ++i) out.push_back(shape[i]);
  return out;
}

Tensor take_along(const Op& op, const Tensor& tensor, const Tensor& indices, int axis, FromEnd from_end) {
  const kernels::Along view = kernels::along(tensor.shape(), axis);
  const Positions positions = checked_indices(op.name, indices, view.size, from_end);
  Tensor out = make_tensor(taken_shape(tensor.shape(), axis, indices.shape()), tensor.dtype());
  kernels::take(kernels::contiguous(tensor), view, positions, out);
  return out;
}

Tensor take_forward(const Call& call) {
  const int axis = normalize_axis(call.integer(0), call.in(0).ndim(), "take");
  return take_along(call.op, call.in(0), call.in(1), axis, FromEnd::kNegative);
}

Tensor embedding_forward(const Call& call) {
  if (call.in(0).ndim() != 2)
    throw Error(ErrorCode::kShapeMismatch,
                "embedding: expects a weight [rows, size], got " + call.in(0).shape().to_string());
  return take_along(call.op, call.in(0), call.in(1), 0, FromEnd::kNever);
}

Tensor take_gradient_forward(const Call& call) {
  const Tensor& gradient = call.in(0);
  const Shape& shape = call.dims(0);
  const int axis = normalize_axis(call.integer(1), shape.size(), "take_gradient");
  const Shape expected = taken_shape(shape, axis, call.in(1).shape());
  if (gradient.shape() != expected)
    throw Error(ErrorCode::kShapeMismatch, "take_gradient: expects a gradient of shape " + expected.to_string() +
                                               ", got " + gradient.shape().to_string());
  const kernels::Along view = kernels::along(shape, axis);
  const Positions positions = checked_indices(call.op.name, call.in(1), view.size, FromEnd::kNegative);
  Tensor out = make_tensor(shape, wide(gradient.dtype()));
  kernels::fill(out, 0);
  kernels::add_taken(kernels::contiguous(gradient), view, positions, out);
  return as_dtype(out, gradient.dtype());
}

// Calls visit(position in the axis's tensor, position among what is taken), both row-major, of every element taken.
template <class Visit>
void walk_taken(const Shape& shape, int64_t given_axis, const RefArray& indices, Visit visit) {
  const int axis = normalize_axis(given_axis, shape.size(), "reference");
  const kernels::Along v = kernels::along(shape, axis);
  const int64_t count = static_cast<int64_t>(indices.data.size());
  for (int64_t o = 0; o < v.outer; ++o)
    for (int64_t k = 0; k < count; ++k)
      for (int64_t i = 0; i < v.inner; ++i) {
        const int64_t at = static_cast<int64_t>(indices.data[static_cast<size_t>(k)]);
        visit(static_cast<size_t>((o * v.size + (at < 0 ? at + v.size : at)) * v.inner + i),
              static_cast<size_t>((o * count + k) * v.inner + i));
      }
}

RefArray take_reference_along(const RefCall& c, int64_t axis) {
  const Shape shape =
      taken_shape(c.in(0).shape, normalize_axis(axis, c.in(0).shape.size(), "reference"), c.in(1).shape);
  RefArray out{shape, std::vector<double>(static_cast<size_t>(elements_of(shape)))};
  walk_taken(c.in(0).shape, axis, c.in(1), [&](size_t from, size_t to) { out.data[to] = c.in(0).data[from]; });
  return out;
}

RefArray take_gradient_reference(const RefCall& c) {
  RefArray out{c.dims(0), std::vector<double>(static_cast<size_t>(elements_of(c.dims(0))))};
  walk_taken(c.dims(0), c.integer(1), c.in(1), [&](size_t to, size_t from) { out.data[to] += c.in(0).data[from]; });
  return out;
}

[[gnu::cold]] std::vector<Op> take_rows() {
  return {
      {.name = "take",
       .js = "take",
       .args = {tensor_arg("tensor"), index_arg("indices"), int_arg("axis", 0)},
       .doc =
           "The elements at `indices` along `axis`, which the axes of `indices` replace. Negative indices count from "
           "the end. Where an index comes up repeatedly, its gradients add up, in a fixed order.",
       .forward = take_forward,
       .gradient =
           {{kIn1, [](const GradientCall& c) { return take_gradient(c.gradient, c.in(1), c.shape(0), c.integer(0)); }},
            {}},
       .reference = [](const RefCall& c) { return take_reference_along(c, c.integer(0)); },
       .samples = {{{-2, 2}, {-4, 4, true}},
                   {{{Shape{4, 3}, Shape{2, 2}}, {int64_t{0}}},
                    {{Shape{2, 4}, Shape{7}}, {int64_t{-1}}},
                    {{Shape{2, 4, 3}, Shape{3}}, {int64_t{1}}},
                    {{Shape{4, 2}, Shape{}}, {int64_t{0}}},
                    {{Shape{4}, Shape{}}, {int64_t{0}}},
                    {{Shape{4, 2}, Shape{0}}, {int64_t{0}}},
                    {{Shape{4, 0}, Shape{2}}, {int64_t{0}}}}},
       .dtypes = DTypes::kAny},
      {.name = "take_gradient",
       .js = "takeGradient",
       .args = {tensor_arg("gradient"), index_arg("indices"), dims_arg("shape"), int_arg("axis", 0)},
       .doc = "Zeros of `shape` with each element of `gradient` added where take of the same arguments would look: "
              "take's gradient. 16-bit floats are summed in float32.",
       .forward = take_gradient_forward,
       .gradient = {{kIn1, [](const GradientCall& c) { return take(c.gradient, c.in(1), c.integer(1)); }}, {}},
       .reference = take_gradient_reference,
       .samples = {{{-2, 2}, {-4, 4, true}},
                   {{{Shape{2, 2, 3}, Shape{2, 2}}, {Dims{4, 3}, int64_t{0}}},
                    {{Shape{2, 7}, Shape{7}}, {Dims{2, 4}, int64_t{-1}}},
                    {{Shape{2, 5, 3}, Shape{5}}, {Dims{2, 4, 3}, int64_t{1}}},
                    {{Shape{}, Shape{}}, {Dims{4}, int64_t{0}}},
                    {{Shape{0, 2}, Shape{0}}, {Dims{4, 2}, int64_t{0}}}}}},
      {.name = "embedding",
       .js = "embedding",
       .args = {tensor_arg("weight"), index_arg("indices")},
       .doc =
           "Row `indices[...]` of a weight [rows, size] for each index, along a new last axis; indices are 0 or more.",
       .forward = embedding_forward,
       .gradient = {{kIn1, [](const GradientCall& c) { return take_gradient(c.gradient, c.in(1), c.shape(0), 0); }},
                    {}},
       .reference = [](const RefCall& c) { return take_reference_along(c, 0); },
       .samples = {{{-2, 2}, {0, 4, true}},
                   {{{Shape{4, 3}, Shape{2, 3}}, {}},
                    {{Shape{4, 2}, Shape{}}, {}},
                    {{Shape{4, 0}, Shape{2}}, {}},
                    {{Shape{4, 2}, Shape{0}}, {}}}},
       .dtypes = DTypes::kAny},
  };
}

[[gnu::cold]] std::vector<Op> one_hot_rows() {
  return {
      {.name = "one_hot",
       .js = "oneHot",
       .args = {index_arg("labels"), int_arg("classes")},
       .doc = "Integer labels of any shape as rows of `classes` zeros with a one at the label; float32 along a new "
              "last axis.",
       .forward = one_hot_forward,
       .gradient = Gradient::none("labels have no gradient"),
       .reference = one_hot_reference,
       .samples = {{{0, 5, true}},
                   {{{Shape{4}}, {int64_t{5}}},
                    {{Shape{2, 2}}, {int64_t{6}}},
                    {{Shape{}}, {int64_t{5}}},
                    {{Shape{0}}, {int64_t{5}}}}},
       .dtypes = DTypes::kIntegral},
  };
}

}  // namespace

std::span<const Op> index_ops() {
  static const std::vector<Op> rows = joined({one_hot_rows(), take_rows()});
  return rows;
}

}  // namespace sm::ops
