#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/loss.hpp"
#include "shumai/ops.hpp"

namespace sm::loss {
namespace {

using testing::HasSubstr;
using Doubles = std::vector<double>;
using Inputs = std::vector<Tensor>;

constexpr GradcheckOptions kExact{.step = 1e-6, .tolerance = 1e-7, .seed = 5};

double value(const Tensor& x) { return x.item<double>(); }
auto are(Doubles expected) { return testing::Pointwise(testing::DoubleNear(1e-12), expected); }

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

// Probabilities 1/2, 1/4, 1/4 and 1/8, 3/8, 4/8.
Tensor logs() { return log(tensor({{0.5, 0.25, 0.25}, {0.125, 0.375, 0.5}})); }
const double kLog2 = std::log(2.), kLog3 = std::log(3.);

TEST(Reduction, SumsOrKeepsTheLosses) {
  const Tensor a = tensor({1., 2., 5.}), b = tensor({1., 4., 1.});
  EXPECT_EQ(value(mse(a, b, Reduction::kSum)), 20);
  EXPECT_THAT(mse(a, b, Reduction::kNone).to_vector<double>(), are({0, 4, 16}));
  EXPECT_EQ(value(mae(a, b, Reduction::kSum)), 6);
  EXPECT_THAT(huber(a, b, 3, Reduction::kNone).to_vector<double>(), are({0, 2, 7.5}));
  const std::string text = error_of(ErrorCode::kInvalidArgument, [&] { mse(a, b, Reduction::kBatchMean); });
  EXPECT_THAT(text, HasSubstr("mse: reduction must be mean, sum or none"));
}

TEST(SmoothL1, IsHuberOverBeta) {
  const Tensor a = tensor({0.5, -3., 2.});
  EXPECT_THAT(smooth_l1(a, 0.0, 2, Reduction::kNone).to_vector<double>(), are({0.0625, 2, 1}));
  EXPECT_THAT(smooth_l1(a, 0.0, 0, Reduction::kNone).to_vector<double>(), are({0.5, 3, 2}));
  error_of(ErrorCode::kInvalidArgument, [&] { smooth_l1(a, 0.0, -1); });
}

TEST(Nll, PicksTheLabelsLogProbability) {
  const Tensor labels = tensor({0, 1});
  EXPECT_THAT(nll(logs(), labels, {.reduction = Reduction::kNone}).to_vector<double>(),
              are({kLog2, 3 * kLog2 - kLog3}));
  EXPECT_NEAR(value(nll(logs(), labels)), (4 * kLog2 - kLog3) / 2, 1e-14);
}

TEST(Nll, MeanIsWeightedByTheClasses) {
  const Tensor weights = tensor({3., 1., 2.});
  EXPECT_NEAR(value(nll(logs(), tensor({0, 2}), {}, weights)), (3 * kLog2 + 2 * kLog2) / 5, 1e-14);
  EXPECT_NEAR(value(nll(logs(), tensor({0, 2}), {.reduction = Reduction::kSum}, weights)), 5 * kLog2, 1e-14);
}

TEST(Nll, LeavesIgnoredSamplesOut) {
  EXPECT_NEAR(value(nll(logs(), tensor({0, -100}))), kLog2, 1e-14);
  EXPECT_NEAR(value(nll(logs(), tensor({2, 0}), {.ignore_index = 0}, tensor({9., 1., 5.}))), 2 * kLog2, 1e-14);
  EXPECT_THAT(nll(logs(), tensor({-100, 2}), {.reduction = Reduction::kNone}).to_vector<double>(), are({0, kLog2}));
  EXPECT_TRUE(std::isnan(value(nll(logs(), tensor({-100, -100})))));
  const Tensor x = logs().requires_grad(true);
  const Tensor gradient = nll(x, tensor({-100, 2})).backward().of(x);
  EXPECT_THAT(gradient.to_vector<double>(), are({0, 0, 0, 0, 0, -1}));
}

// 156 is what -100 is in a byte.
TEST(Nll, IgnoredLabelsDontDependOnTheLabelsDType) {
  const Tensor wide = zeros({1, 200}, DType::f64);
  EXPECT_EQ(value(nll(wide - 2.0, tensor(std::vector<uint8_t>{156}))), 2);
}

TEST(Nll, TakesOneSampleOrMoreAxes) {
  EXPECT_NEAR(value(nll(logs().slice(0, 0, 1).reshape({3}), scalar(int64_t{2}))), 2 * kLog2, 1e-14);
  // [1, classes, 2]: each column is a sample.
  const Tensor columns = logs().transpose().reshape({1, 3, 2});
  const Tensor kept = nll(columns, tensor({{0, 2}}), {.reduction = Reduction::kNone});
  EXPECT_EQ(kept.shape(), Shape({1, 2}));
  EXPECT_THAT(kept.to_vector<double>(), are({kLog2, kLog2}));
}

TEST(Nll, SaysWhatDoesNotFit) {
  EXPECT_THAT(error_of(ErrorCode::kOutOfRange,
                       [] {
                         nll(logs(), tensor({0, 3}));
                       }),
              HasSubstr("nll: label 3 is outside 0 to 2"));
  EXPECT_THAT(error_of(ErrorCode::kDTypeMismatch,
                       [] {
                         nll(logs(), tensor({0.f, 1.f}));
                       }),
              HasSubstr("labels must be integers, got float32"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [] { nll(logs(), tensor({0})); }), HasSubstr("shape [2], got [1]"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [] {
                         nll(logs(), tensor({0, 1}), {}, ones({2}));
                       }),
              HasSubstr("class weights must have shape [3], got [2]"));
  error_of(ErrorCode::kShapeMismatch, [] { nll(scalar(0.), scalar(int64_t{0})); });
}

TEST(CrossEntropy, SmoothsLabels) {
  // log_softmax leaves log-probabilities as they are.
  const double all = 5 * kLog2;  // of the first sample's three
  EXPECT_NEAR(value(cross_entropy(logs(), tensor({0, -100}), {.label_smoothing = 0.3})), 0.7 * kLog2 + 0.1 * all,
              1e-14);
  EXPECT_NEAR(value(cross_entropy(logs().slice(0, 0, 1), tensor({{1., 0., 0.}}), {.label_smoothing = 0.3})),
              0.7 * kLog2 + 0.1 * all, 1e-14);
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument,
                       [] {
                         cross_entropy(logs(), tensor({0, 1}), {.label_smoothing = 1.5});
                       }),
              HasSubstr("label_smoothing must be between 0 and 1"));
}

