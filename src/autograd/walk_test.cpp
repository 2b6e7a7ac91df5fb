#include "autograd/walk.hpp"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace sm
