#include "serve/history.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sm::io {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

History::Point point(double time, double loss, double version) {
  History::Point out;
  out.fill(kNone);
  out[History::kTime] = time;
  out[History::kLoss] = loss;
  out[History::kVersion] = version;
  return out;
}

TEST(HistoryTest, SaysWhatCameSinceACursor) {
  History history;
  std::string cursor;
  EXPECT_EQ(history.since(cursor)["time"].size(), 0);
  history.add(point(1, 0.5, 10));
  history.add(point(2, kNone, 11));
  const Json first = history.since(cursor);
  EXPECT_FALSE(first["reset"].as_bool());
  EXPECT_EQ(first["interval"].as_int64(), 1);
  EXPECT_EQ(first["time"].size(), 2);
  EXPECT_EQ(first["loss"][0].as_double(), 0.5);
  EXPECT_TRUE(first["loss"][1].is_null());
  EXPECT_TRUE(first["latency"][0].is_null());
  history.add(point(3, 0.25, 12));
  const Json next = history.since(cursor);
  EXPECT_EQ(next["time"].size(), 1);
  EXPECT_EQ(next["version"][0].as_int64(), 12);
  EXPECT_EQ(history.since(cursor)["time"].size(), 0);
}

TEST(HistoryTest, WhoeverHasAnotherCursorGetsAll) {
  History history;
  history.add(point(1, 1, 1));
  for (std::string cursor : {"", "0", "0.", "0.2", "1.0", "0.0x", "-1.0", "0.-1", "0.99999999999999999999"}) {
    const std::string given = cursor;
    const Json all = history.since(cursor);
    EXPECT_TRUE(all["reset"].as_bool()) << given;
    EXPECT_EQ(all["time"].size(), 1) << given;
    EXPECT_EQ(cursor, "0.1");
  }
}

TEST(HistoryTest, ShowsAllOfALongTimeInBoundedMemory) {
  History history;
  std::string cursor;
  constexpr int kSeconds = 10'000;
  for (int i = 1; i <= kSeconds; ++i) {
    history.add(point(i, i % 2 ? 1 : 3, i));
    if (i == 10) history.since(cursor);
  }
  const Json all = history.since(cursor);
  EXPECT_TRUE(all["reset"].as_bool());
  const auto interval = all["interval"].as_int64();
  const size_t count = all["time"].size();
  EXPECT_LT(count, History::kMost);
  EXPECT_GE(count, History::kMost / 2);
  EXPECT_EQ(interval, 32);
  for (size_t i = 0; i < count; ++i) {
    ASSERT_EQ(all["time"][i].as_double(), static_cast<double>(static_cast<int64_t>(i + 1) * interval));
    ASSERT_EQ(all["loss"][i].as_double(), 2);
    ASSERT_EQ(all["version"][i].as_double(), all["time"][i].as_double());
  }
}

TEST(HistoryTest, ALossThatIsReportedNowAndThenIsNotDiluted) {
  History history;
  for (int i = 1; i <= static_cast<int>(History::kMost); ++i) history.add(point(i, i % 2 ? 4 : kNone, i));
  std::string cursor;
  const Json all = history.since(cursor);
  EXPECT_EQ(all["interval"].as_int64(), 2);
  EXPECT_EQ(all["loss"][7].as_double(), 4);
}

}  // namespace
}  // namespace sm::io
