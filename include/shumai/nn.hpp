#pragma once

#include <cstdint>

#include "shumai/module.hpp"

// Layers: each a Module that is called with tensors and returns tensors. They
// throw Error with the name of the operation that found something wrong, what
// it expects and what came.
//
// Weights have PyTorch's names, layouts and initial distributions
// (torch.nn.modules, reset_parameters), so files can be exchanged. They are
// drawn from the stream that manual_seed starts. An option `bias = false`
// leaves the bias out; `dtype` is that of weights and buffers.
namespace sm::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = DType::f32;
};

// x W' + b on the last axis: [..., inputs] to [..., outputs].
//
// weight [outputs, inputs] as in PyTorch; JavaScript's Linear keeps the layout
// of the original, which is [inputs, outputs]. Both are uniform within
// 1 / sqrt(inputs) at first.
class Linear : public Module {
 public:
  Linear(int64_t inputs, int64_t outputs, LinearOptions options = {});
  Tensor operator()(const Tensor& x) const;
  const Tensor& weight() const noexcept { return weight_; }
  const Tensor& bias() const noexcept { return bias_; }

 private:
  Tensor weight_, bias_;
};

struct ConvOptions {
  Dims stride = 1;
  Dims padding = 0;  // zeros on both sides
  Dims dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  DType dtype = DType::f32;
};

// The cross-correlation of [N, inputs, H, W] with weight [outputs, inputs / groups, kH, kW],
// see sm::conv2d. One number in `kernel` and the options stands for both axes.
class Conv2d : public Module {
 public:
  Conv2d(int64_t inputs, int64_t outputs, const Dims& kernel, ConvOptions options = {});
  Tensor operator()(const Tensor& x) const;
  const Tensor& weight() const noexcept { return weight_; }
  const Tensor& bias() const noexcept { return bias_; }

 private:
  ConvOptions options_;
  Tensor weight_, bias_;
};

struct PoolOptions {
  Dims stride = {};  // the kernel's when empty
  Dims padding = 0;
};

// The mean, or the maximum, of each window of [N, C, H, W]: see sm::avg_pool2d.
class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(Dims kernel, PoolOptions options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  Dims kernel_;
  PoolOptions options_;
};

class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(Dims kernel, PoolOptions options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  Dims kernel_;
  PoolOptions options_;
};

// [N, ...] to [N, everything else].
class Flatten : public Module {
 public:
  Tensor operator()(const Tensor& x) const;
};

}  // namespace sm::nn
