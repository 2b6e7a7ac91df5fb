#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
using Floats = std::vector<float>;

Floats floats(const Tensor& x) { return x.to_vector<float>(); }

TEST(Softmax, OfHugeLogitsIsExact) {
  const Tensor x = tensor({1000.f, 1000.f, -1000.f});
  EXPECT_EQ(floats(softmax(x)), (Floats{0.5f, 0.5f, 0}));
  const Floats logs = floats(log_softmax(x));
  EXPECT_FLOAT_EQ(logs[0], -std::log(2.f));
  EXPECT_FLOAT_EQ(logs[2], -2000 - std::log(2.f));
  EXPECT_FLOAT_EQ(logsumexp(x).item<float>(), 1000 + std::log(2.f));
}

TEST(Softmax, OfEqualLogitsIsUniform) { EXPECT_EQ(floats(softmax(full({4}, 3))), Floats(4, 0.25f)); }

TEST(Softmax, TakesMinusInfinityForNever) {
  EXPECT_EQ(floats(softmax(tensor({0.f, -kInf}))), (Floats{1, 0}));
  EXPECT_EQ(logsumexp(tensor({-kInf, -kInf})).item<float>(), -kInf);
  EXPECT_EQ(logsumexp(tensor({kInf, 0.f})).item<float>(), kInf);
}

