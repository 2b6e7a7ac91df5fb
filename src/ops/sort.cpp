#include "kernels/sort.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/copy.hpp"
#include "ops/common.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// The positions of the first `count` elements in order along `axis`.
Tensor ordered(const Tensor& x, int axis, bool largest_first, int64_t count) {
  Shape shape = x.shape();
  if (!shape.empty()) shape[axis] = count;
  Tensor out = make_tensor(shape, DType::i64);
  kernels::argsort(kernels::contiguous(x), kernels::along(x.shape(), axis), largest_first, count, out);
  return out;
}

Tensor argsort_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const int axis = normalize_axis(call.integer(0), x.ndim(), "argsort");
  return ordered(x, axis, call.flag(1), kernels::along(x.shape(), axis).size);
}

Tensor sort_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const int axis = normalize_axis(call.integer(0), x.ndim(), "sort");
  return gather(x, ordered(x, axis, call.flag(1), kernels::along(x.shape(), axis).size), axis);
}

std::vector<Tensor> topk_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const int axis = normalize_axis(call.integer(1), x.ndim(), "topk");
  const int64_t k = call.integer(0), size = kernels::along(x.shape(), axis).size;
  if (k < 0 || k > size)
    throw Error(ErrorCode::kOutOfRange,
                "topk: k must be from 0 to the axis's size " + std::to_string(size) + ", got " + std::to_string(k));
  if (x.ndim() == 0 && k == 0) throw Error(ErrorCode::kOutOfRange, "topk: a rank-0 tensor has one element, got k 0");
  const Tensor indices = ordered(x, axis, call.flag(2), k);
  return {gather(x, indices, axis), indices};
}

Tensor median_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims axes = normalize_axes(call.dims(0), x.ndim(), "median");
  const Tensor flat = flattened(x, axes);
  const int64_t count = flat.shape().back();
  if (count == 0)
    throw Error(ErrorCode::kShapeMismatch, "median: needs at least one element along axes " + axes.to_string() +
                                               ", got shape " + x.shape().to_string());
  Shape shape = flat.shape();
  shape[shape.size() - 1] = 1;
  Tensor place = make_tensor(shape, DType::i64);
  kernels::select(kernels::contiguous(flat), kernels::along(flat.shape(), flat.ndim() - 1), (count - 1) / 2, place);
  return reshape(gather(flat, place, -1), reduced_shape(x.shape(), axes, call.flag(1)));
}

// The positions of `row` in order, by the plainest stable sort.
std::vector<double> reference_order(const std::vector<double>& row, bool largest_first) {
  std::vector<double> order(row.size());
  std::iota(order.begin(), order.end(), 0.0);
  const auto value = [&](double i) { return row[static_cast<size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](double a, double b) { return largest_first ? value(a) > value(b) : value(a) < value(b); });
  return order;
}

RefArray argsort_reference(const RefCall& c) {
  return along_axis(c.in(0), c.integer(0), [&](std::vector<double>& row) { row = reference_order(row, c.flag(1)); });
}

RefArray sort_reference(const RefCall& c) {
  return along_axis(c.in(0), c.integer(0), [&](std::vector<double>& row) {
    std::sort(row.begin(), row.end());
    if (c.flag(1)) std::reverse(row.begin(), row.end());
  });
}

RefArray topk_reference(const RefCall& c) {
  const RefArray whole = along_axis(c.in(0), c.integer(1), [&](std::vector<double>& row) {
    const std::vector<double> order = reference_order(row, c.flag(2));
    if (c.output == 1) {
      row = order;
    } else {
      const std::vector<double> values = row;
      for (size_t i = 0; i < row.size(); ++i) row[i] = values[static_cast<size_t>(order[i])];
    }
  });
  Shape shape = whole.shape;
  if (!shape.empty()) shape[normalize_axis(c.integer(1), shape.size(), "reference")] = c.integer(0);
  return gathered(whole, shape, 0, [](const Dims& at) { return at; });
}

