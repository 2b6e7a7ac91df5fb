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

// Mean and variance as they should be, within five standard errors for a distribution of that kurtosis.
void expect_moments(const Tensor& drawn, double mean, double variance, double kurtosis) {
  const double n = static_cast<double>(drawn.elements());
  const Moments m = moments_of(drawn.to_vector<double>());
  EXPECT_NEAR(m.mean, mean, 5 * std::sqrt(variance / n));
  EXPECT_NEAR(m.variance, variance, 5 * variance * std::sqrt((kurtosis - 1) / n) + 1e-12);
}

constexpr double kOfUniform = 1.8, kOfNormal = 3;

void check_uniform() {
  manual_seed(3);
  const Tensor drawn = uniform(kCount, -1, 3, DType::f64);
  EXPECT_GE(amin(drawn).item<double>(), -1);
  EXPECT_LT(amax(drawn).item<double>(), 3);
  expect_moments(drawn, 1, 16 / 12., kOfUniform);
}

void check_normal() {
  manual_seed(4);
  expect_moments(normal(kCount, 2, 0.5, DType::f64), 2, 0.25, kOfNormal);
}

void check_bernoulli() {
  manual_seed(5);
  expect_moments(bernoulli(kCount, 0.3), 0.3, 0.21, 3 + (1 - 6 * 0.21) / 0.21);
  EXPECT_EQ(sum(bernoulli(1000, 0)).item<double>(), 0);
  EXPECT_EQ(sum(bernoulli(1000, 1)).item<double>(), 1000);
}

void check_randint() {
  manual_seed(6);
  const Tensor drawn = randint(-3, 5, kCount);
  EXPECT_EQ(amin(drawn).item<int64_t>(), -3);
  EXPECT_EQ(amax(drawn).item<int64_t>(), 4);
  expect_moments(drawn, 0.5, 63 / 12., 3 - 6. / 5 * 65 / 63);
  // The whole width of int64, where a difference would overflow.
  const Tensor wide = randint(INT64_MIN, INT64_MAX, 1000);
  EXPECT_NEAR(sum(gt(wide, 0)).item<double>(), 500, 100);
}

void check_randperm() {
  manual_seed(7);
  std::vector<int> first(5);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<int64_t> order = randperm(5).to_vector<int64_t>();
    ++first[static_cast<size_t>(order[0])];
    std::sort(order.begin(), order.end());
    ASSERT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4}));
  }
  for (int seen : first) EXPECT_NEAR(seen, 4000, 5 * std::sqrt(20'000 * 0.2 * 0.8));
}

void check_xavier_uniform() {
  manual_seed(8);
  expect_moments(xavier_uniform({300, 200, 2}, 0, 0, 2, DType::f64), 0, 4 * 2 / 1000., kOfUniform);
  expect_moments(xavier_uniform({1000}, 30, 70), 0, 2 / 100., kOfUniform);
}

void check_xavier_normal() {
  manual_seed(9);
  expect_moments(xavier_normal({300, 200, 2}, 0, 0, 1, DType::f64), 0, 2 / 1000., kOfNormal);
}

void check_kaiming_uniform() {
  manual_seed(10);
  expect_moments(kaiming_uniform({300, 200, 2}, 0, 1, DType::f64), 0, 1 / 400., kOfUniform);
}

void check_kaiming_normal() {
  manual_seed(11);
  expect_moments(kaiming_normal({300, 200, 2}), 0, 2 / 400., kOfNormal);
  expect_moments(kaiming_normal({1000}, 50), 0, 2 / 50., kOfNormal);
}

}  // namespace

const std::map<std::string, void (*)()>& random_rows() {
  static const std::map<std::string, void (*)()> rows = {{"rand", check_rand},
                                                         {"randn", check_randn},
                                                         {"uniform", check_uniform},
                                                         {"normal", check_normal},
                                                         {"bernoulli", check_bernoulli},
                                                         {"randint", check_randint},
                                                         {"randperm", check_randperm},
                                                         {"xavier_uniform", check_xavier_uniform},
                                                         {"xavier_normal", check_xavier_normal},
                                                         {"kaiming_uniform", check_kaiming_uniform},
                                                         {"kaiming_normal", check_kaiming_normal}};
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

TEST(RandomOps, RefuseWhatTheyCanNotDraw) {
  EXPECT_THROW(randint(3, 3, 2), Error);
  EXPECT_THROW(bernoulli(2, 1.5), Error);
  EXPECT_THROW(uniform(2, 1, 0), Error);
  EXPECT_THROW(normal(2, 0, -1), Error);
  EXPECT_THROW(randperm(-1), Error);
  EXPECT_THROW(xavier_uniform(5), Error);
  EXPECT_THROW(kaiming_normal({2, 3}, 0, 0, DType::i32), Error);
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
