#include <fmt/core.h>

#include <cmath>
#include <functional>

#include "kernels/matmul.hpp"
#include "kernels/rows.hpp"
#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

std::string text(int64_t value) { return std::to_string(value); }

Tensor linear_forward(const Call& call) {
  const Tensor &x = call.in(0), &weight = call.in(1), &bias = call.in(2);
  if (weight.ndim() != 2 || x.ndim() < 1 || x.size(-1) != weight.size(0))
    throw Error(ErrorCode::kShapeMismatch, "linear: expects an input [..., in] and a weight [in, out], got an input " +
                                               x.shape().to_string() + " and a weight " + weight.shape().to_string());
  if (bias.defined() && (bias.ndim() != 1 || bias.size(0) != weight.size(1)))
    throw Error(ErrorCode::kShapeMismatch,
                "linear: the bias must be [" + text(weight.size(1)) + "], got " + bias.shape().to_string());
  const DType dtype = result_type(call.inputs);
  if (dtype == DType::boolean) reject_dtype(call.op, "numbers", dtype);
  return kernels::matmul(as_dtype(x, dtype), as_dtype(weight, dtype), bias.defined() ? as_dtype(bias, dtype) : bias);
}

Tensor linear_weight_gradient(const GradientCall& c) {
  const Shape& shape = c.shape(1);
  int64_t rows = 1;
  for (int i = 0; i < c.shape(0).size() - 1; ++i) rows *= c.shape(0)[i];
  const Tensor x = reshape(c.in(0), {rows, shape[0]}), gradient = reshape(c.gradient, {rows, shape[1]});
  return c.is_transposed(1) ? swap_last(matmul(swap_last(gradient), x)) : matmul(swap_last(x), gradient);
}

// Weight and bias must be of `shape`, when they are given.
void check_affine(const Call& call, int first, const Shape& shape) {
  static constexpr const char* kNames[] = {"weight", "bias"};
  for (int i = 0; i < 2 && first + i < call.count(); ++i) {
    const Tensor& given = call.in(first + i);
    if (given.defined() && given.shape() != shape)
      throw Error(ErrorCode::kShapeMismatch, std::string(call.op.name) + ": the " + kNames[i] + " must be " +
                                                 shape.to_string() + " for a tensor " + call.in(0).shape().to_string() +
                                                 ", got " + given.shape().to_string());
  }
}

// Input `i` brought to `shape` and the dtype of `x`, ready to broadcast; undefined when it was left out.
Tensor fitted(const Call& call, int i, const Tensor& x, const Shape& shape) {
  const bool given = i < call.count() && call.in(i).defined();
  return given ? converted(reshape(call.in(i), shape), x.dtype()) : Tensor();
}

// x * weight + bias, where they are given; the weight is input `first`, the bias the next.
Tensor affine(const Call& call, Tensor x, int first, const Shape& shape) {
  if (const Tensor weight = fitted(call, first, x, shape); weight.defined()) x = x * weight;
  if (const Tensor bias = fitted(call, first + 1, x, shape); bias.defined()) x = x + bias;
  return x;
}

// Divided by the root of the mean square over the last `count` axes, after the mean is taken away when `centre`.
Tensor standardized(Tensor x, int64_t count, double epsilon, bool centre) {
  Dims axes;
  for (int64_t i = count; i > 0; --i) axes.push_back(-i);
  if (centre) x = x - mean(x, axes, true);
  return x / sqrt(mean(square(x), axes, true) + epsilon);
}

// The sizes of the last `count` axes.
Shape last_sizes(const Shape& shape, int64_t count) {
  Shape inner;
  for (int i = shape.size() - static_cast<int>(count); i < shape.size(); ++i) inner.push_back(shape[i]);
  return inner;
}

