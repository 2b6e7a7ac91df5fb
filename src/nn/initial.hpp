#pragma once

#include <cstdint>

#include "shumai/tensor.hpp"

// How weights begin.
namespace sm::nn {

// Uniform in [-bound, bound).
Tensor uniform(const Shape& shape, double bound, DType dtype);

// Uniform within 1 / sqrt(inputs), for weights and biases alike: what
// kaiming_uniform_(a = sqrt(5)) comes to in torch.nn.Linear and _ConvNd.
Tensor uniform_for(const Shape& shape, int64_t inputs, DType dtype);

// Uniform with variance 2 / (inputs + outputs) for weight [outputs, inputs]:
// Glorot and Bengio, "Understanding the difficulty of training deep
// feedforward neural networks", 2010.
Tensor glorot_uniform(const Shape& shape, DType dtype);

// Throws Error (kInvalidArgument): "Linear: inputs must be 1 or more, got 0".
void check_positive(const char* module, const char* name, int64_t value);

// Throws Error (kInvalidArgument) unless 0 <= p <= 1.
void check_probability(const char* module, double p);

}  // namespace sm::nn
