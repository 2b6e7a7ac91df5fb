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

}  // namespace
}  // namespace sm
