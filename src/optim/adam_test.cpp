#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"

namespace sm::optim {
namespace {

using testing::HasSubstr;

const std::vector<double> kGradients[] = {{0.5, -2}, {1, 0}, {-3, 0.25}, {0.125, 8}, {0, -1}};

// The paper's algorithm as it is printed, on one number.
struct Reference {
  AdamOptions options;
  double decoupled = 0;
  double weight, m = 0, v = 0, most = 0;
  int t = 0;

  void step(double g) {
    ++t;
    weight -= options.learning_rate * decoupled * weight;
    g += options.weight_decay * weight;
    m = options.betas[0] * m + (1 - options.betas[0]) * g;
    v = options.betas[1] * v + (1 - options.betas[1]) * g * g;
    most = std::max(most, v);
    const double mean = m / (1 - std::pow(options.betas[0], t));
    const double scale = (options.amsgrad ? most : v) / (1 - std::pow(options.betas[1], t));
    weight -= options.learning_rate * mean / (std::sqrt(scale) + options.eps);
  }
};

void expect_follows(const Optimizer& optimizer, const AdamOptions& options, double decoupled) {
  Reference a{options, decoupled, 1}, b{options, decoupled, -2};
  const Tensor weight = tensor({1., -2.}).requires_grad(true);
  for (const auto& gradient : kGradients) {
    optimizer(Gradients({{weight, tensor(gradient)}}));
    a.step(gradient[0]);
    b.step(gradient[1]);
    EXPECT_NEAR(weight.to_vector<double>()[0], a.weight, 1e-14);
    EXPECT_NEAR(weight.to_vector<double>()[1], b.weight, 1e-14);
  }
}

TEST(Adam, FirstStepIsTheLearningRateAgainstTheSign) {
  const Tensor weight = tensor({1., 1., 1.}).requires_grad(true);
  const Adam adam({.learning_rate = 0.1});
  adam(Gradients({{weight, tensor({1e-3, -50., 0.})}}));
  const auto moved = weight.to_vector<double>();
  EXPECT_NEAR(moved[0], 0.9, 1e-5);
  EXPECT_NEAR(moved[1], 1.1, 1e-5);
  EXPECT_EQ(moved[2], 1);
}

TEST(Adam, FollowsThePaper) {
  const AdamOptions plain{.learning_rate = 0.1};
  expect_follows(Adam(plain), plain, 0);
  const AdamOptions other{.learning_rate = 0.02, .betas = {0.5, 0.75}, .eps = 1e-3, .weight_decay = 0.25};
  expect_follows(Adam(other), other, 0);
}

TEST(Adam, WithAmsgradDividesByTheLargestAverage) {
  const AdamOptions options{.learning_rate = 0.1, .betas = {0.9, 0.5}, .amsgrad = true};
  expect_follows(Adam(options), options, 0);
}

TEST(AdamW, DecaysApartFromTheGradient) {
  const AdamOptions options{.learning_rate = 0.1};
  expect_follows(AdamW({.learning_rate = 0.1, .weight_decay = 0.3}), options, 0.3);
  expect_follows(AdamW({.learning_rate = 0.1}), options, 0.01);
}

TEST(Adam, CountsTheStepsOfEachWeightApart) {
  const Tensor early = tensor({1.}).requires_grad(true), late = tensor({1.}).requires_grad(true);
  const Adam adam({.learning_rate = 0.1});
  for (int i = 0; i < 5; ++i) adam(Gradients({{early, tensor({1.})}}));
  adam(Gradients({{late, tensor({1.})}}));
  EXPECT_NEAR(late.item<double>(), 0.9, 1e-8);
  EXPECT_EQ(adam.steps(), 6);
}

TEST(Adam, KeepsFloat32AveragesForHalfPrecision) {
  for (DType dtype : {DType::f16, DType::bf16}) {
    const Tensor weight = full({3}, 1, dtype).requires_grad(true);
    const Adam adam({.learning_rate = 0.25, .amsgrad = true});
    // The squares, 1e-8, underflow in float16.
    adam(Gradients({{weight, full({3}, 1e-4, dtype)}}));
    EXPECT_EQ(weight.dtype(), dtype);
    EXPECT_NEAR(weight.to_vector<float>()[0], 0.75f, 0.01);
    const Tensors state = adam.state({{"w", weight}});
    EXPECT_EQ(state["exp_avg_sq/w"].dtype(), DType::f32);
    EXPECT_NEAR(state["exp_avg_sq/w"].to_vector<float>()[0], 1e-11, 1e-12);
  }
}

TEST(Adam, FindsTheMinimumOfAParabola) {
  const Tensor w = tensor({5.f, -3.f}).requires_grad(true);
  const Adam adam({.learning_rate = 0.1});
  for (int i = 0; i < 500; ++i) adam(sum(square(w - tensor({1.f, 2.f}))).backward());
  EXPECT_NEAR(w.to_vector<float>()[0], 1, 1e-3);
  EXPECT_NEAR(w.to_vector<float>()[1], 2, 1e-3);
}

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

TEST(Adam, RefusesNumbersThatMakeNoSense) {
  EXPECT_THAT(error_of([] { Adam({.learning_rate = -1}); }), HasSubstr("Adam: learning_rate must be 0 or more"));
  EXPECT_THAT(error_of([] { Adam({.betas = {1, 0.9}}); }), HasSubstr("betas[0] must be 0 or more and below 1, got 1"));
  EXPECT_THAT(error_of([] { AdamW({.betas = {0.9, -0.1}}); }), HasSubstr("AdamW: betas[1]"));
  EXPECT_THAT(error_of([] { Adam({.eps = std::numeric_limits<double>::quiet_NaN()}); }), HasSubstr("eps"));
  EXPECT_THAT(error_of([] { AdamW({.weight_decay = -1}); }), HasSubstr("weight_decay"));
}

}  // namespace
}  // namespace sm::optim
