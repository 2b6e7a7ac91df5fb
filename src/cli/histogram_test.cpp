#include "cli/histogram.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace sm::cli {
namespace {

TEST(Histogram, QuantilesAreWithinAHundredth) {
  Histogram histogram;
  std::vector<int64_t> values;
  values.reserve(20'000);
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> distribution(12, 3);
  for (int i = 0; i < 20'000; ++i) values.push_back(static_cast<int64_t>(distribution(random)));
  for (const int64_t value : values) histogram.record(value);
  std::sort(values.begin(), values.end());
  for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999}) {
    const auto expected = static_cast<double>(values[static_cast<size_t>(share * 20'000) - 1]);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(share)), expected, expected * 0.01 + 1) << share;
  }
  EXPECT_EQ(histogram.quantile(1), static_cast<uint64_t>(values.back()));
  EXPECT_EQ(histogram.count(), 20'000u);
}

TEST(Histogram, EveryTimeHasAPlace) {
  Histogram histogram;
  for (const int64_t value :
       {int64_t{-5}, int64_t{0}, int64_t{1}, int64_t{127}, int64_t{128}, int64_t{255}, int64_t{256}, INT64_MAX})
    histogram.record(value);
  EXPECT_EQ(histogram.quantile(0.01), 0u);
  EXPECT_EQ(histogram.max(), static_cast<uint64_t>(INT64_MAX));
  EXPECT_EQ(Histogram().quantile(0.5), 0u);
}

TEST(Histogram, SmallTimesAreExact) {
  for (int64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.record(value);
    histogram.record(1 << 20);
    EXPECT_EQ(histogram.quantile(0.5), static_cast<uint64_t>(value));
  }
}

}  // namespace
}  // namespace sm::cli
