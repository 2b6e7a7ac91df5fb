#pragma once

#include <array>
#include <cstdint>

#include "shumai/tensor.hpp"

// Convolution and pooling over the last two axes of [N, C, H, W]. Floating
// dtypes; all tensors of a call have the same one, and so has the result. Any
// strides in, contiguous out, no graph. Each throws Error (kShapeMismatch,
// kInvalidArgument) that names `op`.
namespace sm::kernels {

using Pair = std::array<int64_t, 2>;  // along H and W

struct ConvParameters {
  Pair stride{1, 1};
  Pair padding{0, 0};   // zeros on both sides
  Pair dilation{1, 1};  // the distance between a filter's taps
  int64_t groups = 1;
};

// The cross-correlation of x [N, C, H, W] with filter [O, C / groups, kH, kW],
// plus bias [O] unless it is undefined: [N, O, oH, oW] with
// oH = (H + 2 padding - dilation (kH - 1) - 1) / stride + 1, rounded down.
Tensor conv2d(const char* op, const Tensor& x, const Tensor& filter, const Tensor& bias,
              const ConvParameters& parameters);

// The gradient of conv2d's input, of shape `input`, given that of its output.
Tensor conv2d_input_gradient(const char* op, const Tensor& gradient, const Tensor& filter, const Shape& input,
                             const ConvParameters& parameters);

// The gradient of conv2d's filter, of shape `filter`, given that of its output.
Tensor conv2d_filter_gradient(const char* op, const Tensor& gradient, const Tensor& x, const Shape& filter,
                              const ConvParameters& parameters);

struct PoolParameters {
  Pair kernel;
  Pair stride;
  Pair padding{0, 0};  // at most half of the kernel
};

// The mean of each window; padding counts as zeros.
Tensor avg_pool2d(const char* op, const Tensor& x, const PoolParameters& parameters);
Tensor avg_pool2d_gradient(const char* op, const Tensor& gradient, const Shape& input,
                           const PoolParameters& parameters);

// The maximum of each window, NaN if it holds one; padding doesn't count.
Tensor max_pool2d(const char* op, const Tensor& x, const PoolParameters& parameters);
// Each gradient goes to the first maximum of its window in x.
Tensor max_pool2d_gradient(const char* op, const Tensor& gradient, const Tensor& x, const PoolParameters& parameters);
// The elements of `values` that stand where the windows of x have their first maximum.
Tensor max_pool2d_gather(const char* op, const Tensor& values, const Tensor& x, const PoolParameters& parameters);

}  // namespace sm::kernels
