#include <cmath>

#include "kernels/copy.hpp"
#include "kernels/rows.hpp"
#include "ops/common.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// A view of `x` in which `axis` and the last one have changed places.
Tensor exchanged(const Tensor& x, int axis) {
  const int last = x.ndim() - 1;
  if (x.ndim() == 0 || axis == last) return x;
  Shape shape = x.shape();
  Dims strides = x.strides();
  std::swap(shape[axis], shape[last]);
  std::swap(strides[axis], strides[last]);
  return make_view(x, shape, strides, x.impl()->offset);
}

// kernel(operands) along `axis`.
template <class Kernel, class... Operands>
Tensor along(int axis, Kernel kernel, const Operands&... operands) {
  return kernels::contiguous(exchanged(kernel(exchanged(operands, axis)...), axis));
}

template <auto kernel>
Tensor forward(const Call& call) {
  const DType dtype = floating(call.in(0).dtype());
  const Tensor x = as_dtype(call.in(0), wide_floating(dtype));
  const int axis = normalize_axis(call.integer(0), x.ndim(), call.op.name.data());
  if (x.elements() == 0) return make_tensor(x.shape(), dtype);
  return as_dtype(along(axis, kernel, x), dtype);
}

// Leaves gradients that are recorded, and dtypes without kernels, to the rules.
template <auto kernel>
bool joint_gradient(const GradientCall& c, std::span<Tensor> input_gradients) {
  const Tensor out = c.out();
  if (!kernels::has_row_kernels(out.dtype()) || out.elements() == 0) return false;
  const int axis = normalize_axis(c.integer(0), out.ndim(), "gradient");
  input_gradients[0] = along(axis, kernel, as_dtype(c.gradient, out.dtype()), out);
  return true;
}

Tensor softmax_gradient(const GradientCall& c) {
  const Tensor out = c.out();
  return out * (c.gradient - sum(c.gradient * out, Dims(c.integer(0)), true));
}

Tensor log_softmax_gradient(const GradientCall& c) {
  return c.gradient - exp(c.out()) * sum(c.gradient, Dims(c.integer(0)), true);
}

RefArray softmax_reference(const RefCall& c) {
  return along_axis(c.in(0), c.integer(0), [](std::vector<double>& row) {
    double total = 0;
    for (double x : row) total += std::exp(x);
    for (double& x : row) x = std::exp(x) / total;
  });
}

RefArray log_softmax_reference(const RefCall& c) {
  RefArray out = softmax_reference(c);
  for (double& x : out.data) x = std::log(x);
  return out;
}

std::vector<Sample> softmax_cases() {
  return {{{Shape{2, 5}}, {int64_t{-1}}},
          {{Shape{3, 2, 2}}, {int64_t{0}}},
          {{Shape{4}}, {int64_t{0}}},
          {{Shape{0, 3}}, {int64_t{1}}}};
}

}  // namespace

std::span<const Op> softmax_ops() {
  static const std::vector<Op> rows = {
      {.name = "softmax",
       .js = "softmax",
       .args = {tensor_arg("tensor"), int_arg("axis", -1)},
       .doc = "exp(x) divided by its sum along `axis`, without overflow. Integers give float32.",
       .forward = forward<kernels::softmax_rows>,
       .gradient = Gradient({{kOut, softmax_gradient}}, joint_gradient<kernels::softmax_rows_gradient>),
       .reference = softmax_reference,
       .samples = {{{-2, 2}}, softmax_cases()}},
      {.name = "log_softmax",
       .js = "logSoftmax",
       .args = {tensor_arg("tensor"), int_arg("axis", -1)},
       .doc = "log(softmax(x)) along `axis`, exact where softmax would underflow. Integers give float32.",
       .forward = forward<kernels::log_softmax_rows>,
       .gradient = Gradient({{kOut, log_softmax_gradient}}, joint_gradient<kernels::log_softmax_rows_gradient>),
       .reference = log_softmax_reference,
       .samples = {{{-2, 2}}, softmax_cases()}},
  };
  return rows;
}

}  // namespace sm::ops
