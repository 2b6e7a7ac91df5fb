#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/module.hpp"
#include "shumai/ops.hpp"
#include "util/testing.hpp"

// What tests of modules share.
namespace sm::nn {

// The message that `f` throws; fails unless it is an Error with that code.
template <class F>
std::string error_of(ErrorCode code, F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// Compares backward with central differences along a random direction of each
// parameter and each floating input, in float64. `call` gets the inputs.
template <class F>
void check_gradients(const Module& module, std::vector<Tensor> inputs, F call) {
  Tensors leaves = module.named_parameters();
  for (size_t i = 0; i < inputs.size(); ++i)
    if (is_floating(inputs[i].dtype()))
      leaves.set("input " + std::to_string(i), inputs[i] = inputs[i].copy().requires_grad(true));
  const Tensor output = call(inputs);
  const Tensor weights = rand(output.shape(), DType::f64) - 0.5;
  const Gradients gradients = output.backward(weights);
  const auto at = [&](const Tensor& leaf, const Tensor& value) {
    leaf.update(value);
    return sum(call(inputs) * weights).template item<double>();
  };
  constexpr double kStep = 1e-6;
  for (const auto& [name, leaf] : leaves) {
    ASSERT_EQ(leaf.dtype(), DType::f64) << name;
    const Tensor before = leaf.copy(), direction = rand(leaf.shape(), DType::f64) - 0.5;
    const double difference = (at(leaf, before + direction * kStep) - at(leaf, before - direction * kStep)) / 2 / kStep;
    leaf.update(before);
    ASSERT_TRUE(gradients.of(leaf).defined()) << name;
    EXPECT_NEAR(sum(gradients.of(leaf) * direction).template item<double>(), difference,
                1e-6 * std::max(1.0, std::abs(difference)))
        << name;
  }
}

using TemporaryDirectory = util::testing::Directory;

inline std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

}  // namespace sm::nn