template <bool centre>
Tensor row_norm_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  const Tensor& x = call.in(0);
  const int64_t count = call.integer(0);
  if (count < 1 || count > x.ndim())
    throw Error(ErrorCode::kInvalidArgument, std::string(call.op.name) + ": axes must be from 1 to the " +
                                                 text(x.ndim()) + " that the tensor has, got " + text(count));
  const Shape inner = last_sizes(x.shape(), count);
  check_affine(call, 1, inner);
  const auto operand = [&](int i) {
    return i < call.count() && call.in(i).defined() ? as_dtype(call.in(i), wide(dtype)) : Tensor();
  };
  const Tensor out = kernels::normalized_rows({elements_of(inner), call.number(1), centre}, operand(0), operand(1),
                                              centre ? operand(2) : Tensor());
  return as_dtype(out, dtype);
}

// The gradients of layer_norm and rms_norm, in the dtype that they compute in.
template <bool centre>
struct RowNormGradient {
  const GradientCall& c;
  DType working = wide(c.gradient.dtype());
  Tensor x = converted(c.in(0), working), gradient = converted(c.gradient, working);
  Tensor standard = standardized(x, c.integer(0), c.number(1), centre);

  Tensor of_input() const {
    Dims axes;
    for (int64_t i = c.integer(0); i > 0; --i) axes.push_back(-i);
    const bool weighted = c.count() > 1 && !c.shape(1).empty();
    const Tensor slope = weighted ? gradient * converted(c.in(1), working) : gradient;
    const Tensor off = centre ? x - mean(x, axes, true) : x;
    Tensor rest = slope - standard * mean(slope * standard, axes, true);
    if (centre) rest = rest - mean(slope, axes, true);
    return rest / sqrt(mean(square(off), axes, true) + c.number(1));
  }
  Tensor of_weight() const { return gradient * standard; }
};

template <bool centre>
bool row_norm_joint(const GradientCall& c, std::span<Tensor> input_gradients) {
  const auto wants = [&](int i) { return i < c.count() && c.wants(i); };
  if (!wants(0) && !wants(1)) return false;
  const DType working = wide(c.gradient.dtype());
  const bool weighted = wants(0) && c.count() > 1 && !c.shape(1).empty();
  const int64_t size = elements_of(last_sizes(c.shape(0), c.integer(0)));
  kernels::RowNormGradients out = kernels::normalized_rows_gradients(
      {size, c.number(1), centre}, as_dtype(c.gradient, working), as_dtype(c.in(0), working),
      weighted ? as_dtype(c.in(1), working) : Tensor(), wants(0), wants(1), wants(2));
  input_gradients[0] = std::move(out.x);
  if (wants(1)) input_gradients[1] = reshape(out.weight, c.shape(1));
  if (wants(2)) input_gradients[2] = reshape(out.bias, c.shape(2));
  return true;
}

template <bool centre>
Gradient row_norm_gradient() {
  return Gradient({{kIn0 | kIn1, [](const GradientCall& c) { return RowNormGradient<centre>{c}.of_input(); }},
                   {kIn0, [](const GradientCall& c) { return RowNormGradient<centre>{c}.of_weight(); }},
                   {kNothing, [](const GradientCall& c) { return c.gradient; }}},
                  row_norm_joint<centre>);
}

// [C] against the axes of [N, C, ...].
Shape channel_shape(const Tensor& x) {
  Shape shape(x.ndim() - 1, 1);
  shape[0] = x.size(1);
  return shape;
}

void require_channels(const Call& call) {
  if (call.in(0).ndim() < 2)
    throw Error(ErrorCode::kShapeMismatch,
                std::string(call.op.name) + ": expects [N, C, ...], got " + call.in(0).shape().to_string());
}

Tensor group_norm_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  require_channels(call);
  const Tensor& x = call.in(0);
  const int64_t groups = call.integer(0), channels = x.size(1);
  if (groups < 1 || channels % groups != 0)
    throw Error(
        ErrorCode::kInvalidArgument,
        "group_norm: " + text(channels) + " channels can't be split into groups, of which there are " + text(groups));
  check_affine(call, 1, {channels});
  int64_t inner = channels / groups;
  for (int i = 2; i < x.ndim(); ++i) inner *= x.shape()[i];
  const Tensor rows = reshape(converted(x, wide(dtype)), {x.size(0), groups, inner});
  const Tensor standard = reshape(standardized(rows, 1, call.number(1), true), x.shape());
  return converted(affine(call, standard, 1, channel_shape(x)), dtype);
}

