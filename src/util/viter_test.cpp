#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "shumai/error.hpp"
#include "shumai/task.hpp"
#include "shumai/util.hpp"
#include "util/philox.hpp"
#include "util/progress.hpp"

namespace sm::util {
namespace {

using namespace std::chrono_literals;

// A screen that keeps what is written, with a clock that the test moves.
struct FakeScreen {
  std::vector<std::string> written;
  std::chrono::steady_clock::time_point time{};
  int columns = 80;

  Screen as(bool terminal, bool unicode = false) {
    return {[this](std::string_view text) { written.emplace_back(text); }, [this] { return time; },
            [this] { return columns; }, terminal, unicode};
  }
  // The last line drawn, without the codes around it.
  std::string line() const {
    std::string text = written.back() == "\n" ? written.at(written.size() - 2) : written.back();
    if (text.substr(0, 1) == "\r") text = text.substr(1);
    if (const size_t code = text.find('\x1b'); code != std::string::npos) text.resize(code);
    return text;
  }
};

int characters(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

TEST(ProgressOnATerminal, ShowsShareRateAndTimeLeft) {
  FakeScreen screen;
  Progress progress(200, {}, screen.as(true));
  for (int i = 0; i < 50; ++i) {
    screen.time += 100ms;
    progress.advance();
  }
  EXPECT_EQ(screen.line(), " 25% |#######.......................| 50/200 10/s 0:15 left");
}

TEST(ProgressOnATerminal, RedrawsAtMostTenTimesASecond) {
  FakeScreen screen;
  Progress progress(100'000, {}, screen.as(true));
  for (int i = 0; i < 10'000; ++i) {
    screen.time += 1ms;
    progress.advance();
  }
  EXPECT_LE(screen.written.size(), 101u);
  EXPECT_GE(screen.written.size(), 90u);
}

TEST(ProgressOnATerminal, WritesOverItsLineAndLeavesItAtTheEnd) {
  FakeScreen screen;
  Progress progress(2, {}, screen.as(true));
  EXPECT_EQ(screen.line(), "  0% |..............................| 0/2");
  screen.time += 1s;
  progress.advance();
  screen.time += 1s;
  progress.advance();
  progress.end();
  ASSERT_EQ(screen.written.back(), "\n");
  screen.written.pop_back();
  for (const std::string& text : screen.written) {
    EXPECT_EQ(text[0], '\r');
    EXPECT_EQ(text.substr(text.size() - 3), "\x1b[K");
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  EXPECT_EQ(screen.line(), "100% |##############################| 2/2 1.00/s 0:02");
}

TEST(ProgressOnATerminal, NeverWraps) {
  for (int columns : {1, 2, 10, 20, 30, 40, 79, 80, 200}) {
    for (bool unicode : {false, true}) {
      FakeScreen screen;
      screen.columns = columns;
      Progress progress(
          1000, [](int64_t) { return "loss 0.1234567 after ünïcödé " + std::string(150, 'x'); },
          screen.as(true, unicode));
      for (int i = 0; i < 300; ++i) {
        screen.time += 100ms;
        progress.advance();
        ASSERT_LT(characters(screen.line()), std::max(columns, 2)) << screen.line();
      }
    }
  }
}

TEST(ProgressOnATerminal, HasRoomForATextIn80Columns) {
  FakeScreen screen;
  Progress progress(
      100'000, [](int64_t step) { return "loss 0.0123 at " + std::to_string(step); }, screen.as(true));
  screen.time += 100ms;
  progress.advance();
  EXPECT_NE(screen.line().find("loss 0.0123 at 0"), std::string::npos) << screen.line();
  EXPECT_NE(screen.line().find("|"), std::string::npos) << screen.line();
}

TEST(ProgressOnATerminal, MakesALineOfATextOfSeveral) {
  FakeScreen screen;
  Progress progress(
      10, [](int64_t) { return "a\nb\rc\x1b[2J"; }, screen.as(true));
  screen.time += 1s;
  progress.advance();
  EXPECT_NE(screen.line().find("a b c [2J"), std::string::npos) << screen.line();
}

TEST(ProgressElsewhere, WritesAPlainLineEveryFiveSecondsAndALastOne) {
  FakeScreen screen;
  Progress progress(
      120, [](int64_t step) { return "step " + std::to_string(step); }, screen.as(false));
  for (int i = 0; i < 120; ++i) {
    screen.time += 100ms;
    progress.advance();
  }
  progress.end();
  EXPECT_EQ(screen.written,
            (std::vector<std::string>{"50/120 10/s 0:07 left step 49\n", "100/120 10/s 0:02 left step 99\n",
                                      "120/120 10/s 0:12 step 119\n"}));
}

TEST(Progress, ShowsSlowRatesWithDigits) {
  FakeScreen screen;
  Progress progress(3, {}, screen.as(true));
  screen.time += 4000s;
  progress.advance();
  EXPECT_NE(screen.line().find("1/3 0.00/s 2:13:20 left"), std::string::npos) << screen.line();
}

TEST(Progress, OfNothingIsDone) {
  FakeScreen screen;
  Progress progress(0, {}, screen.as(true));
  progress.end();
  EXPECT_EQ(screen.line(), "100% |##############################| 0/0 0:00");
}

TEST(Progress, AsksForTheTextOnlyToDrawIt) {
  FakeScreen screen;
  int asked = 0;
  Progress progress(
      1000, [&](int64_t) { return ++asked, ""; }, screen.as(true));
  for (int i = 0; i < 1000; ++i) progress.advance();
  EXPECT_EQ(asked, 0);
  progress.end();
  EXPECT_EQ(asked, 1);
}

TEST(Bar, FillsInEighths) {
  EXPECT_EQ(bar_of(0, 2, true), "  ");
  EXPECT_EQ(bar_of(0.5, 2, true), "█ ");
  EXPECT_EQ(bar_of(0.75, 2, true), "█▌");
  EXPECT_EQ(bar_of(1, 2, true), "██");
  EXPECT_EQ(bar_of(0.75, 2, false), "#.");
  EXPECT_EQ(bar_of(7, 2, false), "##");
}

TEST(Fitted, CutsBetweenCharacters) {
  EXPECT_EQ(fitted("äöü", 2), "äö");
  EXPECT_EQ(fitted("äöü", 3), "äöü");
  EXPECT_EQ(fitted("a\tb", 9), "a b");
}

template <class Range>
std::string shown_by(
    Range&& range, const std::function<void()>& body = [] {}) {
  testing::internal::CaptureStderr();
  {
    auto walk = std::forward<Range>(range);
    for ([[maybe_unused]] auto&& item : walk) body();
  }
  return testing::internal::GetCapturedStderr();
}

TEST(Viter, CountsInTheTypeOfItsEnd) {
  std::vector<int> seen;
  testing::internal::CaptureStderr();
  for (int step : viter(3)) seen.push_back(step);
  for (int64_t step : viter(int64_t{2})) seen.push_back(static_cast<int>(step));
  for (int step : viter(-1)) seen.push_back(step);
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 0, 1}));
}

TEST(Viter, RefersToAContainerAndKeepsATemporary) {
  std::vector<std::string> words{"a", "b"};
  testing::internal::CaptureStderr();
  for (std::string& word : viter(words)) word += "!";
  std::string joined;
  for (const std::string& word : viter(std::vector<std::string>{"x", "y"})) joined += word;
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(words, (std::vector<std::string>{"a!", "b!"}));
  EXPECT_EQ(joined, "xy");
}

TEST(Viter, EndsWithALineAndTheText) {
  EXPECT_NE(shown_by(viter(3)).find("3/3"), std::string::npos);
  const std::string counted = shown_by(viter(3, [](int64_t step) { return "at " + std::to_string(step); }));
  EXPECT_NE(counted.find("at 2"), std::string::npos) << counted;
  double loss = 1;
  const std::string shown = shown_by(viter(3, [&] { return "loss " + std::to_string(loss); }), [&] { loss /= 2; });
  EXPECT_NE(shown.find("loss 0.125"), std::string::npos) << shown;
  EXPECT_EQ(shown.back(), '\n');
}

TEST(Viter, EndsWhereTheLoopWasLeft) {
  testing::internal::CaptureStderr();
  for (int step : viter(100))
    if (step == 40) break;
  EXPECT_NE(testing::internal::GetCapturedStderr().find("40/100"), std::string::npos);
}

Task<> walk_in_a_task(int& steps) {
  for (int step : viter(3, [&] { return "steps " + std::to_string(steps); })) {
    co_await sleep(1ms);
    steps += step;
  }
}

TEST(Viter, WalksInsideATask) {
  int steps = 0;
  testing::internal::CaptureStderr();
  run(walk_in_a_task(steps));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("3/3"), std::string::npos);
  EXPECT_EQ(steps, 3);
}

TEST(Range, CountsUpAndDown) {
  using Numbers = std::vector<int64_t>;
  EXPECT_EQ(range(3), (Numbers{0, 1, 2}));
  EXPECT_EQ(range(-3), Numbers{});
  EXPECT_EQ(range(2, 8, 3), (Numbers{2, 5}));
  EXPECT_EQ(range(3, 0, -2), (Numbers{3, 1}));
  EXPECT_EQ(range(3, 0), Numbers{});
  EXPECT_EQ(range(INT64_MAX - 1, INT64_MAX, 5), Numbers{INT64_MAX - 1});
  EXPECT_THROW(range(0, 1, 0), Error);
}

TEST(Shuffle, KeepsEveryValueAndRepeatsWithItsSeed) {
  const std::vector<int64_t> values = range(1000), first = shuffle(values, 7);
  EXPECT_NE(first, values);
  EXPECT_EQ(shuffle(values, 7), first);
  EXPECT_NE(shuffle(values, 8), first);
  std::vector<int64_t> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(sorted, values);
  EXPECT_TRUE(shuffle(std::vector<int>{}, 1).empty());
  EXPECT_EQ(shuffle(std::vector<int>{5}, 1), std::vector<int>{5});
}

TEST(Shuffle, MovesValuesThatCannotBeCopied) {
  std::vector<std::unique_ptr<int>> values;
  for (int i = 0; i < 3; ++i) values.push_back(std::make_unique<int>(i));
  int total = 0;
  for (const auto& value : shuffle(std::move(values), 1)) total += *value;
  EXPECT_EQ(total, 3);
}

TEST(Shuffle, MakesEveryOrderAsOften) {
  std::map<std::string, int> seen;
  constexpr int kTries = 24'000;
  for (int seed = 0; seed < kTries; ++seed) {
    const std::vector<char> order = shuffle(std::vector<char>{'a', 'b', 'c', 'd'}, static_cast<uint64_t>(seed));
    ++seen[std::string(order.begin(), order.end())];
  }
  ASSERT_EQ(seen.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : seen) chi_squared += (count - 1000.) * (count - 1000.) / 1000;
  EXPECT_LT(chi_squared, 60) << "23 degrees of freedom";
}

// Random123's known answer for a key and a counter of 0.
TEST(Philox, GivesItsKnownAnswer) {
  const auto block = philox(0, 0);
  EXPECT_EQ(block, (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_NE(philox(0, 1), block);
  EXPECT_NE(philox(1, 0), block);
}

}  // namespace
}  // namespace sm::util
