#include "kernels/conv.hpp"

#include <limits>

#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

using kernels::ConvParameters;
using kernels::Pair;
using kernels::PoolParameters;

// One number stands for both axes.
Pair pair(const Dims& dims, const char* op, const char* name) {
  if (dims.size() == 1) return {dims[0], dims[0]};
  if (dims.size() == 2) return {dims[0], dims[1]};
  throw Error(ErrorCode::kInvalidArgument,
              std::string(op) + ": " + name + " must be one number or two, got " + dims.to_string());
}

// The arguments stride, padding, dilation and groups of a row, from number `first` on.
template <class AnyCall>
ConvParameters conv_parameters(const AnyCall& call, const char* op, int first) {
  return {pair(call.dims(first), op, "stride"), pair(call.dims(first + 1), op, "padding"),
          pair(call.dims(first + 2), op, "dilation"), call.integer(first + 3)};
}

// The arguments kernel, stride and padding. No stride: that of the kernel.
template <class AnyCall>
PoolParameters pool_parameters(const AnyCall& call, const char* op, int first) {
  const Dims& stride = call.dims(first + 1);
  return {pair(call.dims(first), op, "kernel"), pair(stride.empty() ? call.dims(first) : stride, op, "stride"),
          pair(call.dims(first + 2), op, "padding")};
}

Tensor conv2d_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  const char* op = call.op.name.data();
  const bool biased = call.count() > 2 && call.in(2).defined();
  return kernels::conv2d(op, as_dtype(call.in(0), dtype), as_dtype(call.in(1), dtype),
                         biased ? as_dtype(call.in(2), dtype) : Tensor(), conv_parameters(call, op, 0));
}

Tensor input_gradient_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  const char* op = call.op.name.data();
  return kernels::conv2d_input_gradient(op, as_dtype(call.in(0), dtype), as_dtype(call.in(1), dtype), call.dims(0),
                                        conv_parameters(call, op, 1));
}

Tensor filter_gradient_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  const char* op = call.op.name.data();
  return kernels::conv2d_filter_gradient(op, as_dtype(call.in(0), dtype), as_dtype(call.in(1), dtype), call.dims(0),
                                         conv_parameters(call, op, 1));
}

Tensor avg_pool2d_forward(const Call& call) {
  const char* op = call.op.name.data();
  return kernels::avg_pool2d(op, as_dtype(call.in(0), floating_result(call.op, call.inputs)),
                             pool_parameters(call, op, 0));
}

Tensor avg_pool2d_gradient_forward(const Call& call) {
  const char* op = call.op.name.data();
  return kernels::avg_pool2d_gradient(op, as_dtype(call.in(0), floating_result(call.op, call.inputs)), call.dims(0),
                                      pool_parameters(call, op, 1));
}

Tensor max_pool2d_forward(const Call& call) {
  const char* op = call.op.name.data();
  return kernels::max_pool2d(op, as_dtype(call.in(0), floating_result(call.op, call.inputs)),
                             pool_parameters(call, op, 0));
}

template <auto kernel>
Tensor max_pool2d_pair_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs);
  const char* op = call.op.name.data();
  return kernel(op, as_dtype(call.in(0), dtype), as_dtype(call.in(1), dtype), pool_parameters(call, op, 0));
}

// The three passes of a convolution are linear in each operand, and each is
// the gradient of the other two. `first` is the number of the argument stride.
Tensor forward_pass(const GradientCall& c, const Tensor& x, const Tensor& filter, int first) {
  return conv2d(x, filter, {}, c.dims(first), c.dims(first + 1), c.dims(first + 2), c.integer(first + 3));
}
Tensor input_pass(const GradientCall& c, const Tensor& gradient, const Tensor& filter, const Shape& shape, int first) {
  return conv2d_input_gradient(gradient, filter, shape, c.dims(first), c.dims(first + 1), c.dims(first + 2),
                               c.integer(first + 3));
}
Tensor filter_pass(const GradientCall& c, const Tensor& gradient, const Tensor& x, const Shape& shape, int first) {
  return conv2d_filter_gradient(gradient, x, shape, c.dims(first), c.dims(first + 1), c.dims(first + 2),
                                c.integer(first + 3));
}

// --- References ---

