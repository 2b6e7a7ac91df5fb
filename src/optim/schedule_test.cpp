#include "shumai/schedule.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"

namespace sm::optim {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::Pointwise;

// The rates of the first steps from an initial 1.
std::vector<double> rates(const Schedule& schedule, int count, double initial = 1) {
  std::vector<double> out;
  for (int step = 0; step < count; ++step) out.push_back(schedule(step, initial));
  return out;
}

auto are(std::vector<double> expected) { return Pointwise(DoubleNear(1e-12), expected); }

TEST(Schedule, StepDecaysEverySoOften) {
  EXPECT_THAT(rates(step_lr(2, 0.5), 6, 8), are({8, 8, 4, 4, 2, 2}));
  EXPECT_DOUBLE_EQ(step_lr(30)(60, 1), 0.01);
}

TEST(Schedule, MultiStepDecaysAtItsMilestones) {
  EXPECT_THAT(rates(multi_step_lr({1, 3, 3}, 0.5), 5), are({1, 0.5, 0.5, 0.125, 0.125}));
  EXPECT_THAT(rates(multi_step_lr({}), 2), are({1, 1}));
}

TEST(Schedule, ExponentialDecaysEveryStep) { EXPECT_THAT(rates(exponential_lr(0.5), 4, 2), are({2, 1, 0.5, 0.25})); }

TEST(Schedule, ConstantEndsAtOnce) { EXPECT_THAT(rates(constant_lr(0.25, 2), 4), are({0.25, 0.25, 1, 1})); }

TEST(Schedule, LinearWarmsUp) {
  EXPECT_THAT(rates(linear_lr(0.2, 1, 4), 6), are({0.2, 0.4, 0.6, 0.8, 1, 1}));
  EXPECT_THAT(rates(linear_lr(), 6), are({5. / 15, 7. / 15, 9. / 15, 11. / 15, 13. / 15, 1}));
}

TEST(Schedule, PolynomialFallsToZero) { EXPECT_THAT(rates(polynomial_lr(4, 2), 6, 16), are({16, 9, 4, 1, 0, 0})); }

TEST(Schedule, CosineFallsAndRisesAgain) {
  const double high = 1 + 4 * (1 + std::sqrt(0.5)) / 2, low = 1 + 4 * (1 - std::sqrt(0.5)) / 2;
  EXPECT_THAT(rates(cosine_annealing_lr(4, 1), 9, 5), are({5, high, 3, low, 1, low, 3, high, 5}));
}

TEST(Schedule, WarmRestartsGrowLonger) {
  EXPECT_THAT(rates(cosine_annealing_warm_restarts(2), 5), are({1, 0.5, 1, 0.5, 1}));
  const double high = (1 + std::sqrt(0.5)) / 2, low = (1 - std::sqrt(0.5)) / 2;
  EXPECT_THAT(rates(cosine_annealing_warm_restarts(2, 2), 7), are({1, 0.5, 1, high, 0.5, low, 1}));
}

// As torch.optim.lr_scheduler.OneCycleLR gives.
TEST(Schedule, OneCycleRisesAndFalls) {
  const OneCycleOptions options{.pct_start = 0.5, .linear = true, .div_factor = 10, .final_div_factor = 10};
  EXPECT_THAT(rates(one_cycle_lr(1, 6, options), 8), are({0.1, 0.55, 1, 0.67, 0.34, 0.01, 0.01, 0.01}));
  const auto cosine = rates(one_cycle_lr(1, 10), 10);
  EXPECT_NEAR(cosine[0], 0.04, 1e-12);
  EXPECT_NEAR(cosine[1], 0.52, 1e-12);
  EXPECT_NEAR(cosine[2], 1, 1e-12);
  EXPECT_NEAR(cosine[9], 4e-6, 1e-12);
}

TEST(Schedule, OneCycleOfThreePhasesReturnsFirst) {
  const OneCycleOptions options{
      .pct_start = 0.4, .linear = true, .div_factor = 10, .final_div_factor = 10, .three_phase = true};
  EXPECT_THAT(rates(one_cycle_lr(1, 10, options), 10), are({0.1, 0.4, 0.7, 1, 0.7, 0.4, 0.1, 0.07, 0.04, 0.01}));
}

TEST(Schedule, SequentialStartsEachOneAtItsOwnZero) {
  const Schedule schedule = sequential_lr({linear_lr(0.5, 1, 2), exponential_lr(0.5)}, {3});
  EXPECT_THAT(rates(schedule, 6), are({0.5, 0.75, 1, 1, 0.5, 0.25}));
}

TEST(Schedule, MovesTheRateWithEachUpdate) {
  const SGD sgd({.learning_rate = 1});
  sgd.set_schedule(exponential_lr(0.5));
  const Tensor weight = tensor({0.}).requires_grad(true);
  for (double expected : {-1., -1.5, -1.75}) {
    sgd(Gradients({{weight, tensor({1.})}}));
    EXPECT_EQ(weight.item<double>(), expected);
  }
  EXPECT_EQ(sgd.learning_rate(), 0.125);
  sgd.set_learning_rate(8);
  EXPECT_EQ(sgd.learning_rate(), 1);
  sgd.set_schedule({});
  EXPECT_EQ(sgd.learning_rate(), 8);
}

TEST(Schedule, GoesOnWhereTheStateWasTaken) {
  const Tensor weight = tensor({0.}).requires_grad(true);
  const Gradients gradients({{weight, tensor({1.})}});
  const SGD first({.learning_rate = 1}), second({.learning_rate = 3});
  for (const SGD& sgd : {first, second}) sgd.set_schedule(cosine_annealing_lr(10));
  for (int i = 0; i < 4; ++i) first(gradients);
  second.load_state(first.state({}), {});
  EXPECT_EQ(second.learning_rate(), first.learning_rate());
  EXPECT_LT(second.learning_rate(), 1);
}

TEST(Schedule, RefusesARateBelowZero) {
  const SGD sgd;
  sgd.set_schedule([](int64_t, double) { return -1; });
  EXPECT_THROW(sgd(Gradients()), Error);
}

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Schedule, RefusesNumbersThatMakeNoSense) {
  EXPECT_THAT(error_of([] { step_lr(0); }), HasSubstr("step_lr: step_size must be 1 or more, got 0"));
  EXPECT_THAT(error_of([] { multi_step_lr({3, 1}); }), HasSubstr("milestones must ascend, got [3, 1]"));
  EXPECT_THAT(error_of([] { exponential_lr(-1); }), HasSubstr("exponential_lr: gamma"));
  EXPECT_THAT(error_of([] { linear_lr(-1); }), HasSubstr("start_factor"));
  EXPECT_THAT(error_of([] { cosine_annealing_lr(0); }), HasSubstr("t_max"));
  EXPECT_THAT(error_of([] { one_cycle_lr(1, 10, {.pct_start = 2}); }), HasSubstr("pct_start"));
  EXPECT_THAT(error_of([] { sequential_lr({linear_lr()}, {3}); }), HasSubstr("1 schedules and 1 milestones"));
  EXPECT_THAT(error_of([] { lambda_lr({}); }), HasSubstr("lambda_lr: needs a function"));
}

}  // namespace
}  // namespace sm::optim
