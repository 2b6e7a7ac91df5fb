#include "kernels/conv.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "kernels/copy.hpp"
#include "kernels/cpu/conv_onednn.hpp"
#include "kernels/cpu/conv_simd.hpp"
#include "kernels/parallel.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

[[noreturn]] void reject(const char* op, const std::string& why) {
  throw Error(ErrorCode::kShapeMismatch, std::string(op) + ": " + why);
}

void check_parameters(const char* op, const ConvParameters& p) {
  for (int i = 0; i < 2; ++i)
    if (p.stride[i] < 1 || p.padding[i] < 0 || p.dilation[i] < 1)
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(op) + ": stride and dilation must be 1 or more and padding 0 or more, got stride " +
                      Dims(p.stride).to_string() + ", dilation " + Dims(p.dilation).to_string() + ", padding " +
                      Dims(p.padding).to_string());
  if (p.groups < 1)
    throw Error(ErrorCode::kInvalidArgument,
                std::string(op) + ": groups must be 1 or more, got " + std::to_string(p.groups));
}

// Where along an axis the filter can stand; 0 when it doesn't fit.
int64_t positions(int64_t size, int64_t kernel, int64_t padding, int64_t dilation) {
  int64_t reach = 0, padded = 0;
  if (__builtin_mul_overflow(dilation, kernel - 1, &reach) || __builtin_mul_overflow(padding, 2, &padded) ||
      __builtin_add_overflow(padded, size, &padded))
    return 0;
  return std::max<int64_t>(padded - reach, 0);
}

ConvSizes check_sizes(const char* op, const Shape& input, const Shape& filter, const ConvParameters& p) {
  check_parameters(op, p);
  const std::string got = "got " + input.to_string() + " and " + filter.to_string();
  if (input.size() != 4 || filter.size() != 4)
    reject(op, "expects an input [N, C, H, W] and a filter [O, C / groups, kH, kW], " + got);
  if (filter[1] * p.groups != input[1])
    reject(op, "with groups " + std::to_string(p.groups) + " a filter " + filter.to_string() + " needs an input [N, " +
                   std::to_string(filter[1] * p.groups) + ", H, W], got " + input.to_string());
  if (filter[0] % p.groups != 0)
    reject(op, "the filter's first size must be a multiple of groups, got a filter " + filter.to_string() +
                   " and groups " + std::to_string(p.groups));
  ConvSizes s{input[0], input[1], input[2],  input[3],  filter[0], p.groups, {filter[2], filter[3]},
              {},       p.stride, p.padding, p.dilation};
  for (int i = 0; i < 2; ++i) {
    const int64_t steps = s.kernel[i] < 1 ? 0 : positions(input[2 + i], s.kernel[i], s.padding[i], s.dilation[i]);
    // A longer stride than there is room for is the same as that one.
    s.stride[i] = std::min(s.stride[i], std::max<int64_t>(steps, 1));
    s.out[i] = steps < 1 ? 0 : (steps - 1) / s.stride[i] + 1;
    if (s.out[i] < 1)
      reject(op, "the filter doesn't fit into the padded input, " + got + " with padding " +
                     Dims(p.padding).to_string() + " and dilation " + Dims(p.dilation).to_string());
  }
  return s;
}

Shape output_shape(const ConvSizes& s) { return {s.batch, s.out_channels, s.out[0], s.out[1]}; }

void check_gradient(const char* op, const Tensor& gradient, const ConvSizes& sizes) {
  if (gradient.shape() != output_shape(sizes))
    reject(op, "expects a gradient of the output's shape " + output_shape(sizes).to_string() + ", got " +
                   gradient.shape().to_string());
}

// Calls visit(output index, input index, filter index) for each product that
// makes up output channel `o` of item `n`.
template <class Visit>
void for_each_product(const ConvSizes& s, int64_t n, int64_t o, Visit&& visit) {
  const int64_t channels = s.in_channels / s.groups, first = o / (s.out_channels / s.groups) * channels;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t kh = 0; kh < s.kernel[0]; ++kh)
      for (int64_t kw = 0; kw < s.kernel[1]; ++kw) {
        const int64_t tap = ((o * channels + c) * s.kernel[0] + kh) * s.kernel[1] + kw;
        for (int64_t oh = 0; oh < s.out[0]; ++oh) {
          const int64_t h = oh * s.stride[0] + kh * s.dilation[0] - s.padding[0];
          if (h < 0 || h >= s.height) continue;
          const int64_t out_row = ((n * s.out_channels + o) * s.out[0] + oh) * s.out[1];
          const int64_t in_row = ((n * s.in_channels + first + c) * s.height + h) * s.width;
          for (int64_t ow = 0; ow < s.out[1]; ++ow) {
            const int64_t w = ow * s.stride[1] + kw * s.dilation[1] - s.padding[1];
            if (w >= 0 && w < s.width) visit(out_row + ow, in_row + w, tap);
          }
        }
      }
}