// Calls visit(output index, input index, filter index) for every product of a convolution.
template <class Visit>
void walk_conv(const Shape& x, const Shape& f, const Shape& out, const ConvParameters& p, Visit&& visit) {
  for (int64_t at = 0; at < elements_of(out); ++at)
    for (int64_t tap = 0; tap < f[1] * f[2] * f[3]; ++tap) {
      const int64_t o = at / (out[2] * out[3]) % f[0], n = at / (out[2] * out[3] * f[0]);
      const int64_t channel = o / (f[0] / p.groups) * f[1] + tap / (f[2] * f[3]);
      const int64_t h = at / out[3] % out[2] * p.stride[0] - p.padding[0] + tap / f[3] % f[2] * p.dilation[0];
      const int64_t w = at % out[3] * p.stride[1] - p.padding[1] + tap % f[3] * p.dilation[1];
      if (h >= 0 && h < x[2] && w >= 0 && w < x[3])
        visit(static_cast<size_t>(at), static_cast<size_t>(((n * x[1] + channel) * x[2] + h) * x[3] + w),
              static_cast<size_t>(o * f[1] * f[2] * f[3] + tap));
    }
}

RefArray zeros_of(const Shape& shape) { return {shape, std::vector<double>(static_cast<size_t>(elements_of(shape)))}; }

Shape conv_shape(const Shape& x, const Shape& f, const ConvParameters& p) {
  Shape out{x[0], f[0], 0, 0};
  for (int i = 0; i < 2; ++i)
    out[2 + i] = (x[2 + i] + 2 * p.padding[i] - p.dilation[i] * (f[2 + i] - 1) - 1) / p.stride[i] + 1;
  return out;
}

RefArray conv2d_reference(const RefCall& c) {
  const RefArray &x = c.in(0), &f = c.in(1);
  const ConvParameters p = conv_parameters(c, "reference", 0);
  RefArray out = zeros_of(conv_shape(x.shape, f.shape, p));
  walk_conv(x.shape, f.shape, out.shape, p,
            [&](size_t at, size_t in, size_t tap) { out.data[at] += x.data[in] * f.data[tap]; });
  if (c.inputs.size() > 2 && !c.in(2).data.empty()) {
    const size_t plane = static_cast<size_t>(out.shape[2] * out.shape[3]);
    for (size_t i = 0; i < out.data.size(); ++i) out.data[i] += c.in(2).data[i / plane % c.in(2).data.size()];
  }
  return out;
}

RefArray input_gradient_reference(const RefCall& c) {
  const RefArray &g = c.in(0), &f = c.in(1);
  RefArray out = zeros_of(c.dims(0));
  walk_conv(out.shape, f.shape, g.shape, conv_parameters(c, "reference", 1),
            [&](size_t at, size_t in, size_t tap) { out.data[in] += g.data[at] * f.data[tap]; });
  return out;
}

RefArray filter_gradient_reference(const RefCall& c) {
  const RefArray &g = c.in(0), &x = c.in(1);
  RefArray out = zeros_of(c.dims(0));
  walk_conv(x.shape, out.shape, g.shape, conv_parameters(c, "reference", 1),
            [&](size_t at, size_t in, size_t tap) { out.data[tap] += g.data[at] * x.data[in]; });
  return out;
}

Shape pool_shape(const Shape& x, const PoolParameters& p) {
  Shape out = x;
  for (int i = 0; i < 2; ++i) out[2 + i] = (x[2 + i] + 2 * p.padding[i] - p.kernel[i]) / p.stride[i] + 1;
  return out;
}

// Calls visit(output index, input index) for every element of every window, in reading order.
template <class Visit>
void walk_pool(const Shape& x, const Shape& out, const PoolParameters& p, Visit&& visit) {
  for (int64_t at = 0; at < elements_of(out); ++at)
    for (int64_t k = 0; k < p.kernel[0] * p.kernel[1]; ++k) {
      const int64_t h = at / out[3] % out[2] * p.stride[0] - p.padding[0] + k / p.kernel[1];
      const int64_t w = at % out[3] * p.stride[1] - p.padding[1] + k % p.kernel[1];
      const int64_t plane = at / (out[2] * out[3]);
      if (h >= 0 && h < x[2] && w >= 0 && w < x[3])
        visit(static_cast<size_t>(at), static_cast<size_t>((plane * x[2] + h) * x[3] + w));
    }
}

