#include "autograd/held.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "shumai/shumai.hpp"

namespace sm {
namespace {

size_t bytes_of(const std::vector<HeldBlock>& held, bool weights) {
  size_t bytes = 0;
  for (const HeldBlock& block : held)
    if (block.weight == weights) bytes += block.bytes;
  return bytes;
}

TEST(Held, CountsEachBlockOnceAndWeightsApart) {
  const Tensor weight = ones({1000}).requires_grad(true);
  const Tensor x = ones({1000}).requires_grad(true), y = x * weight, z = exp(y) + exp(y);
  const std::vector<HeldBlock> held = held_by(z);
  EXPECT_EQ(bytes_of(held, true), weight.nbytes() + x.nbytes());
  // Both exponentials, and z itself.
  EXPECT_EQ(bytes_of(held, false), 3 * z.nbytes());
}

TEST(Held, ALeafHoldsItselfAndAConsumedGraphNothingMore) {
  const Tensor weight = ones({100}).requires_grad(true);
  const Tensor y = sum(exp(weight));
  EXPECT_GT(held_by(y).size(), 1u);
  y.backward();
  EXPECT_EQ(held_by(y).size(), 1u);
  EXPECT_EQ(held_by(ones({3})).size(), 1u);
}

TEST(Held, AChainOfAHundredThousandStepsNeedsNoStack) {
  Tensor y = scalar(1.0).requires_grad(true);
  for (int i = 0; i < 100'000; ++i) y = y * 1.0;
  EXPECT_GE(held_by(y).size(), 1u);
}

}  // namespace
}  // namespace sm
