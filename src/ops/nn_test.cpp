#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void expect_close(const Tensor& got, const Tensor& expected, double tolerance = 1e-6) {
  ASSERT_EQ(got.shape(), expected.shape());
  const auto a = got.to_vector<double>(), b = expected.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << "element " << i;
}

std::string message(const std::function<void()>& mistake) {
  try {
    mistake();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(LayerNorm, OfHalfPrecisionIsComputedInSinglePrecision) {
  // The squares of these overflow float16.
  const Tensor x = tensor({400.f, -400.f, 400.f, -400.f}).astype(DType::f16);
  expect_close(layer_norm(x), tensor({1.f, -1.f, 1.f, -1.f}), 1e-3);
  EXPECT_EQ(layer_norm(x).dtype(), DType::f16);
}

TEST(LayerNorm, OfEqualElementsIsTheBias) {
  expect_close(layer_norm(full({2, 4}, 7), ones({4}), full({4}, 0.5)), full({2, 4}, 0.5));
}

TEST(GroupNorm, OfOneGroupAChannelIgnoresTheScaleOfEach) {
  manual_seed(1);
  const Tensor x = randn({2, 3, 8}), scale = tensor({1.f, 10.f, 100.f}).reshape({3, 1});
  expect_close(group_norm(x, 3, {}, {}, 0), group_norm(x * scale, 3, {}, {}, 0), 1e-5);
}

TEST(BatchNorm, WithTheStatisticsOfTheBatchHasTheirGradients) {
  manual_seed(2);
  const Tensor x = randn({6, 2, 3}, DType::f64).requires_grad(true);
  const Tensor mean = sm::mean(x, {0, 2}), variance = sm::variance(x, {0, 2}, false, 0);
  const Tensor out = batch_norm(x, mean, variance);
  const Tensor gradient = sum(out * randn(out.shape(), DType::f64)).backward().of(x);
  // Neither a shift nor a scale of the batch changes the output.
  expect_close(sum(gradient, {0, 2}), zeros({2}), 1e-9);
  expect_close(sum(gradient * (x.detach() - mean.detach().reshape({2, 1})), {0, 2}), zeros({2}), 1e-4);
}

TEST(Dropout, ZeroesItsShareAndScalesTheRest) {
  manual_seed(3);
  const Tensor x = ones({100'000});
  const Tensor out = dropout(x, 0.25);
  const double kept = sum(neq(out, 0)).item<double>() / 1e5;
  EXPECT_NEAR(kept, 0.75, 5 * std::sqrt(0.25 * 0.75 / 1e5));
  EXPECT_NEAR(amax(out).item<double>(), 1 / 0.75, 1e-6);
}

TEST(Dropout, PassesGradientsWhereItKept) {
  manual_seed(4);
  const Tensor x = ones({1000}).requires_grad(true);
  const Tensor out = dropout(x);
  expect_close(sum(out).backward().of(x), out.detach());
}

TEST(Dropout, RepeatsAfterTheSameSeed) {
  const Tensor x = ones({64});
  manual_seed(5);
  const auto first = dropout(x).to_vector<float>();
  EXPECT_NE(dropout(x).to_vector<float>(), first);
  manual_seed(5);
  EXPECT_EQ(dropout(x).to_vector<float>(), first);
}

TEST(Dropout, OutsideTrainingLeavesTheStreamAlone) {
  manual_seed(6);
  dropout(ones({64}), 0.5, false);
  EXPECT_EQ(random_state().position, 0u);
}

TEST(Attention, WithABooleanMaskIsThatOverTheKeysThatTakePart) {
  manual_seed(7);
  const Tensor q = randn({2, 3, 4}), k = randn({2, 3, 4}), v = randn({2, 3, 4});
  const Tensor some = tensor({true, true, false});
  const auto first = [](const Tensor& x) { return slice(x, 1, 0, 2); };
  expect_close(attention(q, k, v, some), attention(q, first(k), first(v)));
  expect_close(attention(q, k, v, some.astype(DType::i32)), attention(q, k, v, some));
}

TEST(Attention, CausalIsALowerTriangularMask) {
  manual_seed(8);
  const Tensor q = randn({3, 4}), k = randn({5, 4}), v = randn({5, 2});
  const Tensor mask = tensor(std::vector<bool>{1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0}, {3, 5});
  expect_close(attention(q, k, v, {}, true), attention(q, k, v, mask));
}

TEST(Attention, OfAQueryThatSeesNothingIsZeroWithFiniteGradients) {
  manual_seed(9);
  const Tensor mask = tensor(std::vector<bool>{1, 1, 0, 0}, {2, 2});
  for (const Tensor& given : {mask, where(mask, zeros({2, 2}), -kInfinity)}) {
    const Tensor q = randn({2, 4}).requires_grad(true), k = randn({2, 4}).requires_grad(true),
                 v = randn({2, 3}).requires_grad(true);
    const Tensor out = attention(q, k, v, given);
    expect_close(slice(out, 0, 1, 2), zeros({1, 3}));
    for (const auto& [leaf, gradient] : sum(out * out).backward())
      EXPECT_TRUE(all(isfinite(gradient)).item<bool>()) << gradient;
  }
}

TEST(Attention, SurvivesLargeScores) {
  const Tensor q = full({1, 2}, 1e4), k = tensor({{1e4f, 0.f}, {0.f, 0.f}}), v = tensor({{1.f}, {2.f}});
  expect_close(attention(q, k, v), tensor({{1.f}}));
}

TEST(Attention, BroadcastsHeadsAndMasks) {
  manual_seed(10);
  const Tensor q = randn({2, 3, 4, 5}), k = randn({3, 6, 5}), v = randn({1, 3, 6, 2});
  const Tensor mask = randn({2, 1, 1, 6});
  const Tensor out = attention(q, k, v, mask);
  for (int64_t item = 0; item < 2; ++item) {
    const auto at = [&](const Tensor& x) { return squeeze(slice(x, 0, item, item + 1), 0); };
    expect_close(at(out), attention(at(q), k, squeeze(v, 0), at(mask)));
  }
}

TEST(NetMistakes, NameTheOpAndTheShapes) {
  const Tensor x = zeros({2, 6, 3});
  EXPECT_EQ(message([&] {
              linear(x, zeros({4, 2}));
            }),
            "linear: expects an input [..., in] and a weight [in, out], got an input [2, 6, 3] and a weight [4, 2]");
  EXPECT_EQ(message([&] { linear(x, zeros({3, 2}), zeros({3})); }), "linear: the bias must be [2], got [3]");
  EXPECT_EQ(message([&] { layer_norm(x, zeros({6})); }),
            "layer_norm: the weight must be [3] for a tensor [2, 6, 3], got [6]");
  EXPECT_EQ(message([&] { layer_norm(x, {}, {}, 4); }),
            "layer_norm: axes must be from 1 to the 3 that the tensor has, got 4");
  EXPECT_EQ(message([&] { group_norm(x, 4); }),
            "group_norm: 6 channels can't be split into groups, of which there are 4");
  EXPECT_EQ(message([&] { batch_norm(x, zeros({3}), ones({6})); }),
            "batch_norm: the mean must be [6] for a tensor [2, 6, 3], got [3]");
  EXPECT_EQ(message([&] { batch_norm(zeros({3}), zeros({3}), ones({3})); }),
            "batch_norm: expects [N, C, ...], got [3]");
  EXPECT_EQ(message([&] { dropout(x, 1.5); }), "dropout: p must be from 0 to 1, got 1.5");
  EXPECT_EQ(message([&] {
              attention(x, zeros({2, 6, 4}), x);
            }),
            "attention: query and key must have the same last size, got query [2, 6, 3], key [2, 6, 4] and value "
            "[2, 6, 3]");
  EXPECT_EQ(message([&] { attention(x, x, x, ones({5})); }),
            "attention: a mask must broadcast to [..., L, S], which is [2, 6, 6], got [5]");
  EXPECT_EQ(message([&] {
              attention(x, x, x, ones({4, 2, 6, 6}));
            }),
            "attention: a mask must broadcast to [..., L, S], which is [2, 6, 6], got [4, 2, 6, 6]");
}

}  // namespace
}  // namespace sm