Tensor batch_norm_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  require_channels(call);
  const Tensor& x = call.in(0);
  const Shape channels{x.size(1)}, across = channel_shape(x);
  for (int i = 1; i < 3; ++i)
    if (call.in(i).shape() != channels)
      throw Error(ErrorCode::kShapeMismatch, std::string("batch_norm: the ") + (i == 1 ? "mean" : "variance") +
                                                 " must be " + channels.to_string() + " for a tensor " +
                                                 x.shape().to_string() + ", got " + call.in(i).shape().to_string());
  check_affine(call, 3, channels);
  const DType working = wide(dtype);
  // All that can be done on [C] is done there, so that the large tensor is passed over as few times as possible.
  Tensor scale = reciprocal(sqrt(converted(call.in(2), working) + call.number(0)));
  if (const Tensor weight = fitted(call, 3, scale, channels); weight.defined()) scale = scale * weight;
  Tensor out = converted(x, working) - fitted(call, 1, scale, across);
  out = out * reshape(scale, across);
  if (const Tensor bias = fitted(call, 4, scale, across); bias.defined()) out = out + bias;
  return converted(out, dtype);
}

Tensor dropout_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  const Tensor& x = call.in(0);
  const double p = call.number(0);
  if (!(p >= 0 && p <= 1))
    throw Error(ErrorCode::kInvalidArgument, "dropout: p must be from 0 to 1, got " + fmt::format("{}", p));
  if (!call.flag(1) || p == 0) return reshape(x, x.shape());
  if (p == 1) return x * 0.0;
  return where(gte(rand(x.shape()), p), x * (1 / (1 - p)), constant(0, dtype));
}

// --- References ---

// Rows of `inner` elements, each divided by the root of its mean square, after its mean is taken away when `centre`.
RefArray rows_standardized(RefArray x, size_t inner, double epsilon, bool centre) {
  for (size_t start = 0; start < x.data.size(); start += inner) {
    double total = 0, squares = 0;
    for (size_t i = start; centre && i < start + inner; ++i) total += x.data[i] / static_cast<double>(inner);
    for (size_t i = start; i < start + inner; ++i) squares += (x.data[i] - total) * (x.data[i] - total);
    const double scale = std::sqrt(squares / static_cast<double>(inner) + epsilon);
    for (size_t i = start; i < start + inner; ++i) x.data[i] = (x.data[i] - total) / scale;
  }
  return x;
}

// Weight and bias from input `first` on; element i gets that at i / period % count.
RefArray with_affine(const RefCall& c, RefArray x, size_t first, size_t period) {
  for (size_t i = 0; i < x.data.size(); ++i) {
    if (c.inputs.size() > first) x.data[i] *= c.inputs[first].data[i / period % c.inputs[first].data.size()];
    if (c.inputs.size() > first + 1)
      x.data[i] += c.inputs[first + 1].data[i / period % c.inputs[first + 1].data.size()];
  }
  return x;
}

size_t elements_from(const Shape& shape, int axis) {
  size_t count = 1;
  for (int i = axis; i < shape.size(); ++i) count *= static_cast<size_t>(shape[i]);
  return count;
}

template <bool centre>
RefArray row_norm_reference(const RefCall& c) {
  const size_t inner = elements_from(c.in(0).shape, c.in(0).shape.size() - static_cast<int>(c.integer(0)));
  return with_affine(c, rows_standardized(c.in(0), inner, c.number(1), centre), 1, 1);
}

RefArray group_norm_reference(const RefCall& c) {
  const size_t inner = elements_from(c.in(0).shape, 1) / static_cast<size_t>(c.integer(0));
  return with_affine(c, rows_standardized(c.in(0), inner, c.number(1), true), 1, elements_from(c.in(0).shape, 2));
}

