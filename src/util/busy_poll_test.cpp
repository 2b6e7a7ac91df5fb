#include "util/busy_poll.hpp"

#include <gtest/gtest.h>

namespace sm::util {
namespace {

using std::chrono::microseconds;
constexpr microseconds kBrief{10}, kWhile{60}, kAges{200};

// Whether a thread without work for so long goes on asking.
bool goes_on(BusyPoll& poll, microseconds idle) {
  const auto start = BusyPoll::Clock::now();
  return BusyPoll::Idle(poll, start).wait(start + idle);
}

// The same, where it may also sleep since another thread was slow to give the CPU back.
bool goes_on_once(BusyPoll& poll, microseconds idle) {
  const auto end = BusyPoll::Clock::now() + std::chrono::seconds(10);
  while (!goes_on(poll, idle))
    if (BusyPoll::Clock::now() > end) return false;
  return true;
}

TEST(BusyPoll, SleepsAfterAWhile) {
  BusyPoll poll;
  EXPECT_TRUE(poll.allowed());
  EXPECT_TRUE(goes_on_once(poll, kBrief));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(goes_on(poll, kWhile)) << i;
}

TEST(BusyPoll, TriesNowAndThenWhetherLongerPays) {
  BusyPoll poll(kAges);
  for (int times = 0; times < 3; ++times) {
    EXPECT_FALSE(goes_on(poll, kWhile));
    EXPECT_TRUE(goes_on_once(poll, kWhile));
    EXPECT_FALSE(goes_on(poll, kAges));
    for (int i = 0; i < 31; ++i) EXPECT_FALSE(goes_on(poll, kWhile)) << i;
  }
}

TEST(BusyPoll, GoesOnLongerWhereThatFoundSomething) {
  BusyPoll poll(kAges);
  const auto start = BusyPoll::Clock::now();
  BusyPoll::Idle idle(poll, start);
  (void)idle.wait(start + kWhile);
  idle.restart();
  for (int i = 0; i < 16; ++i) {
    EXPECT_TRUE(goes_on_once(poll, kWhile)) << i;
    EXPECT_FALSE(goes_on(poll, kAges)) << i;
  }
  EXPECT_FALSE(goes_on(poll, kWhile));
}

}  // namespace
}  // namespace sm::util
