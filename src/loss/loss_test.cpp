#include "shumai/loss.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::loss {
namespace {

constexpr GradcheckOptions kExact{.step = 1e-6, .tolerance = 1e-7, .seed = 3};
constexpr float kInf = std::numeric_limits<float>::infinity();

double value(const Tensor& x) { return x.item<double>(); }

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

Tensor logits() { return tensor(std::vector<double>{0.2, -1.3, 0.8, 1.5, 0.1, -0.4}, {2, 3}); }
Tensor near_logits() { return tensor(std::vector<double>{0.9, -0.2, 0.1, -2.5, 0.7, 0.35}, {2, 3}); }

TEST(Mse, IsTheMeanSquare) {
  EXPECT_DOUBLE_EQ(value(mse(tensor({1.0, 2.0, 5.0}), tensor({1.0, 4.0, 1.0}))), 20. / 3);
  EXPECT_EQ(mse(ones({2, 3}), zeros({2, 3})).shape(), Shape{});
}

TEST(Mse, Broadcasts) {
  EXPECT_DOUBLE_EQ(value(mse(tensor({{1.0, 2.0}, {3.0, 4.0}}), 1.0)), (0 + 1 + 4 + 9) / 4.);
  error_of(ErrorCode::kShapeMismatch, [] { mse(ones({2}), ones({3})); });
}

TEST(Mae, IsTheMeanDistance) { EXPECT_DOUBLE_EQ(value(mae(tensor({1.0, 2.0, 5.0}), tensor({1.0, 4.0, 1.0}))), 2); }

TEST(Huber, IsQuadraticNearAndLinearFar) {
  EXPECT_DOUBLE_EQ(value(huber(tensor({0.5}), 0.0)), 0.125);
  EXPECT_DOUBLE_EQ(value(huber(tensor({-3.0}), 0.0)), 2.5);
  EXPECT_DOUBLE_EQ(value(huber(tensor({1.0}), 0.0)), 0.5);
  EXPECT_DOUBLE_EQ(value(huber(tensor({3.0}), 0.0, 2.0)), 2 * (3 - 1));
  for (double delta : {0.0, -1.0, std::nan("")})
    error_of(ErrorCode::kInvalidArgument, [=] { huber(ones({1}), 0.0, delta); });
}

TEST(CrossEntropy, OfLabelsIsTheMeanNegativeLogProbability) {
  const std::vector<double> p = softmax(logits(), 1).to_vector<double>();
  EXPECT_NEAR(value(cross_entropy(logits(), tensor({2, 0}))), -(std::log(p[2]) + std::log(p[3])) / 2, 1e-14);
}

TEST(CrossEntropy, OfProbabilitiesAgreesWithLabels) {
  const Tensor labels = tensor({2, 0});
  EXPECT_DOUBLE_EQ(value(cross_entropy(logits(), astype(one_hot(labels, 3), DType::f64))),
                   value(cross_entropy(logits(), labels)));
  const Tensor even = full({2, 3}, 1 / 3., DType::f64);
  EXPECT_NEAR(value(cross_entropy(zeros({2, 3}, DType::f64), even)), std::log(3), 1e-14);
}

TEST(CrossEntropy, IsStableForHugeLogits) {
  EXPECT_EQ(value(cross_entropy(tensor({{1000.f, 0.f}, {0.f, 1000.f}}), tensor({0, 1}))), 0);
  EXPECT_EQ(value(cross_entropy(tensor({{1000.f, 0.f}}), tensor({1}))), 1000);
}

TEST(CrossEntropy, TakesAMaskedClass) {
  const Tensor x = tensor({{0.f, -kInf, 0.f}}).requires_grad(true);
  const Tensor loss = cross_entropy(x, tensor({0}));
  EXPECT_FLOAT_EQ(loss.item<float>(), std::log(2.f));
  EXPECT_EQ(loss.backward().of(x).to_vector<float>(), (std::vector<float>{-0.5f, 0, 0.5f}));
}

TEST(CrossEntropy, SaysWhatDoesNotFit) {
  error_of(ErrorCode::kShapeMismatch, [] { cross_entropy(zeros({3}), tensor({0})); });
  const std::string text = error_of(ErrorCode::kShapeMismatch, [] { cross_entropy(zeros({2, 3}), tensor({0, 1, 2})); });
  EXPECT_NE(text.find("[2, 3]"), std::string::npos) << text;
  EXPECT_NE(text.find("[3]"), std::string::npos) << text;
  error_of(ErrorCode::kShapeMismatch, [] { cross_entropy(zeros({2, 3}), zeros({2, 4})); });
  error_of(ErrorCode::kOutOfRange, [] { cross_entropy(zeros({2, 3}), tensor({0, 3})); });
}

TEST(BinaryCrossEntropy, IsTheMeanNegativeLogProbability) {
  const Tensor x = tensor({0.3, -2.0}), target = tensor({1.0, 0.25});
  double want = 0;
  for (auto [logit, t] : {std::pair(0.3, 1.0), std::pair(-2.0, 0.25)}) {
    const double p = 1 / (1 + std::exp(-logit));
    want -= (t * std::log(p) + (1 - t) * std::log(1 - p)) / 2;
  }
  EXPECT_NEAR(value(binary_cross_entropy_with_logits(x, target)), want, 1e-14);
}

TEST(BinaryCrossEntropy, IsStableForHugeLogits) {
  EXPECT_EQ(value(binary_cross_entropy_with_logits(tensor({1000.f, -1000.f}), tensor({1.f, 0.f}))), 0);
  EXPECT_EQ(value(binary_cross_entropy_with_logits(tensor({1000.f}), tensor({0.f}))), 1000);
}

TEST(Losses, HaveTheGradientOfTheirDifferences) {
  using Inputs = std::vector<Tensor>;
  const Inputs both{logits(), near_logits()};
  const Tensor labels = tensor({2, 0}), targets = full({2, 3}, 0.3, DType::f64);
  EXPECT_NO_THROW(gradcheck([](const Inputs& x) { return mse(x[0], x[1]); }, both, kExact));
  EXPECT_NO_THROW(gradcheck([](const Inputs& x) { return mae(x[0], x[1]); }, both, kExact));
  EXPECT_NO_THROW(gradcheck([](const Inputs& x) { return huber(x[0], x[1], 0.8); }, both, kExact));
  EXPECT_NO_THROW(gradcheck([](const Inputs& x) { return cross_entropy(x[0], softmax(x[1])); }, both, kExact));
  EXPECT_NO_THROW(gradcheck([&](const Inputs& x) { return cross_entropy(x[0], labels); }, {logits()}, kExact));
  EXPECT_NO_THROW(
      gradcheck([&](const Inputs& x) { return binary_cross_entropy_with_logits(x[0], targets); }, {logits()}, kExact));
}

TEST(Losses, KeepTheDTypeOfTheOutput) {
  for (DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    const Tensor x = zeros({2, 3}, dtype);
    EXPECT_EQ(mse(x, 1.0).dtype(), dtype);
    EXPECT_EQ(huber(x, 1.0).dtype(), dtype);
    EXPECT_EQ(cross_entropy(x, tensor({0, 1})).dtype(), dtype);
    EXPECT_EQ(binary_cross_entropy_with_logits(x, 1.0).dtype(), dtype);
  }
}

}  // namespace
}  // namespace sm::loss
