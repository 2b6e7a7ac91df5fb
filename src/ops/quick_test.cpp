#include "ops/quick.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm {
namespace {

using Operation = Tensor (*)(const Tensor&, const Tensor&);
constexpr Operation kOperations[] = {add, sub, mul, div, maximum, minimum};

// The same in float64, which takes the general way.
void expect_as_in_double(Operation operation, const Tensor& a, const Tensor& b) {
  const Tensor result = operation(a, b), expected = operation(astype(a, DType::f64), astype(b, DType::f64));
  EXPECT_EQ(result.dtype(), DType::f32);
  ASSERT_EQ(result.shape(), expected.shape());
  const std::vector<float> values = result.to_vector<float>(), want = expected.to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) EXPECT_FLOAT_EQ(values[i], want[i]) << i;
}

TEST(QuickOperations, GiveWhatTheGeneralOnesGive) {
  manual_seed(1);
  const Shape shapes[] = {{}, {1}, {1, 1}, {3}, {2, 3}, {2, 1}, {0, 3}, {4, 2, 3}, {1024}, {1025}};
  for (const Operation operation : kOperations)
    for (const Shape& left : shapes)
      for (const Shape& right : shapes) {
        SCOPED_TRACE(left.to_string() + " and " + right.to_string());
        try {
          broadcast(left, right, "test");
        } catch (const Error&) {
          EXPECT_THROW(operation(ones(left), ones(right)), Error);
          continue;
        }
        expect_as_in_double(operation, randn(left), randn(right));
      }
}

TEST(QuickOperations, TakeNumbersOnBothSides) {
  const Tensor x = tensor({-1.0f, 0.5f, 4.0f});
  for (const Operation operation : kOperations)
    for (const Tensor& number : {Tensor(0.25), Tensor(2), Tensor(true)}) {
      expect_as_in_double(operation, x, number);
      expect_as_in_double(operation, number, x);
      expect_as_in_double(operation, scalar(3.0f), number);
    }
}

TEST(QuickOperations, ReadTransposedAndExpandedTensorsInTheirOrder) {
  const Tensor x = tensor({{1.0f, 2.0f}, {3.0f, 4.0f}});
  EXPECT_EQ((transpose(x, {1, 0}) - x).to_vector<float>(), (std::vector<float>{0, 1, -1, 0}));
  EXPECT_EQ((expand(tensor({5.0f, 6.0f}), {2, 2}) * x).to_vector<float>(), (std::vector<float>{5, 12, 15, 24}));
  EXPECT_EQ(square(transpose(x, {1, 0})).to_vector<float>(), (std::vector<float>{1, 9, 4, 16}));
}

TEST(QuickOperations, KeepNaNInMaximumAndMinimum) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Operation operation : {maximum, minimum})
    for (const auto& [a, b] : {std::pair(nan, 1.0f), std::pair(1.0f, nan)}) {
      EXPECT_TRUE(std::isnan(operation(scalar(a), scalar(b)).item<float>()));
      EXPECT_TRUE(std::isnan(operation(tensor({a, a}), scalar(b)).to_vector<float>()[1]));
    }
}

TEST(QuickOperations, RefuseUndefinedTensors) {
  EXPECT_THROW(add(Tensor(), scalar(1.0f)), Error);
  EXPECT_THROW(square(Tensor()), Error);
}

// A graph holds a leaf's storage, not the leaf's present value.
TEST(SavedLeaves, KeepTheirValueForBackwardAndForItsOwnGraph) {
  const Tensor weight = tensor({2.0f, 3.0f}).requires_grad(true), x = tensor({5.0f, 7.0f});
  const Tensor loss = sum(square(x * weight));
  weight.update(tensor({100.0f, 100.0f}));
  x.update(tensor({0.0f, 0.0f}));
  const Tensor gradient = loss.backward({}, {.create_graph = true}).of(weight);
  EXPECT_EQ(gradient.to_vector<float>(), (std::vector<float>{100, 294}));
  EXPECT_EQ(sum(gradient).backward().of(weight).to_vector<float>(), (std::vector<float>{50, 98}));
}

TEST(SavedLeaves, MayStopAskingForGradientsMeanwhile) {
  const Tensor weight = scalar(3.0f).requires_grad(true);
  const Tensor loss = square(weight);
  weight.requires_grad(false);
  EXPECT_FLOAT_EQ(loss.backward().of(weight).item<float>(), 6);
}

}  // namespace
}  // namespace sm
