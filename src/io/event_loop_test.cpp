#include "io/event_loop.hpp"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <csignal>
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
