#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/op.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"
#include "sweep/random_rows.hpp"

namespace sm::sweep {
namespace {

struct Moments {
  double mean = 0, variance = 0, fourth = 0;
};

Moments moments_of(const std::vector<double>& values) {
  Moments m;
  const double n = static_cast<double>(values.size());
  for (double x : values) m.mean += x / n;
  for (double x : values) m.variance += (x - m.mean) * (x - m.mean) / n;
  for (double x : values) m.fourth += std::pow(x - m.mean, 4) / n;
  return m;
}

constexpr int64_t kCount = 200'000;

void check_rand() {
  manual_seed(1);
  const std::vector<double> values = rand(kCount, DType::f64).to_vector<double>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, 0);
  EXPECT_LT(*high, 1);
  const Moments m = moments_of(values);
  // Five standard errors of each estimate.
  EXPECT_NEAR(m.mean, 0.5, 5 * std::sqrt(1 / 12. / kCount));
  EXPECT_NEAR(m.variance, 1 / 12., 5 * std::sqrt((1 / 80. - 1 / 144.) / kCount));
  std::vector<int> buckets(64);
  for (double x : values) ++buckets[static_cast<size_t>(x * 64)];
  double chi_squared = 0;
  for (int seen : buckets) chi_squared += std::pow(seen - kCount / 64., 2) / (kCount / 64.);
  EXPECT_LT(chi_squared, 120) << "63 degrees of freedom";
}

void check_randn() {
  manual_seed(2);
  const std::vector<double> values = randn(kCount, DType::f64).to_vector<double>();
  const Moments m = moments_of(values);
  EXPECT_NEAR(m.mean, 0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(m.variance, 1, 5 * std::sqrt(2. / kCount));
  EXPECT_NEAR(m.fourth, 3, 5 * std::sqrt(96. / kCount));
  // The two values of one Box-Muller pair must not depend on each other.
  double across = 0;
  for (size_t i = 0; i + 1 < values.size(); i += 2) across += values[i] * values[i + 1] / (kCount / 2.);
  EXPECT_NEAR(across, 0, 5 / std::sqrt(kCount / 2.));
  const double inside =
      static_cast<double>(std::count_if(values.begin(), values.end(), [](double x) { return std::abs(x) < 1; }));
  EXPECT_NEAR(inside / kCount, std::erf(1 / std::sqrt(2)), 5 * std::sqrt(0.25 / kCount));
}

}  // namespace

const std::map<std::string, void (*)()>& random_rows() {
  static const std::map<std::string, void (*)()> rows = {{"rand", check_rand}, {"randn", check_randn}};
  return rows;
}

namespace {

TEST(RandomOps, HaveTheirDistribution) {
  for (const auto& [name, check] : random_rows()) {
    SCOPED_TRACE(name);
    ops::find(name);
    check();
  }
}

TEST(RandomOps, RepeatAfterTheSameSeed) {
  manual_seed(7);
  const std::vector<float> first = rand(10).to_vector<float>(), second = randn(10).to_vector<float>();
  EXPECT_NE(rand(10).to_vector<float>(), first);
  manual_seed(7);
  EXPECT_EQ(rand(10).to_vector<float>(), first);
  EXPECT_EQ(randn(10).to_vector<float>(), second);
  manual_seed(8);
  EXPECT_NE(rand(10).to_vector<float>(), first);
}

TEST(RandomOps, ContinueFromASavedState) {
  manual_seed(7);
  rand(5);
  const RandomState saved = random_state();
  const std::vector<float> next = randn(9).to_vector<float>();
  set_random_state(saved);
  EXPECT_EQ(randn(9).to_vector<float>(), next);
}

TEST(RandomOps, AShorterDrawIsAPrefixOfALongerOne) {
  manual_seed(7);
  const std::vector<float> longer = rand(11).to_vector<float>();
  manual_seed(7);
  const std::vector<float> shorter = rand(6).to_vector<float>();
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

// The values of two seeds on any machine, so that C++, JavaScript and every platform agree.
TEST(RandomOps, SeedZeroGivesPhiloxOfZero) {
  manual_seed(0);
  // Random123's known answer for counter 0 and key 0.
  constexpr uint32_t kKnown[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const std::vector<double> values = rand(4, DType::f64).to_vector<double>();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(values[i], (kKnown[i] >> 8) * 0x1p-24);
}

TEST(RandomOps, StayBelowOneInNarrowTypes) {
  for (DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    manual_seed(3);
    EXPECT_LT(amax(rand(100'000, dtype)).item<double>(), 1) << name_of(dtype);
  }
}

TEST(RandomOps, RejectIntegerDTypes) {
  for (auto draw : {&rand, &randn}) EXPECT_THROW(draw(Shape{2}, DType::i32), Error);
}

TEST(RandomOps, EmptyDrawsLeaveTheStreamAlone) {
  manual_seed(4);
  EXPECT_EQ(rand({0, 3}).elements(), 0);
  EXPECT_EQ(random_state().position, 0u);
}

}  // namespace
}  // namespace sm::sweep
