#include <gmock/gmock.h>

#include "nn/testing.hpp"
#include "shumai/loss.hpp"
#include "shumai/nn.hpp"
#include "shumai/optim.hpp"
#include "shumai/random.hpp"
#include "shumai/stats.hpp"

namespace sm::nn {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Le;
using testing::NanSensitiveFloatEq;
using testing::Pointwise;

double largest(const Tensor& x) { return amax(absolute(x)).item<double>(); }

TEST(Linear, MultipliesByItsTransposedWeight) {
  const Linear layer(2, 3);
  layer.weight().update(tensor({{1.f, 2.f}, {3.f, 4.f}, {5.f, 6.f}}));
  layer.bias().update(tensor({10.f, 20.f, 30.f}));
  EXPECT_THAT(values(layer(tensor({1.f, -1.f}))), ElementsAre(9, 19, 29));
  EXPECT_EQ(layer(ones({4, 5, 2})).shape(), (Shape{4, 5, 3}));
  EXPECT_EQ(layer(ones({0, 2})).shape(), (Shape{0, 3}));
}

TEST(Linear, BeginsUniformWithinTheRootOfItsInputs) {
  manual_seed(1);
  const Linear layer(100, 200);
  EXPECT_LE(largest(layer.weight()), 0.1);
  EXPECT_GE(largest(layer.weight()), 0.099);
  EXPECT_NEAR(std(layer.weight()).item<double>(), 0.1 / std::sqrt(3.0), 1e-3);
  EXPECT_LE(largest(layer.bias()), 0.1);
  EXPECT_GE(largest(layer.bias()), 0.08);
}

TEST(Linear, TheSeedDecidesItsWeights) {
  manual_seed(5);
  const Linear one(3, 3);
  manual_seed(5);
  const Linear two(3, 3);
  EXPECT_EQ(values(one.weight()), values(two.weight()));
}

TEST(Linear, WithoutBiasHasOneParameter) {
  const Linear layer(2, 2, {.bias = false});
  EXPECT_EQ(layer.parameters().size(), 1u);
  EXPECT_THAT(values(layer(zeros({2}))), Each(0));
}

TEST(Linear, SaysWhatDoesNotFit) {
  const Linear layer(2, 3);
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { layer(ones({4, 3})); }), HasSubstr("[4, 3]"));
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { Linear(0, 3); }), HasSubstr("Linear: inputs"));
}

TEST(Linear, HasExactGradients) {
  const Linear layer(3, 2, {.dtype = DType::f64});
  check_gradients(layer, {rand({4, 3}, DType::f64)}, [&](const auto& x) { return tanh(layer(x[0])); });
}

TEST(Conv2d, SumsEachWindow) {
  const Conv2d layer(1, 2, 2, {.stride = 2, .padding = 1});
  EXPECT_EQ(layer.weight().shape(), (Shape{2, 1, 2, 2}));
  layer.weight().update(ones({2, 1, 2, 2}));
  layer.bias().update(tensor({0.f, 10.f}));
  const Tensor x = arange(1, 5).reshape({1, 1, 2, 2});
  EXPECT_EQ(layer(x).shape(), (Shape{1, 2, 2, 2}));
  EXPECT_THAT(values(layer(x)), ElementsAre(1, 2, 3, 4, 11, 12, 13, 14));
}

TEST(Conv2d, GroupsSplitTheChannels) {
  const Conv2d layer(4, 6, {3, 1}, {.groups = 2, .bias = false});
  EXPECT_EQ(layer.weight().shape(), (Shape{6, 2, 3, 1}));
  EXPECT_LE(largest(layer.weight()), 1 / std::sqrt(6.0));
  EXPECT_EQ(layer(ones({2, 4, 5, 5})).shape(), (Shape{2, 6, 3, 5}));
}

TEST(Conv2d, SaysWhatDoesNotFit) {
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { Conv2d(3, 4, 3, {.groups = 2}); }), HasSubstr("groups"));
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { Conv2d(3, 4, {3, 3, 3}); }), HasSubstr("[3, 3, 3]"));
  const Conv2d layer(3, 4, 3);
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { layer(ones({1, 2, 5, 5})); }), HasSubstr("[1, 2, 5, 5]"));
}

TEST(Conv2d, HasExactGradients) {
  const Conv2d layer(2, 2, 3, {.padding = 1, .groups = 2, .dtype = DType::f64});
  check_gradients(layer, {rand({2, 2, 4, 3}, DType::f64)}, [&](const auto& x) { return tanh(layer(x[0])); });
}