TEST(CrossEntropy, WeighsClasses) {
  const Tensor weights = tensor({3., 1., 2.});
  EXPECT_NEAR(value(cross_entropy(logs(), tensor({0, 2}), {}, weights)), kLog2, 1e-14);
  // The mean over probabilities counts samples, not weights.
  const Tensor sure = tensor({{1., 0., 0.}, {0., 0., 1.}});
  EXPECT_NEAR(value(cross_entropy(logs(), sure, {}, weights)), 2.5 * kLog2, 1e-14);
}

TEST(CrossEntropy, TakesOneSampleOrMoreAxes) {
  const Tensor columns = logs().transpose().reshape({1, 3, 2});
  EXPECT_NEAR(value(cross_entropy(columns, tensor({{0, 2}}))), kLog2, 1e-14);
  const Tensor sure = tensor({{1., 0.}, {0., 0.}, {0., 1.}}).reshape({1, 3, 2});
  EXPECT_NEAR(value(cross_entropy(columns, sure)), kLog2, 1e-14);
  EXPECT_NEAR(value(cross_entropy(logs().slice(0, 1, 2).reshape({3}), scalar(int64_t{2}))), kLog2, 1e-14);
}

TEST(CrossEntropyOfProbabilities, IsTheMeanOverSamples) {
  const Tensor p = exp(logs()), sure = tensor({{1., 0., 0.}, {0., 0., 1.}});
  EXPECT_NEAR(value(cross_entropy_of_probabilities(p, sure)), kLog2, 1e-14);
  EXPECT_NEAR(value(cross_entropy_of_probabilities(p, sure, Reduction::kSum)), 2 * kLog2, 1e-14);
  error_of(ErrorCode::kShapeMismatch, [&] { cross_entropy_of_probabilities(p, ones({3})); });
}

TEST(CrossEntropyOfProbabilities, SurvivesAProbabilityOfZero) {
  const Tensor p = tensor({{0.f, 1.f}}).requires_grad(true);
  const Tensor wrong = cross_entropy_of_probabilities(p, tensor({{1.f, 0.f}}));
  EXPECT_NEAR(wrong.item<float>(), 100, 1e-4);
  const Tensor gradient = wrong.backward().of(p);
  EXPECT_TRUE(all(isfinite(gradient)).item<bool>());
  EXPECT_LT(gradient.to_vector<float>()[0], -1e11f);
}

TEST(BinaryCrossEntropy, OfProbabilitiesAgreesWithLogits) {
  const Tensor x = tensor({0.3, -2., 5.}), target = tensor({1., 0.25, 0.});
  const Tensor weight = tensor({1., 2., 0.5});
  for (Reduction reduction : {Reduction::kMean, Reduction::kSum})
    EXPECT_NEAR(value(binary_cross_entropy(sigmoid(x), target, reduction, weight)),
                value(binary_cross_entropy_with_logits(x, target, reduction, weight)), 1e-13);
}

