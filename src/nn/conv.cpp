#include <string>

#include "nn/initial.hpp"
#include "shumai/error.hpp"
#include "shumai/layers.hpp"
#include "shumai/ops.hpp"

namespace sm::nn {
namespace {

// The shape of the weight of a convolution over `axes` axes; one number in `kernel` stands for all of them.
Shape filter_shape(const char* module, int64_t inputs, int64_t outputs, const Dims& kernel, int64_t groups, int axes) {
  check_positive(module, "inputs", inputs);
  check_positive(module, "outputs", outputs);
  check_positive(module, "groups", groups);
  if (inputs % groups != 0 || outputs % groups != 0)
    throw Error(ErrorCode::kInvalidArgument, std::string(module) + ": groups must divide inputs and outputs, got " +
                                                 std::to_string(groups) + " for " + std::to_string(inputs) + " and " +
                                                 std::to_string(outputs));
  if (kernel.size() != 1 && kernel.size() != axes)
    throw Error(ErrorCode::kInvalidArgument, std::string(module) + ": kernel must have one size or " +
                                                 std::to_string(axes) + ", got " + kernel.to_string());
  Shape shape{outputs, inputs / groups};
  for (int i = 0; i < axes; ++i) {
    shape.push_back(kernel[kernel.size() == 1 ? 0 : i]);
    check_positive(module, "kernel", shape.back());
  }
  return shape;
}

}  // namespace

Conv2d::Conv2d(int64_t inputs, int64_t outputs, const Dims& kernel, ConvOptions options) : options_(options) {
  const Shape shape = filter_shape("Conv2d", inputs, outputs, kernel, options.groups, 2);
  const int64_t fan_in = shape[1] * shape[2] * shape[3];
  weight_ = parameter("weight", uniform_for(shape, fan_in, options.dtype));
  if (options.bias) bias_ = parameter("bias", uniform_for({outputs}, fan_in, options.dtype));
}

Tensor Conv2d::operator()(const Tensor& x) const {
  return conv2d(x, weight_, bias_, options_.stride, options_.padding, options_.dilation, options_.groups);
}

Conv1d::Conv1d(int64_t inputs, int64_t outputs, int64_t kernel, ConvOptions options) : options_(options) {
  const Shape shape = filter_shape("Conv1d", inputs, outputs, kernel, options.groups, 1);
  const int64_t fan_in = shape[1] * shape[2];
  weight_ = parameter("weight", uniform_for(shape, fan_in, options.dtype));
  if (options.bias) bias_ = parameter("bias", uniform_for({outputs}, fan_in, options.dtype));
}

Tensor Conv1d::operator()(const Tensor& x) const {
  return squeeze(conv2d(unsqueeze(x, 2), unsqueeze(weight_, 2), bias_, {1, options_.stride[0]},
                        {0, options_.padding[0]}, {1, options_.dilation[0]}, options_.groups),
                 2);
}

AvgPool2d::AvgPool2d(Dims kernel, PoolOptions options) : kernel_(std::move(kernel)), options_(std::move(options)) {}

Tensor AvgPool2d::operator()(const Tensor& x) const {
  return avg_pool2d(x, kernel_, options_.stride, options_.padding);
}

MaxPool2d::MaxPool2d(Dims kernel, PoolOptions options) : kernel_(std::move(kernel)), options_(std::move(options)) {}

Tensor MaxPool2d::operator()(const Tensor& x) const {
  return max_pool2d(x, kernel_, options_.stride, options_.padding);
}

}  // namespace sm::nn
