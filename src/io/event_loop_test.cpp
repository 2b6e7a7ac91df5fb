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
}

}  // namespace
}  // namespace sm::io
