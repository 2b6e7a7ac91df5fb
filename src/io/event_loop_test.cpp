#include "io/event_loop.hpp"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <functional>
#include <future>
#include <set>
#include <stdexcept>

#include "io/signals.hpp"
#include "util/log.hpp"

namespace sm::io {
namespace {

TEST(EventLoop, GoesOnAfterAHandlerThrows) {
  util::set_log_level("off");
  EventLoop loop;
  boost::asio::post(loop.context(), [] { throw std::runtime_error("boom"); });
  boost::asio::post(loop.context(), [] { throw 7; });
  std::promise<void> after;
  boost::asio::post(loop.context(), [&] { after.set_value(); });
  EXPECT_EQ(after.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  util::set_log_level("warn");
}

TEST(EventLoop, RunsOnAsManyThreadsAsAskedFor) {
  EventLoop loop(3);
  std::promise<void> release;
  auto released = release.get_future().share();
  std::atomic<int> inside{0};
  std::promise<void> all;
  for (int i = 0; i < 3; ++i)
    boost::asio::post(loop.context(), [&, released] {
      if (++inside == 3) all.set_value();
      released.wait();
    });
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  release.set_value();
}

// Posts to `loop` from within, so that one of its threads is awake and leads.
void post_awake(EventLoop& loop, std::function<void()> work) {
  boost::asio::post(loop.context(), [&loop, work = std::move(work)] { boost::asio::post(loop.context(), work); });
}

TEST(EventLoop, AThreadThatIsAwakeAndThenBusyHoldsNobodyUp) {
  EventLoop loop(3);
  for (int round = 0; round < 100; ++round) {
    std::promise<void> release;
    auto released = release.get_future().share();
    std::atomic<int> held{0};
    std::promise<void> both;
    const auto hold = [&, released] {
      if (++held == 2) both.set_value();
      released.wait();
    };
    post_awake(loop, hold);
    post_awake(loop, hold);
    ASSERT_EQ(both.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
    boost::asio::post(loop.context(), [&] { release.set_value(); });
    ASSERT_EQ(released.wait_for(std::chrono::seconds(10)), std::future_status::ready);
    std::promise<void> out;
    for (int i = 0; i < 8; ++i)
      post_awake(loop, [&, i] {
        if (i == 7) out.set_value();
      });
    ASSERT_EQ(out.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  }
}

TEST(EventLoop, EndsWhileItsThreadsAreAwake) {
  for (int round = 0; round < 100; ++round) {
    EventLoop loop(3);
    std::atomic<int> runs{0};
    std::promise<void> enough;
    std::function<void()> again = [&] {
      if (++runs == 10) enough.set_value();
      boost::asio::post(loop.context(), again);
    };
    for (int i = 0; i < 4; ++i) boost::asio::post(loop.context(), again);
    enough.get_future().wait();
    loop.stop();
    EXPECT_TRUE(loop.join_until(std::chrono::steady_clock::now() + std::chrono::seconds(10)));
  }
}

TEST(Signals, FirstSignalIsReportedOnce) {
  EventLoop loop;
  std::promise<int> number;
  wait_for_signal(loop.context(), [&](int got) { number.set_value(got); });
  std::raise(SIGTERM);
  EXPECT_EQ(number.get_future().get(), SIGTERM);
  std::raise(SIGTERM);  // the same request: would end this process
}

TEST(Signals, ALaterSignalEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto ignore_the_first = [] {
    EventLoop loop;
    std::promise<void> first;
    wait_for_signal(loop.context(), [&](int) { first.set_value(); });
    std::raise(SIGINT);
    first.get_future().wait();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < deadline) std::raise(SIGINT);
  };
  EXPECT_EXIT(ignore_the_first(), testing::KilledBySignal(SIGINT), "");
}

TEST(Signals, ActAsBeforeWhenNobodyWaits) {
  const auto action = [] {
    struct sigaction now = {};
    sigaction(SIGTERM, nullptr, &now);
    return now.sa_handler;
  };
  {
    EventLoop loop;
    wait_for_signal(loop.context(), [](int) {});
    EXPECT_NE(action(), SIG_DFL);
  }
  EXPECT_EQ(action(), SIG_DFL);
}

}  // namespace
}  // namespace sm::io
