#include "autograd/walk.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "shumai/ops.hpp"

namespace sm {
namespace {

TEST(Walk, TwoMayBeUnderWayInOneGraph) {
  const Tensor weight = scalar(2.0f).requires_grad(true);
  const Tensor shared = square(weight);
  const Tensor left = shared * 3.0, right = shared * 5.0 + shared;
  const BackwardOptions keep{.retain_graph = true};
  Walk first(left, {}, keep), second(right, {}, keep);
  EXPECT_EQ(first.next_async(), nullptr);
  EXPECT_EQ(second.next_async(), nullptr);
  EXPECT_FLOAT_EQ(first.result().of(weight).item<float>(), 12);
  EXPECT_FLOAT_EQ(second.result().of(weight).item<float>(), 24);
}

TEST(Walk, TellsManyLeavesApart) {
  std::vector<Tensor> leaves;
  Tensor total = 0.0f;
  for (int i = 0; i < 40; ++i) {
    leaves.push_back(scalar(1.0f).requires_grad(true));
    total = total + leaves.back() * static_cast<double>(i) + leaves.back();
  }
  const Gradients found = total.backward();
  ASSERT_EQ(found.size(), 40u);
  for (int i = 0; i < 40; ++i) EXPECT_FLOAT_EQ(found.of(leaves[i]).item<float>(), static_cast<float>(i) + 1) << i;
}

TEST(Walk, AStepWithManyInputsPassesEachItsOwn) {
  std::vector<Tensor> parts;
  for (int i = 0; i < 9; ++i) parts.push_back(tensor({1.0f, 2.0f}).requires_grad(true));
  const Tensor joined = concatenate(parts, 0);
  const Gradients found = sum(joined * arange(0, 18)).backward();
  ASSERT_EQ(found.size(), 9u);
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(found.of(parts[i]).to_vector<float>(), (std::vector<float>{2.0f * i, 2.0f * i + 1})) << i;
}

TEST(Walk, AGraphWithoutGradientFunctionsMayBeDroppedRightAfterIt) {
  const Tensor weight = tensor({1.0f, 2.0f}).requires_grad(true);
  Tensor loss = sum(square(weight * 3.0));
  const Gradients found = loss.backward();
  loss = {};
  EXPECT_EQ(found.of(weight).to_vector<float>(), (std::vector<float>{18, 36}));
}

TEST(Walk, AGradientThatItReplacesMayBeAllThatHeldAnOutput) {
  const Tensor weight = tensor({1.0f, 2.0f}).requires_grad(true);
  Tensor product = weight * 3.0;
  const Tensor total = sum(product);
  weight.set_grad(product);
  product = {};
  total.backward();
  EXPECT_EQ(weight.grad().to_vector<float>(), (std::vector<float>{3, 3}));
}

TEST(Walk, TensorsBetweenHaveTheirGradients) {
  const Tensor weight = tensor({1.0f, 2.0f}).requires_grad(true);
  const Tensor product = weight * 3.0;
  sum(square(product)).backward();
  EXPECT_EQ(product.grad().to_vector<float>(), (std::vector<float>{6, 12}));
}

TEST(Node, OneMadeLaterHasAGreaterNumberOnWhateverThread) {
  const Tensor weight = scalar(2.0f).requires_grad(true);
  uint64_t last = 0;
  const auto expect_greater = [&] {
    const uint64_t number = square(weight).impl()->node->sequence();
    EXPECT_GT(number, last);
    last = number;
  };
  for (int turn = 0; turn < 3000; ++turn) {
    expect_greater();
    if (turn % 100 == 0) std::thread(expect_greater).join();
  }
}

// What slices [start, stop) along an axis of [4, 6] get, each by its own factor.
struct Cut {
  int64_t axis, start, stop, step;
  double factor;
};

std::vector<double> gradient_of_cuts(const std::vector<Cut>& cuts) {
  std::vector<double> out(24, 0);
  for (const Cut& cut : cuts)
    for (int64_t i = 0; i < 24; ++i) {
      const int64_t at = (cut.axis == 0 ? i / 6 : i % 6) - cut.start;
      if (at >= 0 && at < cut.stop - cut.start && at % cut.step == 0) out[static_cast<size_t>(i)] += cut.factor;
    }
  return out;
}

void expect_gradient_of(const std::vector<Cut>& cuts) {
  const Tensor x = ones({4, 6}, DType::f64).requires_grad(true), inner = x * 1.0;
  for (const Tensor& from : {x, inner}) {
    Tensor total = scalar(0.0);
    for (const Cut& cut : cuts) total = total + sum(slice(from, cut.axis, cut.start, cut.stop, cut.step)) * cut.factor;
    EXPECT_EQ(total.backward({}, {.retain_graph = true}).of(x).to_vector<double>(), gradient_of_cuts(cuts));
  }
}

TEST(Walk, PutsGradientsOfSlicesSideBySide) {
  expect_gradient_of({{1, 0, 2, 1, 2}, {1, 2, 5, 1, 3}, {1, 5, 6, 1, 5}});
  expect_gradient_of({{1, 3, 6, 1, 2}, {1, 0, 3, 1, 3}});
  expect_gradient_of({{0, 0, 4, 1, 2}});
}

TEST(Walk, GradientsAreZeroWhereNoSliceLooked) {
  expect_gradient_of({{1, 1, 2, 1, 2}, {1, 4, 5, 1, 3}});
  expect_gradient_of({{0, 3, 4, 1, 7}});
  expect_gradient_of({{0, 2, 2, 1, 7}, {0, 1, 2, 1, 3}});
}

TEST(Walk, AddsGradientsOfSlicesThatOverlap) {
  expect_gradient_of({{1, 0, 4, 1, 2}, {1, 2, 6, 1, 3}, {1, 1, 3, 1, 5}, {1, 1, 3, 1, 7}});
  expect_gradient_of({{1, 0, 4, 1, 2}, {0, 1, 3, 1, 3}, {1, 0, 6, 2, 5}, {0, 0, 4, 3, 7}});
}

TEST(Walk, AddsTheRestToGradientsOfSlices) {
  const Tensor x = tensor({1.0, 2.0, 3.0}).requires_grad(true);
  const Tensor total = sum(square(x)) + sum(slice(x, 0, 0, 2)) + sum(slice(x, 0, 2, 3)) * 10.0;
  EXPECT_EQ(total.backward().of(x).to_vector<double>(), (std::vector<double>{3, 5, 16}));
}

TEST(Walk, GradientsOfSlicesHaveAGraph) {
  const Tensor x = tensor({1.0, 2.0, 3.0}).requires_grad(true);
  const Tensor head = slice(x, 0, 0, 2), tail = slice(x, 0, 1, 3);
  const Tensor first = (sum(head * head * head) + sum(square(tail))).backward({}, {.create_graph = true}).of(x);
  EXPECT_EQ(first.to_vector<double>(), (std::vector<double>{3, 16, 6}));
  EXPECT_EQ(sum(first).backward().of(x).to_vector<double>(), (std::vector<double>{6, 14, 2}));
}

}  // namespace
}  // namespace sm