RefArray batch_norm_reference(const RefCall& c) {
  RefArray out = c.in(0);
  const size_t period = elements_from(out.shape, 2), channels = c.in(1).data.size();
  for (size_t i = 0; i < out.data.size(); ++i) {
    const size_t channel = i / period % channels;
    out.data[i] = (out.data[i] - c.in(1).data[channel]) / std::sqrt(c.in(2).data[channel] + c.number(0));
  }
  return with_affine(c, out, 3, period);
}

RefArray linear_reference(const RefCall& c) {
  const RefArray &x = c.in(0), &weight = c.in(1);
  RefArray out{x.shape, {}};
  const size_t in = static_cast<size_t>(weight.shape[0]), columns = static_cast<size_t>(weight.shape[1]);
  out.shape[out.shape.size() - 1] = weight.shape[1];
  for (size_t row = 0; row < x.data.size() / in; ++row)
    for (size_t column = 0; column < columns; ++column) {
      double sum = c.inputs.size() > 2 ? c.in(2).data[column] : 0;
      for (size_t i = 0; i < in; ++i) sum += x.data[row * in + i] * weight.data[i * columns + column];
      out.data.push_back(sum);
    }
  return out;
}

RefArray dropout_reference(const RefCall& c) {
  RefArray out = c.in(0);
  if (c.flag(1) && c.number(0) == 1)
    for (double& x : out.data) x = 0;
  return out;
}

[[gnu::cold]] std::vector<Op> norm_rows() {
  const Arg x = tensor_arg("tensor"), weight = optional_tensor_arg("weight"), bias = optional_tensor_arg("bias"),
            epsilon = float_arg("epsilon", 1e-5);
  const std::vector<Sample> rows = {
      {{Shape{2, 4}, Shape{4}, Shape{4}}, {int64_t{1}, 1e-1}}, {{Shape{3, 4}}, {int64_t{1}, 1e-5}},
      {{Shape{3, 2, 4}, Shape{2, 4}}, {int64_t{2}, 1e-1}},     {{Shape{2, 4}}, {int64_t{2}, 1e-1}},
      {{Shape{0, 4}, Shape{4}, Shape{4}}, {int64_t{1}, 1e-5}},
  };
  return {
      {.name = "layer_norm",
       .js = "layerNorm",
       .args = {x, weight, bias, int_arg("axes", 1), epsilon},
       .doc = "(x - mean) / sqrt(variance + epsilon) over the last `axes` axes, times a weight and plus a bias of "
              "their shape if there are any. The variance is the population's (Ba, Kiros and Hinton, 2016).",
       .forward = row_norm_forward<true>,
       .gradient = row_norm_gradient<true>(),
       .reference = row_norm_reference<true>,
       .samples = {{{-2, 2}}, rows},
       .dtypes = DTypes::kFloating},
      {.name = "rms_norm",
       .js = "rmsNorm",
       .args = {x, weight, int_arg("axes", 1), epsilon},
       .doc = "x / sqrt(mean(x * x) + epsilon) over the last `axes` axes, times a weight of their shape if there is "
              "one (Zhang and Sennrich, 2019). PyTorch's default epsilon is that of the dtype.",
       .forward = row_norm_forward<false>,
       .gradient = row_norm_gradient<false>(),
       .reference = row_norm_reference<false>,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 4}, Shape{4}}, {int64_t{1}, 1e-1}},
                    {{Shape{3, 5}}, {int64_t{1}, 1e-5}},
                    {{Shape{3, 2, 4}, Shape{2, 4}}, {int64_t{2}, 1e-1}},
                    {{Shape{0, 4}, Shape{4}}, {int64_t{1}, 1e-5}}}},
       .dtypes = DTypes::kFloating},
      {.name = "group_norm",
       .js = "groupNorm",
       .args = {x, int_arg("groups"), weight, bias, epsilon},
       .doc = "Splits the channels of [N, C, ...] into groups and makes each group of each item have mean 0 and "
              "variance 1 as `layer_norm` does; then times a weight and plus a bias [C] if there are any (Wu and He, "
              "2018).",
       .forward = group_norm_forward,
       .gradient = Gradient::composed(),
       .reference = group_norm_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 4, 2}, Shape{4}, Shape{4}}, {int64_t{2}, 1e-1}},
                    {{Shape{2, 4}}, {int64_t{1}, 1e-1}},
                    {{Shape{1, 2, 2, 2}, Shape{2}}, {int64_t{2}, 1e-1}},
                    {{Shape{0, 4, 2}, Shape{4}}, {int64_t{2}, 1e-5}}}},
       .dtypes = DTypes::kFloating},
      {.name = "batch_norm",
       .js = "batchNorm",
       .args = {x, tensor_arg("mean"), tensor_arg("variance"), weight, bias, epsilon},
       .doc = "(x - mean) / sqrt(variance + epsilon) for each channel of [N, C, ...] with the given statistics [C], "
              "times a weight and plus a bias [C] if there are any (Ioffe and Szegedy, 2015). Gradients flow into the "
              "statistics too, so training passes those of the batch.",
       .forward = batch_norm_forward,
       .gradient = Gradient::composed(),
       .reference = batch_norm_reference,
       .samples = {{{-2, 2}, {-2, 2}, {0.5, 2}, {-2, 2}},
                   {{{Shape{2, 3, 2}, Shape{3}, Shape{3}, Shape{3}, Shape{3}}, {1e-5}},
                    {{Shape{4, 2}, Shape{2}, Shape{2}}, {1e-1}},
                    {{Shape{1, 2, 2, 2}, Shape{2}, Shape{2}, Shape{2}}, {1e-5}},
                    {{Shape{0, 2}, Shape{2}, Shape{2}}, {1e-5}}}},
       .dtypes = DTypes::kFloating},
  };
}

}  // namespace