TEST(Conv1d, SumsEachWindow) {
  const Conv1d layer(1, 1, 2, {.stride = 2, .padding = 1});
  EXPECT_EQ(layer.weight().shape(), (Shape{1, 1, 2}));
  layer.weight().update(tensor(std::vector<float>{1, 10}, {1, 1, 2}));
  layer.bias().update(tensor({0.5f}));
  EXPECT_THAT(values(layer(tensor(std::vector<float>{1, 2, 3}, {1, 1, 3}))), ElementsAre(10.5, 32.5));
  EXPECT_EQ(Conv1d(4, 6, 3, {.dilation = 2, .groups = 2})(ones({2, 4, 9})).shape(), (Shape{2, 6, 5}));
  error_of(ErrorCode::kShapeMismatch, [&] { layer(ones({1, 2, 3})); });
}

TEST(Conv1d, HasExactGradients) {
  const Conv1d layer(2, 3, 3, {.padding = 1, .dtype = DType::f64});
  check_gradients(layer, {rand({2, 2, 5}, DType::f64)}, [&](const auto& x) { return tanh(layer(x[0])); });
}

TEST(Pools, TakeTheMeanOrTheMaximum) {
  const Tensor x = arange(0, 16).reshape({1, 1, 4, 4});
  EXPECT_THAT(values(AvgPool2d(2)(x)), ElementsAre(2.5, 4.5, 10.5, 12.5));
  EXPECT_THAT(values(MaxPool2d(2)(x)), ElementsAre(5, 7, 13, 15));
  EXPECT_EQ(MaxPool2d(3, {.stride = 1, .padding = 1})(x).shape(), x.shape());
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [] { MaxPool2d(2)(ones({4, 4})); }), HasSubstr("[4, 4]"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [] { AvgPool2d(2)(ones({4, 4})); }), HasSubstr("[4, 4]"));
}

TEST(Pools, HaveExactGradients) {
  for (const auto& pool : {Sequential(AvgPool2d(2)), Sequential(MaxPool2d(2))})
    check_gradients(pool, {rand({1, 2, 4, 4}, DType::f64)}, [&](const auto& x) { return pool(x[0]); });
}

TEST(Pools, ComeBeforeReluWhereThatIsTheSame) {
  const float nan = std::nanf("");
  const std::vector<float> numbers{1, -2, 3,  3,  -1, -1,  0,  0,  -3, 2,    nan, 1,
                                   5, 5,  -4, -5, 2,  nan, -7, -8, 0,  -0.F, 6,   1};
  const Sequential network(sm::relu, MaxPool2d(2));
  const Tensor x = tensor(numbers, {1, 2, 2, 6}).requires_grad(true),
               y = tensor(numbers, {1, 2, 2, 6}).requires_grad(true);
  Tensor out;
  const Stats stats = collect([&] { out = network(x); });
  EXPECT_EQ(stats.operations().at("relu").bytes, 6 * sizeof(float));
  const Tensor expected = max_pool2d(relu(y), {2, 2});
  EXPECT_THAT(out.to_vector<float>(), Pointwise(NanSensitiveFloatEq(), expected.to_vector<float>()));
  const Tensor gradient = tensor(std::vector<float>{1, 2, 3, 4, 5, 6}, {1, 2, 1, 3});
  out.backward(gradient);
  expected.backward(gradient);
  EXPECT_EQ(x.grad().to_vector<float>(), y.grad().to_vector<float>());
}

TEST(Flatten, KeepsTheFirstAxis) { EXPECT_EQ(Flatten()(ones({2, 3, 4})).shape(), (Shape{2, 12})); }

TEST(Layers, LearnTogether) {
  manual_seed(3);
  const Sequential network(Conv2d(1, 4, 3, {.padding = 1}), sm::relu, MaxPool2d(2), Flatten(), Linear(16, 2));
  const Tensor x = rand({32, 1, 4, 4});
  const Tensor labels = (mean(x, {1, 2, 3}) > mean(x)).astype(DType::i64);
  const optim::SGD sgd({.learning_rate = 0.5, .momentum = 0.9});
  const double before = loss::cross_entropy(network(x), labels).item<double>();
  for (int step = 0; step < 60; ++step) sgd(loss::cross_entropy(network(x), labels).backward());
  EXPECT_LT(loss::cross_entropy(network(x), labels).item<double>(), before / 4);
}

}  // namespace
}  // namespace sm::nn
