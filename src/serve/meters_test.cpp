#include "serve/meters.hpp"

#include <gtest/gtest.h>

namespace sm::io {
namespace {

using namespace std::chrono_literals;

TEST(DurationHistogram, ABoundBelongsToItsBucketAndMoreToTheNext) {
  DurationHistogram durations;
  durations.observe(50us);
  durations.observe(51us);
  durations.observe(10s);
  durations.observe(11s);
  EXPECT_EQ(durations.bucket(0), 1u);
  EXPECT_EQ(durations.bucket(1), 1u);
  EXPECT_EQ(durations.bucket(DurationHistogram::kBounds.size() - 1), 1u);
  EXPECT_EQ(durations.bucket(DurationHistogram::kBounds.size()), 1u);
  EXPECT_EQ(durations.count(), 4u);
  EXPECT_DOUBLE_EQ(durations.sum(), 21.000101);
}

TEST(DurationHistogram, QuantilesAreInterpolatedWithinABucket) {
  DurationHistogram durations;
  EXPECT_EQ(durations.quantile(0.5), 0);
  for (int i = 0; i < 100; ++i) durations.observe(700us);  // between 0.5 and 1 ms
  EXPECT_DOUBLE_EQ(durations.quantile(0.5), 0.00075);
  for (int i = 0; i < 100; ++i) durations.observe(3s);
  EXPECT_DOUBLE_EQ(durations.quantile(0.25), 0.00075);
  EXPECT_DOUBLE_EQ(durations.quantile(0.75), 3.75);
  durations.observe(1h);
  EXPECT_EQ(durations.quantile(1), 10);
}

TEST(RouteStatistics, ErrorsAreAnswersFrom400On) {
  RouteStatistics route;
  for (const int status : {200, 204, 304, 400, 422, 503}) route.count_answer(status, 1ms);
  EXPECT_EQ(route.durations.count(), 6u);
  EXPECT_EQ(route.errors(), 3u);
}

TEST(UpdateStatistics, ABucketHoldsStalenessUpToItsBound) {
  UpdateStatistics updates;
  for (const uint64_t distance : {0, 1, 2, 3, 4, 1'000'000}) updates.count_staleness(distance);
  EXPECT_EQ(updates.staleness[0], 1u);
  EXPECT_EQ(updates.staleness[1], 1u);
  EXPECT_EQ(updates.staleness[2], 2u);
  EXPECT_EQ(updates.staleness[3], 1u);
  EXPECT_EQ(updates.staleness[15], 1u);
  EXPECT_EQ(updates.staleness_sum, 1'000'010u);
  EXPECT_EQ(UpdateStatistics::bound(2), 3u);
}

}  // namespace
}  // namespace sm::io
