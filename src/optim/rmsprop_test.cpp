#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"

namespace sm::optim {
namespace {

using testing::HasSubstr;

double moved(const RMSpropOptions& options, std::initializer_list<double> gradients) {
  const RMSprop rmsprop(options);
  const Tensor weight = tensor({1.}).requires_grad(true);
  for (double gradient : gradients) rmsprop(Gradients({{weight, tensor({gradient})}}));
  return weight.item<double>();
}

// With alpha 0.75 the squares 4 and 16 average to 1 and then 0.75 + 4.
TEST(RMSprop, DividesByTheRootOfTheAverageSquare) {
  const RMSpropOptions options{.learning_rate = 0.1, .alpha = 0.75, .eps = 0.5};
  EXPECT_NEAR(moved(options, {2}), 1 - 0.1 * 2 / 1.5, 1e-14);
  EXPECT_NEAR(moved(options, {2, -4}), 1 - 0.1 * 2 / 1.5 + 0.1 * 4 / (std::sqrt(4.75) + 0.5), 1e-14);
}

TEST(RMSprop, MomentumSumsTheMoves) {
  const RMSpropOptions options{.learning_rate = 0.1, .alpha = 0.75, .eps = 0.5, .momentum = 0.5};
  const double first = 2 / 1.5, second = 0.5 * first - 4 / (std::sqrt(4.75) + 0.5);
  EXPECT_NEAR(moved(options, {2, -4}), 1 - 0.1 * (first + second), 1e-14);
}

// The averages of the gradients are 0.5 and then 0.375 - 1.
TEST(RMSprop, CenteredDividesByTheDeviation) {
  const RMSpropOptions options{.learning_rate = 0.1, .alpha = 0.75, .eps = 0.5, .centered = true};
  const double first = 2 / (std::sqrt(1 - 0.25) + 0.5), second = -4 / (std::sqrt(4.75 - 0.625 * 0.625) + 0.5);
  EXPECT_NEAR(moved(options, {2, -4}), 1 - 0.1 * (first + second), 1e-14);
}

// With alpha 0 the average is the gradient, and the variance 0 but for rounding.
TEST(RMSprop, CenteredSurvivesAVarianceOfZero) {
  const Tensor weight = full({1000}, 1).requires_grad(true);
  const RMSprop rmsprop({.learning_rate = 1, .alpha = 0, .eps = 1, .centered = true});
  rmsprop(Gradients({{weight, linspace(0, 1, 1000)}}));
  EXPECT_TRUE(all(isfinite(weight)).item<bool>());
}

TEST(RMSprop, WeightDecayPullsTowardsZero) {
  const RMSpropOptions options{.learning_rate = 0.1, .alpha = 0.75, .eps = 0.5, .weight_decay = 0.5};
  EXPECT_NEAR(moved(options, {1.5}), 1 - 0.1 * 2 / 1.5, 1e-14);
}

TEST(RMSprop, RefusesNumbersThatMakeNoSense) {
  const auto error_of = [](RMSpropOptions options) -> std::string {
    try {
      RMSprop{options};
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of({.learning_rate = -1}), HasSubstr("RMSprop: learning_rate must be 0 or more, got -1"));
  EXPECT_THAT(error_of({.alpha = 1.5}), HasSubstr("alpha must be 1 or less"));
  EXPECT_THAT(error_of({.alpha = -1}), HasSubstr("alpha"));
  EXPECT_THAT(error_of({.eps = -1}), HasSubstr("eps"));
  EXPECT_THAT(error_of({.weight_decay = -1}), HasSubstr("weight_decay"));
  EXPECT_THAT(error_of({.momentum = -1}), HasSubstr("momentum"));
}

}  // namespace
}  // namespace sm::optim