// Plain loops, for float64 and for what oneDNN doesn't take.
template <class T>
void run_direct(ConvPass pass, const ConvSizes& s, T* input, T* filter, const T* bias, T* output) {
  const int64_t plane = s.out[0] * s.out[1];
  if (pass == ConvPass::kForward) {
    parallel_for(s.batch * s.out_channels, 0, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t o = i % s.out_channels;
        std::fill_n(output + i * plane, plane, bias ? bias[o] : T{});
        for_each_product(s, i / s.out_channels, o,
                         [&](int64_t out, int64_t in, int64_t tap) { output[out] += input[in] * filter[tap]; });
      }
    });
  } else if (pass == ConvPass::kInputGradient) {
    parallel_for(s.batch, 0, [&](int64_t begin, int64_t end) {
      std::fill(input + begin * s.input_elements(), input + end * s.input_elements(), T{});
      for (int64_t i = begin * s.out_channels; i < end * s.out_channels; ++i)
        for_each_product(s, i / s.out_channels, i % s.out_channels,
                         [&](int64_t out, int64_t in, int64_t tap) { input[in] += output[out] * filter[tap]; });
    });
  } else {
    std::fill_n(filter, s.filter_elements(), T{});
    parallel_for(s.out_channels, 0, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o)
        for (int64_t n = 0; n < s.batch; ++n)
          for_each_product(s, n, o,
                           [&](int64_t out, int64_t in, int64_t tap) { filter[tap] += output[out] * input[in]; });
    });
  }
}

void run_pass(ConvPass pass, const ConvSizes& s, const Tensor& input, const Tensor& filter, const Tensor& bias,
              const Tensor& output) {
  if (input.dtype() == DType::f64)
    return run_direct<double>(pass, s, input.impl()->as<double>(), filter.impl()->as<double>(),
                              bias.defined() ? bias.impl()->as<double>() : nullptr, output.impl()->as<double>());
  assert(input.dtype() == DType::f32);
  float* x = input.impl()->as<float>();
  float* w = filter.impl()->as<float>();
  float* y = output.impl()->as<float>();
  const float* b = bias.defined() ? bias.impl()->as<float>() : nullptr;
  const bool empty = s.batch == 0 || s.in_channels == 0 || s.out_channels == 0;
  if (!empty && (run_simd(pass, s, {x, w, b, y}) || run_onednn(pass, s, {x, w, b, y}))) return;
  run_direct<float>(pass, s, x, w, b, y);
}

bool is_half(const Tensor& x) { return x.dtype() == DType::f16 || x.dtype() == DType::bf16; }

}  // namespace

Tensor conv2d(const char* op, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ConvParameters& parameters) {
  if (is_half(x)) {
    const Tensor wide_bias = bias.defined() ? cast(bias, DType::f32) : Tensor();
    return cast(conv2d(op, cast(x, DType::f32), cast(filter, DType::f32), wide_bias, parameters), x.dtype());
  }
  const ConvSizes sizes = check_sizes(op, x.shape(), filter.shape(), parameters);
  if (bias.defined() && bias.shape() != Shape(sizes.out_channels))
    reject(op, "expects a bias of shape [" + std::to_string(sizes.out_channels) + "], got " + bias.shape().to_string());
  Tensor out = make_tensor(output_shape(sizes), x.dtype());
  run_pass(ConvPass::kForward, sizes, contiguous(x), contiguous(filter), bias.defined() ? contiguous(bias) : bias, out);
  return out;
}

Tensor conv2d_input_gradient(const char* op, const Tensor& gradient, const Tensor& filter, const Shape& input,
                             const ConvParameters& parameters) {
  if (is_half(gradient))
    return cast(conv2d_input_gradient(op, cast(gradient, DType::f32), cast(filter, DType::f32), input, parameters),
                gradient.dtype());
  const ConvSizes sizes = check_sizes(op, input, filter.shape(), parameters);
  check_gradient(op, gradient, sizes);
  Tensor out = make_tensor(input, gradient.dtype());
  run_pass(ConvPass::kInputGradient, sizes, out, contiguous(filter), {}, contiguous(gradient));
  return out;
}

Tensor conv2d_filter_gradient(const char* op, const Tensor& gradient, const Tensor& x, const Shape& filter,
                              const ConvParameters& parameters) {
  if (is_half(gradient))
    return cast(conv2d_filter_gradient(op, cast(gradient, DType::f32), cast(x, DType::f32), filter, parameters),
                gradient.dtype());
  const ConvSizes sizes = check_sizes(op, x.shape(), filter, parameters);
  check_gradient(op, gradient, sizes);
  Tensor out = make_tensor(filter, gradient.dtype());
  run_pass(ConvPass::kFilterGradient, sizes, contiguous(x), out, {}, contiguous(gradient));
  return out;
}

}  // namespace sm::kernels