RefArray avg_pool2d_reference(const RefCall& c) {
  const PoolParameters p = pool_parameters(c, "reference", 0);
  RefArray out = zeros_of(pool_shape(c.in(0).shape, p));
  const double area = static_cast<double>(p.kernel[0] * p.kernel[1]);
  walk_pool(c.in(0).shape, out.shape, p, [&](size_t at, size_t in) { out.data[at] += c.in(0).data[in] / area; });
  return out;
}

RefArray avg_pool2d_gradient_reference(const RefCall& c) {
  const PoolParameters p = pool_parameters(c, "reference", 1);
  RefArray out = zeros_of(c.dims(0));
  const double area = static_cast<double>(p.kernel[0] * p.kernel[1]);
  walk_pool(out.shape, c.in(0).shape, p, [&](size_t at, size_t in) { out.data[in] += c.in(0).data[at] / area; });
  return out;
}

// For each window of `x` the index of its first maximum.
std::vector<size_t> maxima(const RefArray& x, const Shape& out, const PoolParameters& p) {
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  std::vector<size_t> best(static_cast<size_t>(elements_of(out)), kNone);
  walk_pool(x.shape, out, p, [&](size_t at, size_t in) {
    if (best[at] == kNone || x.data[in] > x.data[best[at]]) best[at] = in;
  });
  return best;
}

RefArray gather_maxima(const RefArray& values, const RefArray& x, const PoolParameters& p) {
  RefArray out = zeros_of(pool_shape(x.shape, p));
  const std::vector<size_t> best = maxima(x, out.shape, p);
  for (size_t i = 0; i < best.size(); ++i) out.data[i] = values.data[best[i]];
  return out;
}

RefArray max_pool2d_reference(const RefCall& c) {
  return gather_maxima(c.in(0), c.in(0), pool_parameters(c, "reference", 0));
}

RefArray max_pool2d_gather_reference(const RefCall& c) {
  return gather_maxima(c.in(0), c.in(1), pool_parameters(c, "reference", 0));
}

RefArray max_pool2d_gradient_reference(const RefCall& c) {
  const RefArray &g = c.in(0), &x = c.in(1);
  RefArray out = zeros_of(x.shape);
  const std::vector<size_t> best = maxima(x, g.shape, pool_parameters(c, "reference", 0));
  for (size_t i = 0; i < best.size(); ++i) out.data[best[i]] += g.data[i];
  return out;
}

// --- Samples ---

struct ConvCase {
  Shape x, filter;
  Dims stride, padding, dilation;
  int64_t groups;
  ConvParameters parameters() const {
    return {pair(stride, "", ""), pair(padding, "", ""), pair(dilation, "", ""), groups};
  }
};

