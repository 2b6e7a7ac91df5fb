#include "nn/initial.hpp"
#include "shumai/layers.hpp"
#include "shumai/ops.hpp"

namespace sm::nn {

Linear::Linear(int64_t inputs, int64_t outputs, LinearOptions options) {
  check_positive("Linear", "inputs", inputs);
  check_positive("Linear", "outputs", outputs);
  weight_ = parameter("weight", uniform_for({outputs, inputs}, inputs, options.dtype));
  if (options.bias) bias_ = parameter("bias", uniform_for({outputs}, inputs, options.dtype));
}

Tensor Linear::operator()(const Tensor& x) const { return linear(x, weight_.transpose(), bias_); }

Tensor Flatten::operator()(const Tensor& x) const { return reshape(x, {x.size(0), -1}); }

}  // namespace sm::nn
