#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

// [N, C, L] as the image [N, C, 1, L], and back.
Tensor raised(const Tensor& x) { return unsqueeze(x, 2); }
Tensor lowered(const Tensor& x) { return squeeze(x, 2); }

void require_rank(const Call& call, int input, const char* what) {
  if (call.in(input).ndim() != 3)
    throw Error(ErrorCode::kShapeMismatch,
                std::string(call.op.name) + ": expects " + what + ", got " + call.in(input).shape().to_string());
}

void require_at_least(const Call& call, const char* what, int64_t value, int64_t least) {
  if (value < least)
    throw Error(ErrorCode::kInvalidArgument, std::string(call.op.name) + ": " + what + " must be " +
                                                 std::to_string(least) + " or more, got " + std::to_string(value));
}

Tensor conv1d_forward(const Call& call) {
  floating_result(call.op, call.inputs);
  require_rank(call, 0, "a tensor [N, C, L]");
  require_rank(call, 1, "a filter [O, C / groups, k]");
  require_at_least(call, "stride", call.integer(0), 1);
  require_at_least(call, "padding", call.integer(1), 0);
  require_at_least(call, "dilation", call.integer(2), 1);
  require_at_least(call, "groups", call.integer(3), 1);
  const Tensor &x = call.in(0), &filter = call.in(1), &bias = call.in(2);
  const int64_t groups = call.integer(3), reach = call.integer(2) * (filter.size(2) - 1) + 1;
  const bool fits = x.size(1) == filter.size(1) * groups && filter.size(0) % groups == 0 &&
                    x.size(2) + 2 * call.integer(1) >= reach && filter.size(2) > 0;
  if (!fits)
    throw Error(ErrorCode::kShapeMismatch, "conv1d: a filter [O, C / groups, k], got " + filter.shape().to_string() +
                                               ", doesn't fit the tensor [N, C, L], got " + x.shape().to_string() +
                                               ", in " + std::to_string(groups) + " groups");
  if (bias.defined() && bias.shape() != Shape(filter.size(0)))
    throw Error(ErrorCode::kShapeMismatch,
                "conv1d: the bias must be " + Shape(filter.size(0)).to_string() + ", got " + bias.shape().to_string());
  return lowered(conv2d(raised(x), raised(filter), bias, {1, call.integer(0)}, {0, call.integer(1)},
                        {1, call.integer(2)}, groups));
}

template <auto pool2d>
Tensor pool1d_forward(const Call& call) {
  floating_result(call.op, call.inputs);
  require_rank(call, 0, "a tensor [N, C, L]");
  const int64_t kernel = call.integer(0), stride = call.integer(1) == 0 ? kernel : call.integer(1);
  require_at_least(call, "kernel", kernel, 1);
  require_at_least(call, "stride", stride, 1);
  require_at_least(call, "padding", call.integer(2), 0);
  if (2 * call.integer(2) > kernel)
    throw Error(ErrorCode::kInvalidArgument, std::string(call.op.name) +
                                                 ": padding is at most half of the kernel, got " +
                                                 std::to_string(call.integer(2)) + " for " + std::to_string(kernel));
  if (call.in(0).size(2) + 2 * call.integer(2) < kernel)
    throw Error(ErrorCode::kShapeMismatch, std::string(call.op.name) + ": a kernel of " + std::to_string(kernel) +
                                               " is longer than the tensor " + call.in(0).shape().to_string());
  return lowered(pool2d(raised(call.in(0)), {1, kernel}, {1, stride}, {0, call.integer(2)}));
}

// The windows of plain loops over one axis.
RefArray conv1d_reference(const RefCall& c) {
  const RefArray &x = c.in(0), &f = c.in(1);
  const int64_t stride = c.integer(0), padding = c.integer(1), dilation = c.integer(2), groups = c.integer(3);
  const int64_t length = x.shape[2], taps = f.shape[2], inputs = f.shape[1], outputs = f.shape[0];
  RefArray out{{x.shape[0], outputs, (length + 2 * padding - dilation * (taps - 1) - 1) / stride + 1}, {}};
  for (int64_t at = 0; at < elements_of(out.shape); ++at) {
    const int64_t o = at / out.shape[2] % outputs, n = at / out.shape[2] / outputs;
    double total = c.inputs.size() > 2 ? c.in(2).data[static_cast<size_t>(o)] : 0;
    for (int64_t i = 0; i < inputs * taps; ++i) {
      const int64_t channel = o / (outputs / groups) * inputs + i / taps;
      const int64_t l = at % out.shape[2] * stride - padding + i % taps * dilation;
      if (l >= 0 && l < length)
        total += x.data[static_cast<size_t>((n * x.shape[1] + channel) * length + l)] *
                 f.data[static_cast<size_t>(o * inputs * taps + i)];
    }
    out.data.push_back(total);
  }
  return out;
}