std::span<const Op> nn_ops() {
  static const std::vector<Op> rows = [] {
    std::vector<Op> all = {
        {.name = "linear",
         .js = "linear",
         .args = {tensor_arg("tensor"), tensor_arg("weight"), optional_tensor_arg("bias")},
         .doc = "x W + b: [..., in] times a weight [in, out] (the transpose of PyTorch's), plus a bias [out] if there "
                "is one.",
         .forward = linear_forward,
         .gradient = {{kIn1, [](const GradientCall& c) { return matmul(c.gradient, swap_last(c.in(1))); }},
                      {kIn0, linear_weight_gradient},
                      {kNothing, [](const GradientCall& c) { return c.gradient; }}},
         .reference = linear_reference,
         .samples = {{{-2, 2}},
                     {{{Shape{2, 3}, Shape{3, 4}, Shape{4}}, {}},
                      {{Shape{3}, Shape{3, 2}}, {}},
                      {{Shape{2, 2, 3}, Shape{3, 1}, Shape{1}}, {}},
                      {{Shape{0, 3}, Shape{3, 2}, Shape{2}}, {}}}}},
        {.name = "dropout",
         .js = "dropout",
         .args = {tensor_arg("tensor"), float_arg("p", 0.5), bool_arg("training", true)},
         .doc = "Zeros with probability `p`, chosen by the stream that manual_seed starts, and the rest divided by "
                "1 - p; the tensor as it is unless `training` (Srivastava and others, 2014).",
         .forward = dropout_forward,
         .gradient = Gradient::composed(),
         .reference = dropout_reference,
         .samples = {{{-2, 2}},
                     {{{Shape{2, 3}}, {0.3, false}},
                      {{Shape{2, 3}}, {0.0, true}},
                      {{Shape{2, 3}}, {1.0, true}},
                      {{Shape{}}, {0.5, false}}}},
         .dtypes = DTypes::kFloating},
    };
    for (Op& op : norm_rows()) all.push_back(std::move(op));
    return all;
  }();
  return rows;
}

}  // namespace sm::ops
