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
// of the original, which is [inputs, outputs], and writes this one to files.
// Both are uniform within 1 / sqrt(inputs) at first.
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

// The same over one axis: [N, inputs, L] with weight [outputs, inputs / groups, k].
class Conv1d : public Module {
 public:
  Conv1d(int64_t inputs, int64_t outputs, int64_t kernel, ConvOptions options = {});
  Tensor operator()(const Tensor& x) const;
  const Tensor& weight() const noexcept { return weight_; }
  const Tensor& bias() const noexcept { return bias_; }

 private:
  ConvOptions options_;
  Tensor weight_, bias_;
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

class MaxPool2d : public Module {  // as AvgPool2d, the largest of each window
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

struct NormOptions {
  double epsilon = 1e-5;
  bool affine = true;  // a weight of ones and a bias of zeros, both trained
  bool bias = true;    // no effect without `affine`; RMSNorm never has one
  DType dtype = DType::f32;
};

// Mean 0 and variance 1 over the last axes, whose sizes are `shape`, then
// weight and bias [shape]: see sm::layer_norm.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(Shape shape, NormOptions options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  Shape shape_;
  double epsilon_;
  Tensor weight_, bias_;
};

// Divided by the root of the mean square over the last axes: see sm::rms_norm.
// PyTorch's default epsilon is that of the dtype.
class RMSNorm : public Module {
 public:
  explicit RMSNorm(Shape shape, NormOptions options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  Shape shape_;
  double epsilon_;
  Tensor weight_;
};

// Mean 0 and variance 1 over each of `groups` groups of the channels of
// [N, channels, ...], then weight and bias [channels]: see sm::group_norm.
class GroupNorm : public Module {
 public:
  GroupNorm(int64_t groups, int64_t channels, NormOptions options = {});
  Tensor operator()(const Tensor& x) const;

 private:
  int64_t groups_;
  int64_t channels_;
  double epsilon_;
  Tensor weight_, bias_;
};

struct BatchNormOptions {
  double epsilon = 1e-5;
  double momentum = 0.1;  // the share of the newest batch in the running statistics
  bool affine = true;
  DType dtype = DType::f32;
};

// Mean 0 and variance 1 for each channel of [N, channels, H, W], then weight
// and bias [channels] (Ioffe and Szegedy, 2015). In train mode over the batch,
// whose mean and variance (divided by the count less one) go into the buffers
// running_mean and running_var; in eval mode by those.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int64_t channels, BatchNormOptions options = {});
  // Throws Error (kShapeMismatch) for another shape, and in train mode for a
  // batch of one value a channel.
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor normalize_batch(const Tensor& x) const;

  int64_t channels_;
  BatchNormOptions options_;
  Tensor weight_, bias_, mean_, variance_, batches_;
};

// In train mode zeros with probability `p`, and the rest divided by 1 - p.
class Dropout : public Module {
 public:
  // Throws Error (kInvalidArgument) unless 0 <= p <= 1.
  explicit Dropout(double p = 0.5);
  Tensor operator()(const Tensor& x) const;

 private:
  double p_;
};

struct EmbeddingOptions {
  DType dtype = DType::f32;
};

// Integers of any shape [...] to rows of weight [count, width]: [..., width].
// The weight is normal with variance 1 at first.
class Embedding : public Module {
 public:
  Embedding(int64_t count, int64_t width, EmbeddingOptions options = {});
  // Throws Error (kOutOfRange) for an index outside the weight.
  Tensor operator()(const Tensor& indices) const;
  const Tensor& weight() const noexcept { return weight_; }

 private:
  Tensor weight_;
};

}  // namespace sm::nn