const std::vector<ConvCase>& conv_cases() {
  static const std::vector<ConvCase> cases = {
      {{1, 1, 3, 3}, {1, 1, 2, 2}, {1, 1}, {0, 0}, {1, 1}, 1}, {{2, 2, 4, 3}, {3, 2, 2, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
      {{1, 2, 5, 4}, {2, 2, 3, 2}, {2, 1}, {1, 0}, {1, 2}, 1}, {{2, 4, 3, 3}, {2, 2, 2, 2}, {1}, {1}, {1}, 2},
      {{1, 3, 3, 3}, {3, 1, 3, 3}, {2}, {1}, {1}, 3},          {{0, 2, 3, 3}, {2, 2, 2, 2}, {1}, {0}, {1}, 1},
  };
  return cases;
}

// Which operands a row takes, of input, filter, bias and the output's gradient.
enum class ConvRow { kForward, kInputGradient, kFilterGradient };

Samples conv_samples(ConvRow row) {
  Samples out{{{-2, 2}}, {}};
  for (const ConvCase& c : conv_cases()) {
    const Shape y = conv_shape(c.x, c.filter, c.parameters());
    if (row == ConvRow::kForward)
      out.cases.push_back({{c.x, c.filter, Shape(c.filter[0])}, {c.stride, c.padding, c.dilation, c.groups}});
    else if (row == ConvRow::kInputGradient)
      out.cases.push_back({{y, c.filter}, {c.x, c.stride, c.padding, c.dilation, c.groups}});
    else
      out.cases.push_back({{y, c.x}, {c.filter, c.stride, c.padding, c.dilation, c.groups}});
  }
  return out;
}

struct PoolCase {
  Shape x;
  Dims kernel, stride, padding;
};

const std::vector<PoolCase>& pool_cases() {
  static const std::vector<PoolCase> cases = {
      {{1, 1, 2, 2}, {2, 2}, {}, {0, 0}},     {{2, 2, 4, 6}, {2}, {}, {0}},  {{1, 2, 5, 4}, {3, 2}, {1, 2}, {1, 0}},
      {{2, 1, 3, 3}, {2, 2}, {1, 1}, {1, 1}}, {{0, 2, 4, 4}, {2}, {2}, {0}}, {{1, 1, 5, 5}, {2, 2}, {3}, {0, 0}},
  };
  return cases;
}

// The shapes of an operand of a row of pooling.
enum class PoolOperand { kInput, kOutput };

Samples pool_samples(std::vector<PoolOperand> operands, bool shape_argument, bool smooth) {
  Samples out{{{-2, 2}}, {}, smooth};
  for (const PoolCase& c : pool_cases()) {
    const Dims& stride = c.stride.empty() ? c.kernel : c.stride;
    const Shape y = pool_shape(c.x, {pair(c.kernel, "", ""), pair(stride, "", ""), pair(c.padding, "", "")});
    Sample sample{{}, {c.kernel, c.stride, c.padding}};
    if (shape_argument) sample.attrs.insert(sample.attrs.begin(), c.x);
    for (PoolOperand operand : operands) sample.shapes.push_back(operand == PoolOperand::kInput ? c.x : y);
    out.cases.push_back(std::move(sample));
  }
  return out;
}

std::vector<Arg> with(std::vector<Arg> first, const std::vector<Arg>& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

[[gnu::cold]] std::vector<Op> conv_rows() {
  const std::vector<Arg> conv_args = {dims_arg("stride", {1, 1}), dims_arg("padding", {0, 0}),
                                      dims_arg("dilation", {1, 1}), int_arg("groups", 1)};
  return {
      {.name = "conv2d",
       .js = "conv2d",
       .args = with({tensor_arg("tensor"), tensor_arg("filter"), optional_tensor_arg("bias")}, conv_args),
       .doc =
           "The cross-correlation of [N, C, H, W] with a filter [O, C / groups, kH, kW], plus a bias [O] if there is "
           "one; `padding` zeros are on both sides. One number in `stride`, `padding` or `dilation` stands for both "
           "axes.",
       .forward = conv2d_forward,
       .gradient = {{kIn1, [](const GradientCall& c) { return input_pass(c, c.gradient, c.in(1), c.shape(0), 0); }},
                    {kIn0, [](const GradientCall& c) { return filter_pass(c, c.gradient, c.in(0), c.shape(1), 0); }},
                    {kNothing,
                     [](const GradientCall& c) {
                       return sum(c.gradient, {0, 2, 3});
                     }}},
       .reference = conv2d_reference,
       .samples = conv_samples(ConvRow::kForward),
       .dtypes = DTypes::kFloating},
      {.name = "conv2d_input_gradient",
       .js = "conv2dInputGradient",
       .args = with({tensor_arg("gradient"), tensor_arg("filter"), dims_arg("shape")}, conv_args),
       .doc = "The gradient of conv2d's input, of the given shape, from that of its output.",
       .forward = input_gradient_forward,
       .gradient = {{kIn1, [](const GradientCall& c) { return forward_pass(c, c.gradient, c.in(1), 1); }},
                    {kIn0, [](const GradientCall& c) { return filter_pass(c, c.in(0), c.gradient, c.shape(1), 1); }}},
       .reference = input_gradient_reference,
       .samples = conv_samples(ConvRow::kInputGradient),
       .dtypes = DTypes::kFloating},
      {.name = "conv2d_filter_gradient",
       .js = "conv2dFilterGradient",
       .args = with({tensor_arg("gradient"), tensor_arg("tensor"), dims_arg("shape")}, conv_args),
       .doc = "The gradient of conv2d's filter, of the given shape, from that of its output and its input.",
       .forward = filter_gradient_forward,
       .gradient = {{kIn1, [](const GradientCall& c) { return forward_pass(c, c.in(1), c.gradient, 1); }},
                    {kIn0, [](const GradientCall& c) { return input_pass(c, c.in(0), c.gradient, c.shape(1), 1); }}},
       .reference = filter_gradient_reference,
       .samples = conv_samples(ConvRow::kFilterGradient),
       .dtypes = DTypes::kFloating},
  };
}

[[gnu::cold]] std::vector<Op> pool_rows() {
  using enum PoolOperand;
  const std::vector<Arg> pool_args = {dims_arg("kernel"), dims_arg("stride", Dims()), dims_arg("padding", {0, 0})};
  const InputRule constant_rule{};
  return {
      {.name = "avg_pool2d",
       .js = "avgPool2d",
       .args = with({tensor_arg("tensor")}, pool_args),
       .doc = "The mean of each window of [N, C, H, W]. `stride` is the kernel's when empty; padding counts as zeros, "
              "and is "
              "at most half of the kernel. One number stands for both axes.",
       .forward = avg_pool2d_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       return avg_pool2d_gradient(c.gradient, c.shape(0), c.dims(0), c.dims(1), c.dims(2));
                     }}},
       .reference = avg_pool2d_reference,
       .samples = pool_samples({kInput}, false, true),
       .dtypes = DTypes::kFloating},
      {.name = "avg_pool2d_gradient",
       .js = "avgPool2dGradient",
       .args = with({tensor_arg("gradient"), dims_arg("shape")}, pool_args),
       .doc = "The gradient of avg_pool2d's input, of the given shape, from that of its output.",
       .forward = avg_pool2d_gradient_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) { return avg_pool2d(c.gradient, c.dims(1), c.dims(2), c.dims(3)); }}},
       .reference = avg_pool2d_gradient_reference,
       .samples = pool_samples({kOutput}, true, true),
       .dtypes = DTypes::kFloating},
      {.name = "max_pool2d",
       .js = "maxPool2d",
       .args = with({tensor_arg("tensor")}, pool_args),
       .doc = "The maximum of each window of [N, C, H, W], NaN if it holds one. `stride` is the kernel's when empty; "
              "padding "
              "never wins, and is at most half of the kernel. The first maximum of a window gets its gradient.",
       .forward = max_pool2d_forward,
       .gradient = {{kIn0,
                     [](const GradientCall& c) {
                       return max_pool2d_gradient(c.gradient, c.in(0), c.dims(0), c.dims(1), c.dims(2));
                     }}},
       .reference = max_pool2d_reference,
       .samples = pool_samples({kInput}, false, false),
       .dtypes = DTypes::kFloating},
      {.name = "max_pool2d_gradient",
       .js = "maxPool2dGradient",
       .args = with({tensor_arg("gradient"), tensor_arg("tensor")}, pool_args),
       .doc = "The gradient of max_pool2d's input from that of its output.",
       .forward = max_pool2d_pair_forward<kernels::max_pool2d_gradient>,
       .gradient = {{kIn1,
                     [](const GradientCall& c) {
                       return max_pool2d_gather(c.gradient, c.in(1), c.dims(0), c.dims(1), c.dims(2));
                     }},
                    constant_rule},
       .reference = max_pool2d_gradient_reference,
       .samples = pool_samples({kOutput, kInput}, false, false),
       .dtypes = DTypes::kFloating},
      {.name = "max_pool2d_gather",
       .js = "maxPool2dGather",
       .args = with({tensor_arg("values"), tensor_arg("tensor")}, pool_args),
       .doc = "The elements of `values` that stand where max_pool2d's windows have their first maximum.",
       .forward = max_pool2d_pair_forward<kernels::max_pool2d_gather>,
       .gradient = {{kIn1,
                     [](const GradientCall& c) {
                       return max_pool2d_gradient(c.gradient, c.in(1), c.dims(0), c.dims(1), c.dims(2));
                     }},
                    constant_rule},
       .reference = max_pool2d_gather_reference,
       .samples = pool_samples({kInput, kInput}, false, false),
       .dtypes = DTypes::kFloating},
  };
}

}  // namespace

std::span<const Op> conv_ops() {
  static const std::vector<Op> rows = [] {
    std::vector<Op> all = conv_rows();
    for (Op& op : pool_rows()) all.push_back(std::move(op));
    return all;
  }();
  return rows;
}

}  // namespace sm::ops