TEST(Softmax, OfManyHalvesSumsToOne) {
  const Tensor p = softmax(zeros({100'000}, DType::f16));
  EXPECT_NEAR(p.slice(0, 0, 1).item<double>(), 1e-5, 1e-6);
}

TEST(Sigmoid, ReachesItsLimitsWithoutOverflow) {
  EXPECT_EQ(floats(sigmoid(tensor({-1000.f, 0.f, 1000.f}))), (Floats{0, 0.5f, 1}));
  EXPECT_EQ(floats(softplus(tensor({-1000.f, 1000.f}))), (Floats{0, 1000}));
  EXPECT_GT(sigmoid(scalar(-80.f)).item<float>(), 0);
}

// One float after another, these give 10,000,000 and 1,087,937.
TEST(Sum, KeepsWhatIsSmallBesideTheTotal) {
  Floats values(1'000'000, 0.25f);
  values[0] = 1e7f;
  EXPECT_NEAR(sum(tensor(values)).item<double>(), 10'249'999.75, 10);
  EXPECT_NEAR(sum(tensor(Floats(10'000'000, 0.1f))).item<double>(), 1e6, 1);
}

TEST(Sum, OfColumnsIsAsExactAsOfRows) {
  const Tensor x = full({1'000'000, 8}, 0.1);
  for (const Tensor& y : {sum(x, 0), sum(transpose(x), 1)})
    for (float total : floats(y)) EXPECT_NEAR(total, 1e5, 0.1);
}

TEST(HalfPrecisionReductions, AccumulateWider) {
  EXPECT_EQ(sum(ones({4096}, DType::f16)).item<float>(), 4096);
  EXPECT_EQ(sum(ones({60'000}, DType::f16)).item<float>(), 60'000);
  EXPECT_EQ(sum(ones({4096}, DType::bf16)).item<float>(), 4096);
  // Their sum is infinite in float16.
  EXPECT_EQ(mean(full({10'000}, 100, DType::f16)).item<float>(), 100);
  const Tensor wide = concatenate({full({5'000}, 100, DType::f16), full({5'000}, -100, DType::f16)});
  EXPECT_EQ(variance(wide, {}, false, 0).item<float>(), 10'000);
  EXPECT_EQ(sm::std(wide, {}, false, 0).item<float>(), 100);
}

TEST(Variance, OfValuesFarFromZeroKeepsItsDigits) {
  EXPECT_DOUBLE_EQ(variance(tensor({1e9, 1e9 + 1, 1e9 + 2})).item<double>(), 1);
}

TEST(Std, HasAZeroGradientWhereAllAreEqual) {
  const Tensor x = full({4}, 2).requires_grad(true);
  EXPECT_EQ(floats(sm::std(x).backward().of(x)), Floats(4, 0));
}

TEST(Log1p, IsExactForSmallNumbers) { EXPECT_FLOAT_EQ(log1p(scalar(1e-10f)).item<float>(), 1e-10f); }

TEST(NaN, GoesThroughExtremesAndArithmetic) {
  const Tensor x = tensor({1.f, kNaN, 3.f});
  for (const Tensor& y :
       {amax(x), amin(x), sum(x), mean(x), maximum(x, 0.0).slice(0, 1, 2), minimum(0.0, x).slice(0, 1, 2),
        maximum(0.0, x).slice(0, 1, 2), sign(x).slice(0, 1, 2), relu(x).slice(0, 1, 2), clip(x, 0, 1).slice(0, 1, 2)})
    EXPECT_TRUE(std::isnan(y.item<float>())) << y.to_string();
  EXPECT_EQ(argmax(x).item<int>(), 1);
  EXPECT_EQ(argmin(x).item<int>(), 1);
  EXPECT_TRUE(std::isnan(amax(tensor({kNaN, 1.f})).item<float>()));
}

TEST(NaN, IsUnequalToItself) {
  const Tensor x = tensor({kNaN, kInf, 1.f});
  using Bools = std::vector<bool>;
  EXPECT_EQ((x == x).to_vector<bool>(), (Bools{false, true, true}));
  EXPECT_EQ((x != x).to_vector<bool>(), (Bools{true, false, false}));
  EXPECT_EQ(isnan(x).to_vector<bool>(), (Bools{true, false, false}));
  EXPECT_EQ(isinf(x).to_vector<bool>(), (Bools{false, true, false}));
  EXPECT_EQ(isfinite(x).to_vector<bool>(), (Bools{false, false, true}));
}

TEST(Integers, WrapAround) {
  EXPECT_EQ((tensor(std::vector<uint8_t>{250}) + 10).to_vector<int>(), std::vector<int>{4});
  EXPECT_EQ((tensor(std::vector<int8_t>{100}) * 2).to_vector<int>(), std::vector<int>{-56});
  EXPECT_EQ((tensor(std::vector<int32_t>{INT32_MAX}) + 1).to_vector<int64_t>(), std::vector<int64_t>{INT32_MIN});
  EXPECT_EQ((tensor(std::vector<int64_t>{INT64_MIN}) - 1).to_vector<int64_t>(), std::vector<int64_t>{INT64_MAX});
  EXPECT_EQ((-tensor(std::vector<int64_t>{INT64_MIN})).to_vector<int64_t>(), std::vector<int64_t>{INT64_MIN});
  EXPECT_EQ(absolute(tensor(std::vector<int8_t>{-128, -5})).to_vector<int>(), (std::vector<int>{-128, 5}));
  EXPECT_EQ(power(tensor(std::vector<uint8_t>{2}), 9).to_vector<int>(), std::vector<int>{0});
}

TEST(Integers, AreSummedIn64Bits) {
  EXPECT_EQ(sum(full({3}, 200, DType::u8)).item<int64_t>(), 600);
  EXPECT_EQ(sum(full({4}, 2147483647, DType::i32)).item<int64_t>(), 4 * int64_t{2147483647});
}

TEST(Integers, ArePreciseAbove53Bits) {
  const Tensor x = tensor(std::vector<int64_t>{(int64_t{1} << 60) + 1});
  EXPECT_EQ((x + 1).to_vector<int64_t>()[0], (int64_t{1} << 60) + 2);
  EXPECT_EQ(sum(x).item<int64_t>(), (int64_t{1} << 60) + 1);
  EXPECT_TRUE((x == (int64_t{1} << 60) + 1).item<bool>());
  EXPECT_FALSE((x == (int64_t{1} << 60)).item<bool>());
}

TEST(Division, ByZero) {
  const Floats by_zero = floats(tensor({1.f, -1.f, 0.f}) / 0.0);
  EXPECT_EQ(by_zero[0], kInf);
  EXPECT_EQ(by_zero[1], -kInf);
  EXPECT_TRUE(std::isnan(by_zero[2]));
  EXPECT_EQ((tensor({1}) / 0).item<float>(), kInf);
  EXPECT_THROW(tensor({7, -7}) % 0, Error);
  EXPECT_THROW(floor_divide(tensor({7, -7}), tensor({1, 0})), Error);
  EXPECT_EQ(floats(floor_divide(tensor({1.f, -1.f}), 0.0)), (Floats{kInf, -kInf}));
  EXPECT_EQ((tensor(std::vector<int64_t>{INT64_MIN}) % -1).item<int64_t>(), 0);
  EXPECT_EQ(reciprocal(scalar(0.f)).item<float>(), kInf);
}

TEST(FloorDivision, RoundsDown) {
  EXPECT_EQ(floor_divide(tensor({7, -7, 7, -7}), tensor({2, 2, -2, -2})).to_vector<int>(),
            (std::vector<int>{3, -4, -4, 3}));
  EXPECT_EQ(floats(floor_divide(tensor({5.5f, -5.5f, 0.f}), tensor({2.f, 2.f, 3.f}))), (Floats{2, -3, 0}));
  EXPECT_EQ(floor_divide(tensor(std::vector<int64_t>{INT64_MIN}), -1).item<int64_t>(), INT64_MIN);
  // 1 / 0.1 rounds to 10, but ten times this 0.1 is more than 1.
  EXPECT_EQ(floor_divide(scalar(1.0), scalar(0.1)).item<double>(), 9);
}

TEST(Remainder, HasTheSignOfTheDivisor) {
  EXPECT_EQ((tensor({7, -7, 7, -7}) % tensor({3, 3, -3, -3})).to_vector<int>(), (std::vector<int>{1, 2, -2, -1}));
  EXPECT_EQ(floats(tensor({5.5f, -5.5f, 5.5f, -5.5f}) % tensor({2.f, 2.f, -2.f, -2.f})),
            (Floats{1.5f, 0.5f, -0.5f, -1.5f}));
}

TEST(IntegerPower, OfNegativeExponents) {
  EXPECT_EQ(power(tensor({1, -1, -1, 2, 0}), tensor({-3, -3, -2, -1, -1})).to_vector<int>(),
            (std::vector<int>{1, -1, 1, 0, 0}));
}

TEST(Shifts, ReachTheWidth) {
  const Tensor x = tensor(std::vector<int8_t>{-64, 64});
  EXPECT_EQ(r_shift(x, 3).to_vector<int>(), (std::vector<int>{-8, 8}));
  EXPECT_EQ(r_shift(x, 100).to_vector<int>(), (std::vector<int>{-1, 0}));
  EXPECT_EQ(l_shift(x, 1).to_vector<int>(), (std::vector<int>{-128, -128}));
  EXPECT_EQ(l_shift(x, 8).to_vector<int>(), (std::vector<int>{0, 0}));
}

TEST(Rounding, GoesToEven) {
  EXPECT_EQ(floats(rint(tensor({0.5f, 1.5f, 2.5f, -0.5f, -1.5f}))), (Floats{0, 2, 2, -0.f, -2}));
  EXPECT_EQ(floats(floor(tensor({-1.5f, 1.5f}))), (Floats{-2, 1}));
  EXPECT_EQ(floats(ceil(tensor({-1.5f, 1.5f}))), (Floats{-1, 2}));
}

TEST(Casts, GoTowardsZeroAndNaNToZero) {
  EXPECT_EQ(astype(tensor({1.9f, -1.9f, kNaN}), DType::i32).to_vector<int>(), (std::vector<int>{1, -1, 0}));
  EXPECT_EQ(astype(tensor({0.f, 0.1f, kNaN, -0.f}), DType::boolean).to_vector<bool>(),
            (std::vector<bool>{false, true, true, false}));
  EXPECT_EQ(astype(tensor({kInf, -kInf}), DType::i64).to_vector<int64_t>(),
            (std::vector<int64_t>{INT64_MAX, INT64_MIN}));
  EXPECT_EQ(astype(scalar(1e19), DType::u64).to_vector<uint64_t>()[0], uint64_t{10'000'000'000'000'000'000u});
}

TEST(Empty, ReductionsGiveTheirNeutralElement) {
  const Tensor nothing = zeros({0, 3});
  EXPECT_EQ(floats(sum(nothing, 0)), Floats(3, 0));
  EXPECT_EQ(sum(nothing).item<float>(), 0);
  EXPECT_TRUE(std::isnan(mean(nothing).item<float>()));
  EXPECT_TRUE(all(nothing).item<bool>());
  EXPECT_FALSE(any(nothing).item<bool>());
  EXPECT_EQ(amax(nothing, 1).shape(), Shape{0});
  EXPECT_EQ(floats(logsumexp(zeros({2, 1}), 1)), Floats(2, 0));
}

TEST(Empty, PointwiseAndShapeOpsKeepTheirShape) {
  const Tensor nothing = zeros({0, 3});
  EXPECT_EQ((nothing + 1.0).shape(), (Shape{0, 3}));
  EXPECT_EQ(transpose(nothing).shape(), (Shape{3, 0}));
  EXPECT_EQ(reshape(nothing, {5, 0}).shape(), (Shape{5, 0}));
  EXPECT_EQ(reshape(nothing, {-1, 3}).shape(), (Shape{0, 3}));
  EXPECT_EQ(concatenate({nothing, ones({2, 3})}).shape(), (Shape{2, 3}));
  EXPECT_EQ(softmax(nothing).shape(), (Shape{0, 3}));
  EXPECT_EQ(softmax(zeros({0, 3}, DType::i32)).dtype(), DType::f32);
}

TEST(RankZero, ReducesToItself) {
  const Tensor x = scalar(2.f);
  EXPECT_EQ(sum(x).item<float>(), 2);
  EXPECT_EQ(sum(x, -1).shape(), Shape{});
  EXPECT_EQ(softmax(x).item<float>(), 1);
  EXPECT_EQ(argmax(x).item<int>(), 0);
  EXPECT_EQ(transpose(x).shape(), Shape{});
  EXPECT_EQ(squeeze(unsqueeze(x, 0)).shape(), Shape{});
}

TEST(Slice, FollowsNumPysRules) {
  const Tensor x = arange(0, 5);
  EXPECT_EQ(floats(x.slice(0, -2, 100)), (Floats{3, 4}));
  EXPECT_EQ(floats(x.slice(0, -100, 2)), (Floats{0, 1}));
  EXPECT_EQ(floats(x.slice(0, 4, 0, -2)), (Floats{4, 2}));
  EXPECT_EQ(floats(x.slice(0, 100, -100, -1)), (Floats{4, 3, 2, 1, 0}));
  EXPECT_EQ(floats(x.slice(0, 3, 3)), Floats{});
  EXPECT_EQ(floats(x.slice(0, 4, 2)), Floats{});
  EXPECT_EQ(floats(x.slice(0, 0, 5, 3)), (Floats{0, 3}));
}

TEST(Slice, TakesStepsOfAnySize) {
  const Tensor x = arange(0, 5);
  EXPECT_EQ(floats(x.slice(0, 1, 5, INT64_MAX)), Floats{1});
  EXPECT_EQ(floats(x.slice(0, 3, INT64_MIN, INT64_MIN)), Floats{3});
  EXPECT_EQ(floats(x.slice(0, INT64_MIN, INT64_MAX)), (Floats{0, 1, 2, 3, 4}));
}

// More axes than a Dims holds inside itself, none of which can be joined.
TEST(HighRank, BroadcastsReducesAndTransposes) {
  const Tensor x = arange(0, 24, 1, DType::f64).reshape({2, 1, 3, 1, 2, 1, 2});
  const Tensor y = arange(0, 8, 1, DType::f64).reshape({1, 2, 1, 2, 1, 2, 1}) * 100;
  const Tensor z = x + y;
  ASSERT_EQ(z.shape(), (Shape{2, 2, 3, 2, 2, 2, 2}));
  const std::vector<double> values = z.to_vector<double>();
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t a = i / 96, b = i / 48 % 2, c = i / 16 % 3, d = i / 8 % 2, e = i / 4 % 2, f = i / 2 % 2, g = i % 2;
    ASSERT_EQ(values[i], double(a * 12 + c * 4 + e * 2 + g) + 100 * double(b * 4 + d * 2 + f)) << i;
  }
  EXPECT_EQ(sum(z, {1, 3, 5}).to_vector<double>(), (x.reshape({2, 3, 2, 2}) * 8 + 2800).to_vector<double>());
  EXPECT_EQ(transpose(transpose(z)).to_vector<double>(), values);
  EXPECT_EQ(amax(transpose(z), {1, 3, 5}).to_vector<double>(), transpose(amax(z, {1, 3, 5})).to_vector<double>());
}

TEST(Ties, ShareTheGradient) {
  const Tensor a = tensor({1.f, 2.f}).requires_grad(true), b = tensor({1.f, 1.f}).requires_grad(true);
  const Gradients gradients = sum(maximum(a, b)).backward();
  EXPECT_EQ(floats(gradients.of(a)), (Floats{0.5f, 1}));
  EXPECT_EQ(floats(gradients.of(b)), (Floats{0.5f, 0}));
  const Tensor x = tensor({3.f, 1.f, 3.f}).requires_grad(true);
  EXPECT_EQ(floats(amax(x).backward().of(x)), (Floats{0.5f, 0, 0.5f}));
}

TEST(Kinks, HaveTheDocumentedGradient) {
  const Tensor zero = scalar(0.f).requires_grad(true);
  EXPECT_EQ(absolute(zero).backward().of(zero).item<float>(), 0);
  EXPECT_EQ(relu(zero).backward().of(zero).item<float>(), 0);
  EXPECT_EQ(clip(zero, 0, 1).backward().of(zero).item<float>(), 1);
  EXPECT_EQ(clip(zero, -1, 0).backward().of(zero).item<float>(), 1);
  EXPECT_EQ(power(zero, 1).backward().of(zero).item<float>(), 1);
  EXPECT_EQ(power(zero, 0).backward().of(zero).item<float>(), 0);
}

TEST(Power, OfZeroDoesNotPoisonTheExponentsGradient) {
  const Tensor base = tensor({0.f, 2.f}), exponent = tensor({2.f, 3.f}).requires_grad(true);
  const Floats gradient = floats(sum(power(base, exponent)).backward().of(exponent));
  EXPECT_EQ(gradient[0], 0);
  EXPECT_FLOAT_EQ(gradient[1], 8 * std::log(2.f));
}

}  // namespace
}  // namespace sm
