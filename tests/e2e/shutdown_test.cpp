#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "e2e/training.hpp"

// SIGTERM while clients are busy.
namespace sm::e2e {
namespace {

using io::testing::send;

// Naps until the server is gone; how many were answered. A request that was refused or never taken doesn't count.
Task<> nap_until_refused(std::string url, int64_t milliseconds, std::atomic<int>& answered) {
  const Tensor time = scalar(milliseconds);
  io::FetchOptions once;
  once.retry_for = std::chrono::milliseconds(0);
  try {
    for (;;) {
      co_await io::tfetch(url + "/nap", time, once);
      ++answered;
    }
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::kConnection || error.code() == ErrorCode::kUnavailable) << error.what();
  }
}

Task<> nap_together(std::string url, std::atomic<int>& answered) {
  std::vector<Task<>> all;
  for (int i = 0; i < 8; ++i) all.push_back(nap_until_refused(url, 5 * i, answered));
  // Keeps the server from ending for long enough to look at it.
  all.push_back(nap_until_refused(url, 1500, answered));
  co_await util::all(std::move(all));
}

bool is_ready(const std::string& url) {
  try {
    return send(url + "/health/ready").status == 200;
  } catch (const Error&) {
    return false;
  }
}

int naps_in(const std::string& line) {
  int naps = -1;
  EXPECT_EQ(std::sscanf(line.c_str(), "ended: %d naps", &naps), 1) << line;
  return naps;
}

TEST(Shutdown, UnderLoadAnswersWhatItTookAndSavesWhatItLearned) {
  const io::testing::Directory directory(fast_place());
  Tally tally(40);
  TrainingServer server({"--model", "count", "--size", "40", "--directory", directory.path(), "--interval", "3600000"});
  run(count_steps_together(server.url(), tally, 4));
  std::atomic<int> answered{0};
  Clients clients([&] { return nap_together(server.url(), answered); });
  ASSERT_TRUE(poll_until([&] { return answered > 50; }));
  EXPECT_TRUE(is_ready(server.url()));

  const auto begin = std::chrono::steady_clock::now();
  server.process().kill(SIGTERM);
  EXPECT_TRUE(poll_until([&] { return !is_ready(server.url()); }));
  EXPECT_TRUE(server.process().running()) << "readiness falls before the running requests are over";
  EXPECT_EQ(server.process().wait(), 0) << server.process().output();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "the grace";
  EXPECT_EQ(clients.join(), "");
  EXPECT_EQ(naps_in(server.process().wait_for_line("^ended: ")), answered) << "handled by the server, told to clients";

  server.restart();
  expect_counted_once(server.url(), tally);
}

TEST(Shutdown, AHandlerThatNeverEndsIsLeftBehindAfterTheGrace) {
  const io::testing::Directory directory(fast_place());
  Tally tally(10);
  TrainingServer server({"--model", "count", "--size", "10", "--directory", directory.path(), "--durability",
                         "every-update", "--grace", "300"});
  run(count_steps_together(server.url(), tally, 2));
  std::string failure;
  Clients client([&]() -> Task<> {
    io::FetchOptions once;
    once.retry_for = std::chrono::milliseconds(0);
    const Tensor hour = scalar(int64_t{3'600'000});
    try {
      co_await io::tfetch(server.url() + "/work", hour, once);
    } catch (const Error& error) {
      failure = error.what();
    }
  });
  ASSERT_TRUE(poll_until([&] { return server.statistics()["requests_in_flight"].as_int64() > 1; }));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(server.stop(), 1) << server.process().output();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s) << "with a grace of 0.3 s";
  server.process().wait_for_line("a handler is still computing after the grace");
  EXPECT_EQ(client.join(), "");
  EXPECT_NE(failure, "") << "the request can't have been answered";

  server.restart();
  expect_counted_once(server.url(), tally);
}

}  // namespace
}  // namespace sm::e2e
