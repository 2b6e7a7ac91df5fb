#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/parallel.hpp"
#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;
using Longs = std::vector<int64_t>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Sort, NanIsLastAndFirstWhenDescending) {
  const Tensor x = tensor({2.f, kNan, -kInfinity, kInfinity, -kNan, -1.f});
  EXPECT_EQ(argsort(x).to_vector<int64_t>(), (Longs{2, 5, 0, 3, 1, 4}));
  EXPECT_EQ(argsort(x, 0, true).to_vector<int64_t>(), (Longs{1, 4, 3, 0, 5, 2}));
  const Floats sorted = sort(x).to_vector<float>();
  EXPECT_EQ(Floats(sorted.begin(), sorted.begin() + 4), (Floats{-kInfinity, -1, 2, kInfinity}));
  EXPECT_TRUE(std::isnan(sorted[4]) && std::isnan(sorted[5]));
}

TEST(Sort, EqualElementsKeepTheirOrderBothWays) {
  const Tensor x = tensor({1.f, 0.f, -0.f, 1.f, 0.f});
  EXPECT_EQ(argsort(x).to_vector<int64_t>(), (Longs{1, 2, 4, 0, 3}));
  EXPECT_EQ(argsort(x, 0, true).to_vector<int64_t>(), (Longs{0, 3, 1, 2, 4}));
}

TEST(Sort, ExtremeIntegersOfEveryWidthAreInOrder) {
  EXPECT_EQ(sort(tensor<int64_t>({INT64_MAX, -1, INT64_MIN, 0})).to_vector<int64_t>(),
            (Longs{INT64_MIN, -1, 0, INT64_MAX}));
  EXPECT_EQ(argsort(tensor<uint64_t>({UINT64_MAX, 0, uint64_t{1} << 63})).to_vector<int64_t>(), (Longs{1, 2, 0}));
  EXPECT_EQ(sort(tensor<int8_t>({127, -128, 0})).to_vector<int64_t>(), (Longs{-128, 0, 127}));
  EXPECT_EQ(sort(tensor<bool>(std::vector<bool>{true, false, true})).to_vector<int64_t>(), (Longs{0, 1, 1}));
}

TEST(Sort, IsTheSameOnAnyNumberOfThreads) {
  const Tensor x = rint(randn({70, 900}) * 10);
  const int before = kernels::num_threads();
  kernels::set_num_threads(1);
  const Longs one = argsort(x, 1).to_vector<int64_t>();
  kernels::set_num_threads(4);
  EXPECT_EQ(argsort(x, 1).to_vector<int64_t>(), one);
  kernels::set_num_threads(before);
}

TEST(Sort, GradientGoesBackToWhereTheElementsWere) {
  const Tensor x = tensor({3.f, 1.f, 2.f}).requires_grad(true);
  sort(x).backward(tensor({10.f, 20.f, 30.f}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{30, 10, 20}));
}

TEST(TopK, OfEqualElementsTheFirstAreTaken) {
  const std::vector<Tensor> top = topk(tensor({1.f, 3.f, 3.f, kNan, 3.f}), 3);
  EXPECT_TRUE(std::isnan(top[0].to_vector<float>()[0]));
  EXPECT_EQ(top[1].to_vector<int64_t>(), (Longs{3, 1, 2}));
  EXPECT_THROW(topk(zeros({3}), 4), Error);
  EXPECT_THROW(topk(zeros({3}), -1), Error);
}

TEST(TopK, GradientReachesTheChosenElementsOnly) {
  const Tensor x = tensor({1.f, 3.f, 2.f}).requires_grad(true);
  const std::vector<Tensor> top = topk(x, 2);
  EXPECT_FALSE(top[1].requires_grad());
  sum(top[0] * tensor({5.f, 7.f})).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{0, 5, 7}));
}

TEST(Median, IsTheLowerOfTwoAndPassesNanOn) {
  EXPECT_EQ(median(tensor({4.f, 1.f, 3.f, 2.f})).item<float>(), 2);
  EXPECT_TRUE(std::isnan(median(tensor({4.f, kNan, 3.f})).item<float>()));
  EXPECT_EQ(median(tensor<int32_t>({5, 3})).dtype(), DType::i32);
  EXPECT_THROW(median(zeros({0})), Error);
}

TEST(Prod, GradientIsRightWithZeros) {
  const Tensor one = tensor<double>({{2, 0, 3, -1, 4}, {0, 5, 0, 1, 2}});
  gradcheck([](const std::vector<Tensor>& x) { return prod(x[0], 1); }, {one});
  const Tensor x = tensor({2.f, 0.f, 3.f}).requires_grad(true);
  prod(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{0, 6, 0}));
}

TEST(Prod, OfNothingIsOneAndIntegersWrap) {
  EXPECT_EQ(prod(zeros({0})).item<float>(), 1);
  EXPECT_EQ(prod(full({65}, 2, DType::i32)).item<int64_t>(), 0);
}

TEST(Cumsum, OfSmallFloatsDoesNotDrift) {
  const Floats sums = cumsum(full({100000}, 0.1), 0).to_vector<float>();
  EXPECT_FLOAT_EQ(sums.back(), 10000.f);
}

TEST(CountNonzero, CountsNan) {
  const Tensor count = count_nonzero(tensor({0.f, kNan, -0.f, 2.f}));
  EXPECT_EQ(count.item<int64_t>(), 2);
  EXPECT_EQ(count.dtype(), DType::i64);
}

}  // namespace
}  // namespace sm
