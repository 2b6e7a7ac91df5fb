#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "shumai/shumai.hpp"

namespace sm::optim {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

Gradients gradient_of(const Tensor& weight, const std::vector<double>& values) {
  return Gradients({{weight, tensor(values)}});
}

Tensor weight_at(const std::vector<double>& values) { return tensor(values).requires_grad(true); }

auto near(double value) { return DoubleNear(value, 1e-12); }

TEST(SGD, WithoutMomentumTakesThePlainStep) {
  const Tensor weight = weight_at({1, -2});
  const SGD sgd({.learning_rate = 0.5});
  sgd(gradient_of(weight, {2, 4}));
  sgd(gradient_of(weight, {2, 4}));
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(-1), near(-6)));
}

// Gradients 1, 2, 0 with momentum 0.5 give velocities 1, 2.5, 1.25.
TEST(SGD, MomentumSumsDecayedGradients) {
  const Tensor weight = weight_at({0});
  const SGD sgd({.learning_rate = 0.1, .momentum = 0.5});
  sgd(gradient_of(weight, {1}));
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(-0.1)));
  sgd(gradient_of(weight, {2}));
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(-0.35)));
  sgd(gradient_of(weight, {0}));
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(-0.475)));
}

// The same velocities, each step being gradient + 0.5 * velocity: 1.5, 3.25, 0.625.
TEST(SGD, NesterovLooksAhead) {
  const Tensor weight = weight_at({0});
  const SGD sgd({.learning_rate = 0.1, .momentum = 0.5, .nesterov = true});
  for (const double gradient : {1., 2., 0.}) sgd(gradient_of(weight, {gradient}));
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(-0.1 * (1.5 + 3.25 + 0.625))));
}

TEST(SGD, WeightDecayPullsTowardsZeroAndGoesThroughTheVelocity) {
  const Tensor weight = weight_at({10});
  const SGD sgd({.learning_rate = 0.1, .momentum = 0.5, .weight_decay = 0.2});
  sgd(gradient_of(weight, {1}));  // step 1 + 2 = 3
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(9.7)));
  sgd(gradient_of(weight, {1}));  // step 1 + 1.94, velocity 1.5 + 2.94
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(9.7 - 0.444)));
}

TEST(SGD, EachWeightHasItsOwnVelocity) {
  const Tensor a = weight_at({0}), b = weight_at({0});
  const SGD sgd({.learning_rate = 1, .momentum = 0.5});
  sgd(gradient_of(a, {1}));
  sgd(gradient_of(b, {1}));
  EXPECT_THAT(b.to_vector<double>(), ElementsAre(near(-1)));
  sgd(gradient_of(a, {0}));
  EXPECT_THAT(a.to_vector<double>(), ElementsAre(near(-1.5)));
  EXPECT_THAT(b.to_vector<double>(), ElementsAre(near(-1)));
}

TEST(SGD, CopiesShareVelocitiesAndLearningRate) {
  const Tensor weight = weight_at({0});
  const SGD sgd({.learning_rate = 1, .momentum = 0.5});
  const SGD copy = sgd;
  sgd(gradient_of(weight, {1}));
  sgd.set_learning_rate(0.5);
  EXPECT_EQ(copy.learning_rate(), 0.5);
  copy(gradient_of(weight, {0}));
  EXPECT_THAT(weight.to_vector<double>(), ElementsAre(near(-1.25)));
}

TEST(SGD, GraphThatHoldsTheWeightKeepsTheValueItSaw) {
  const Tensor weight = weight_at({3});
  const Tensor x = weight_at({2});
  const Tensor product = x * weight;
  const SGD sgd({.learning_rate = 1, .momentum = 0.9, .weight_decay = 0.1});
  sgd(gradient_of(weight, {1}));
  EXPECT_THAT(product.backward(tensor({1.})).of(x).to_vector<double>(), ElementsAre(near(3)));
}

TEST(SGD, KeepsShapeAndDTypeAndClearsTheGradient) {
  const Tensor weight = zeros({2, 3}).requires_grad(true);
  const SGD sgd({.learning_rate = 0.1, .momentum = 0.9});
  for (int step = 0; step < 3; ++step) sgd(sum(square(weight - 1)).backward());
  EXPECT_EQ(weight.dtype(), DType::f32);
  EXPECT_EQ(weight.shape(), Shape({2, 3}));
  EXPECT_TRUE(weight.requires_grad());
  EXPECT_FALSE(weight.grad().defined());
  EXPECT_EQ(weight.version(), 3u);
}

std::string error_of(SGDOptions options) {
  try {
    SGD{options};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(SGD, RefusesNumbersThatMakeNoSense) {
  EXPECT_THAT(error_of({.learning_rate = -1}), HasSubstr("learning_rate must be 0 or more, got -1"));
  EXPECT_THAT(error_of({.momentum = std::numeric_limits<double>::quiet_NaN()}), HasSubstr("momentum"));
  EXPECT_THAT(error_of({.weight_decay = -1e-3}), HasSubstr("weight_decay"));
  EXPECT_THAT(error_of({.nesterov = true}), HasSubstr("nesterov needs a momentum"));
  EXPECT_THROW(SGD().set_learning_rate(-1), Error);
}

}  // namespace
}  // namespace sm::optim
