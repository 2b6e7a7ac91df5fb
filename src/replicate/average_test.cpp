#include "replicate/average.hpp"

#include <gtest/gtest.h>

#include "shumai/shumai.hpp"

namespace sm::replicate {
namespace {

Tensor flat(const std::vector<float>& values) { return tensor(values); }

TEST(Layout, PutsWeightsOneAfterTheOther) {
  const Tensors weights{{"a", tensor({{1.F, 2.F}, {3.F, 4.F}}).requires_grad(true)},
                        {"count", tensor<int64_t>({7, 8})},
                        {"b", scalar(5.F)}};
  const Layout layout(weights);
  EXPECT_EQ(layout.elements(), 5);
  const std::vector<Tensor> chosen = layout.select(weights);
  ASSERT_EQ(chosen.size(), 2U);
  const Tensor all = layout.flatten({chosen[0].transpose().copy().transpose(), chosen[1]});
  EXPECT_EQ(all.to_vector<float>(), (std::vector<float>{1, 2, 3, 4, 5}));
  EXPECT_EQ(layout.weight(all, 0).to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(layout.weight(all, 0).shape(), (Shape{2, 2}));
  EXPECT_EQ(layout.weight(all, 1).shape(), Shape{});
}

TEST(Layout, IsTheSameForTheSameNamesShapesAndDtypes) {
  const auto digest_of = [](const char* name, const Tensor& weight) { return Layout({{name, weight}}).digest(); };
  const std::string digest = digest_of("w", zeros({2, 3}));
  EXPECT_EQ(digest.size(), 32U);
  EXPECT_EQ(digest_of("w", ones({2, 3})), digest);
  EXPECT_NE(digest_of("v", zeros({2, 3})), digest);
  EXPECT_NE(digest_of("w", zeros({3, 2})), digest);
  EXPECT_NE(digest_of("w", zeros({2, 3}, DType::f16)), digest);
}

TEST(Outer, WithoutMomentumIsTheMean) {
  const Tensors weights{{"w", zeros({3}).requires_grad(true)}};
  const Layout layout(weights);
  // Two replicas at [1, 2, 3] and [3, 4, 9] from [2, 2, 2]: the sum of base - weights.
  const Outer::Result result = Outer{1, 0}.step(layout, flat({2, 2, 2}), flat({0, 0, 0}), flat({0, -2, -8}), 2);
  EXPECT_EQ(result.base.to_vector<float>(), (std::vector<float>{2, 3, 6}));
}

// The same two steps as an optimizer of this library takes with the mean as its gradient.
TEST(Outer, IsNesterovsMomentum) {
  const Tensors weights{{"w", zeros({2}).requires_grad(true)}};
  const Layout layout(weights);
  const Outer outer{0.7, 0.9};
  const double first = 0.5, second = -0.25;  // gradients of the first element
  double velocity = 0, expected = 1;
  Tensor base = flat({1, 1}), kept = flat({0, 0});
  for (const double gradient : {first, second}) {
    const Outer::Result result = outer.step(layout, base, kept, flat({static_cast<float>(4 * gradient), 0}), 4);
    base = result.base;
    kept = result.velocity;
    velocity = 0.9 * velocity + gradient;
    expected -= 0.7 * (gradient + 0.9 * velocity);
  }
  EXPECT_NEAR(base.to_vector<float>()[0], expected, 1e-6);
  EXPECT_EQ(base.to_vector<float>()[1], 1);
}

TEST(Outer, WhatIsntTrainedBecomesItsMean) {
  const Tensors weights{{"running_mean", zeros({1})}};
  const Outer::Result result = Outer{0.7, 0.9}.step(Layout(weights), flat({10}), flat({0}), flat({-4}), 2);
  EXPECT_EQ(result.base.to_vector<float>()[0], 12);
}

TEST(Flat, DifferenceNormAndDigest) {
  const Tensor a = flat({3, 4, 0}), b = flat({0, 0, 0});
  EXPECT_EQ(squared_norm(difference(a, b)), 25);
  EXPECT_EQ(digest(a), digest(flat({3, 4, 0})));
  EXPECT_NE(digest(a), digest(b));
  EXPECT_EQ(zeros_like(a).to_vector<float>(), b.to_vector<float>());
}

}  // namespace
}  // namespace sm::replicate