template <bool largest>
RefArray pool1d_reference(const RefCall& c) {
  const RefArray& x = c.in(0);
  const int64_t kernel = c.integer(0), stride = c.integer(1) ? c.integer(1) : kernel, padding = c.integer(2);
  RefArray out{x.shape, {}};
  out.shape[2] = (x.shape[2] + 2 * padding - kernel) / stride + 1;
  for (int64_t at = 0; at < elements_of(out.shape); ++at) {
    double best = -1e300, total = 0;
    for (int64_t i = 0; i < kernel; ++i) {
      const int64_t l = at % out.shape[2] * stride - padding + i;
      if (l < 0 || l >= x.shape[2]) continue;
      const double value = x.data[static_cast<size_t>(at / out.shape[2] * x.shape[2] + l)];
      best = std::max(best, value);
      total += value / static_cast<double>(kernel);
    }
    out.data.push_back(largest ? best : total);
  }
  return out;
}

std::vector<Sample> pool_cases() {
  return {{{Shape{2, 2, 6}}, {int64_t{2}, int64_t{0}, int64_t{0}}},
          {{Shape{1, 2, 5}}, {int64_t{3}, int64_t{1}, int64_t{1}}},
          {{Shape{0, 2, 4}}, {int64_t{2}, int64_t{2}, int64_t{0}}}};
}

}  // namespace

std::span<const Op> conv1d_ops() {
  static const std::vector<Arg> pool_args = {tensor_arg("tensor"), int_arg("kernel"), int_arg("stride", 0),
                                             int_arg("padding", 0)};
  static const std::vector<Op> rows = {
      {.name = "conv1d",
       .js = "conv1d",
       .args = {tensor_arg("tensor"), tensor_arg("filter"), optional_tensor_arg("bias"), int_arg("stride", 1),
                int_arg("padding", 0), int_arg("dilation", 1), int_arg("groups", 1)},
       .doc = "The cross-correlation of [N, C, L] with a filter [O, C / groups, k], plus a bias [O] if there is one; "
              "`padding` zeros are on both sides.",
       .forward = conv1d_forward,
       .gradient = Gradient::composed(),
       .reference = conv1d_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 2, 5}, Shape{3, 2, 2}, Shape{3}}, {int64_t{1}, int64_t{1}, int64_t{1}, int64_t{1}}},
                    {{Shape{1, 4, 7}, Shape{2, 2, 3}}, {int64_t{2}, int64_t{0}, int64_t{2}, int64_t{2}}},
                    {{Shape{0, 1, 3}, Shape{1, 1, 2}}, {int64_t{1}, int64_t{0}, int64_t{1}, int64_t{1}}}}},
       .dtypes = DTypes::kFloating},
      {.name = "avg_pool1d",
       .js = "avgPool1d",
       .args = pool_args,
       .doc = "The mean of each window of [N, C, L]. Stride 0 stands for the kernel's; padding counts as zeros, and is "
              "at most half of the kernel.",
       .forward = pool1d_forward<avg_pool2d>,
       .gradient = Gradient::composed(),
       .reference = pool1d_reference<false>,
       .samples = {{{-2, 2}}, pool_cases()},
       .dtypes = DTypes::kFloating},
      {.name = "max_pool1d",
       .js = "maxPool1d",
       .args = pool_args,
       .doc = "The maximum of each window of [N, C, L], NaN if it holds one. Stride 0 stands for the kernel's; padding "
              "never wins, and is at most half of the kernel.",
       .forward = pool1d_forward<max_pool2d>,
       .gradient = Gradient::composed(),
       .reference = pool1d_reference<true>,
       .samples = {{{-2, 2}}, pool_cases(), false},
       .dtypes = DTypes::kFloating},
  };
  return rows;
}

}  // namespace sm::ops