TEST(BinaryCrossEntropy, OfProbabilitiesIsTheMeanNegativeLog) {
  EXPECT_NEAR(value(binary_cross_entropy(tensor({0.5, 0.25}), tensor({1., 0.}))), (kLog2 + 2 * kLog2 - kLog3) / 2,
              1e-14);
}

TEST(BinaryCrossEntropy, SurvivesCertainty) {
  for (DType dtype : {DType::f16, DType::f32, DType::f64}) {
    const Tensor p = astype(tensor({0., 1., 0., 1.}), dtype).requires_grad(true);
    const Tensor losses = binary_cross_entropy(p, astype(tensor({0., 1., 1., 0.}), dtype), Reduction::kNone);
    EXPECT_THAT(losses.to_vector<double>(), testing::Pointwise(testing::DoubleNear(0.05), Doubles{0, 0, 100, 100}));
    const Doubles gradient = sum(losses).backward().of(p).to_vector<double>();
    EXPECT_EQ(gradient[0], 1);
    EXPECT_EQ(gradient[1], -1);
    EXPECT_LT(gradient[2], -1e4);
    EXPECT_GT(gradient[3], 1e4);
    EXPECT_TRUE(std::isfinite(gradient[2]) && std::isfinite(gradient[3]));
  }
}

TEST(BinaryCrossEntropy, WeighsThePositiveTerm) {
  const double p = 1 / (1 + std::exp(-0.3));
  EXPECT_NEAR(value(binary_cross_entropy_with_logits(tensor({0.3}), tensor({0.75}), Reduction::kMean, {}, 4.0)),
              -4 * 0.75 * std::log(p) - 0.25 * std::log(1 - p), 1e-14);
  EXPECT_EQ(value(binary_cross_entropy_with_logits(tensor({-1000.}), tensor({1.}), Reduction::kMean, {}, 2.0)), 2000);
}

TEST(KlDiv, IsTheSumOfLogRatios) {
  const Tensor target = tensor({{0.25, 0.75, 0.}, {0.125, 0.375, 0.5}});
  // 1/4 log(1/2) + 3/4 log(3) for the first sample, 0 for the second.
  const double want = -0.25 * kLog2 + 0.75 * kLog3;
  EXPECT_NEAR(value(kl_div(logs(), target, {.reduction = Reduction::kSum})), want, 1e-14);
  EXPECT_NEAR(value(kl_div(logs(), target, {.reduction = Reduction::kBatchMean})), want / 2, 1e-14);
  EXPECT_NEAR(value(kl_div(logs(), target)), want / 6, 1e-14);
  const Tensor positive = softmax(logs() * 2);
  EXPECT_NEAR(value(kl_div(logs(), log(positive), {.log_target = true})), value(kl_div(logs(), positive)), 1e-14);
  error_of(ErrorCode::kShapeMismatch, [] { kl_div(0.0, 1.0, {.reduction = Reduction::kBatchMean}); });
}

TEST(Losses, HaveTheGradientOfTheirDifferencesWithOptions) {
  const Tensor weights = tensor({3., 1., 2.});
  const Inputs one{logs() + 0.1}, both{logs() + 0.1, tensor({{0.9, -0.2, 0.1}, {-2.5, 0.7, 0.35}})};
  const auto holds = [](const Inputs& inputs, const std::function<Tensor(const Inputs&)>& loss) {
    EXPECT_NO_THROW(gradcheck(loss, inputs, kExact));
  };
  const CrossEntropyOptions smooth{.label_smoothing = 0.2};
  holds(one, [&](const Inputs& x) { return cross_entropy(x[0], tensor({2, -100}), smooth, weights); });
  holds(both, [&](const Inputs& x) { return cross_entropy(x[0], softmax(x[1]), smooth, weights); });
  holds(one, [&](const Inputs& x) { return nll(x[0], tensor({2, 0}), {.reduction = Reduction::kNone}, weights); });
  holds(both, [&](const Inputs& x) { return smooth_l1(x[0], x[1], 0.8); });
  holds(both, [&](const Inputs& x) { return binary_cross_entropy(sigmoid(x[0]), sigmoid(x[1])); });
  holds(both, [&](const Inputs& x) { return cross_entropy_of_probabilities(softmax(x[0]), softmax(x[1])); });
  holds(both, [&](const Inputs& x) {
    return binary_cross_entropy_with_logits(x[0], sigmoid(x[1]), Reduction::kSum, weights, weights);
  });
  holds(both, [&](const Inputs& x) { return kl_div(log_softmax(x[0]), softmax(x[1])); });
  holds(both, [&](const Inputs& x) { return kl_div(log_softmax(x[0]), log_softmax(x[1]), {.log_target = true}); });
  const Inputs three{reshape(logs(), {1, 3, 2})};
  holds(three, [&](const Inputs& x) { return cross_entropy(x[0], tensor({{0, 2}})); });
}

}  // namespace
}  // namespace sm::loss