RefArray median_reference(const RefCall& c) {
  const RefArray& x = c.in(0);
  const Dims axes = normalize_axes(c.dims(0), x.shape.size(), "reference");
  const Dims strides = contiguous_strides(reduced_shape(x.shape, axes, true));
  RefArray out = reference_zeros(reduced_shape(x.shape, axes, c.flag(1)));
  std::vector<std::vector<double>> groups(out.data.size());
  for (size_t flat = 0; flat < x.data.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), position = 0;
    for (int axis = x.shape.size() - 1; axis >= 0; --axis) {
      if (!axes.contains(axis)) position += rest % x.shape[axis] * strides[axis];
      rest /= x.shape[axis];
    }
    groups[static_cast<size_t>(position)].push_back(x.data[flat]);
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    std::sort(groups[i].begin(), groups[i].end());
    out.data[i] = groups[i][(groups[i].size() - 1) / 2];
  }
  return out;
}

std::vector<Sample> sorting_cases() {
  return {{{Shape{2, 5}}, {int64_t{-1}, false}},   {{Shape{4, 3}}, {int64_t{0}, true}},
          {{Shape{2, 3, 2}}, {int64_t{1}, false}}, {{Shape{}}, {int64_t{0}, false}},
          {{Shape{0, 3}}, {int64_t{1}, false}},    {{Shape{3, 0}}, {int64_t{1}, true}}};
}

}  // namespace

std::span<const Op> sort_ops() {
  static const std::vector<Arg> kArgs = {tensor_arg("tensor"), int_arg("axis", -1), bool_arg("descending", false)};
  static const Samples kCases{{{-2, 2}}, sorting_cases(), false};
  static const std::vector<Op> rows = {
      {.name = "sort",
       .js = "sort",
       .args = kArgs,
       .doc = "The elements in order along `axis`. NaN counts as the largest; argsort gives the positions.",
       .forward = sort_forward,
       .gradient = Gradient::composed(),
       .reference = sort_reference,
       .samples = kCases,
       .dtypes = DTypes::kAny},
      {.name = "argsort",
       .js = "argsort",
       .args = kArgs,
       .doc = "The positions along `axis` of the elements in order; int64. Equal ones stay in the order that they are "
              "in, and NaN counts as the largest.",
       .forward = argsort_forward,
       .gradient = Gradient::none("positions don't vary with the elements"),
       .reference = argsort_reference,
       .samples = kCases,
       .dtypes = DTypes::kAny},
      {.name = "topk",
       .js = "topk",
       .args = {tensor_arg("tensor"), int_arg("k"), int_arg("axis", -1), bool_arg("largest", true)},
       .doc = "The `k` largest (or smallest) elements along `axis`, in order, and their positions there. NaN counts as "
              "the largest; of equal elements the first come first.",
       .forward_many = topk_forward,
       .outputs = "values, int64 indices",
       .gradient = Gradient::composed(),
       .reference = topk_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 5}}, {int64_t{3}, int64_t{-1}, true}},
                    {{Shape{4, 3}}, {int64_t{2}, int64_t{0}, false}},
                    {{Shape{3, 4, 2}}, {int64_t{4}, int64_t{1}, true}},
                    {{Shape{3}}, {int64_t{0}, int64_t{0}, true}},
                    {{Shape{}}, {int64_t{1}, int64_t{0}, true}}},
                   false},
       .dtypes = DTypes::kAny},
      {.name = "median",
       .js = "median",
       .args = {tensor_arg("tensor"), dims_arg("axes", Dims()), bool_arg("keep_dims", false)},
       .doc = "The element in the middle over `axes`, all of them when empty: the lower one of two, NaN if there is "
              "one. That element gets the gradient.",
       .forward = median_forward,
       .gradient = Gradient::composed(),
       .reference = median_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 4}}, {Dims(), false}},
                    {{Shape{3, 4}}, {Dims{1}, true}},
                    {{Shape{3, 4}}, {Dims{0}, false}},
                    {{Shape{2, 3, 4}}, {Dims{0, 2}, false}},
                    {{Shape{}}, {Dims(), false}},
                    {{Shape{0, 3}}, {Dims{1}, false}}},
                   false},
       .dtypes = DTypes::kAny},
  };
  return rows;
}

}  // namespace sm::ops
