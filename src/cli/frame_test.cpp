#include "cli/frame.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sm::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Json statistics(double uptime, int requests, double seconds) {
  return Json::parse(R"({"uptime_seconds": )" + std::to_string(uptime) + R"(, "routes": {"forward": {"requests": )" +
                     std::to_string(requests) + R"(, "errors": 2, "p99_seconds": 0.02, "seconds": )" +
                     std::to_string(seconds) + R"(}},
    "connections": 3, "requests_in_flight": 1, "bytes_in": 2048, "bytes_out": 0, "sessions": 7,
    "tickets": {"live": 4, "bytes": 1048576, "minted": 9, "done": 5, "expired": 0},
    "weights": {"version": 12, "updates": 10, "refused": 1, "stale": 0, "scaled": 0,
                "staleness": [{"up_to": 0, "updates": 8}, {"up_to": 1, "updates": 2}]},
    "checkpoint": {"version": 11, "writes": 2, "failures": 1, "last_write_seconds": 0.004, "error": "no space"},
    "tensor_bytes": 4096})");
}

TEST(Frame, RatesAreSinceTheStartAtFirst) {
  const auto lines = frame("localhost:3000", statistics(10, 100, 0.5), {});
  EXPECT_EQ(lines[0], "localhost:3000  up 10.0 s");
  EXPECT_THAT(lines, Contains(HasSubstr("forward         100        10.0         2      5.0 ms     20.0 ms")));
  EXPECT_THAT(lines, Contains(HasSubstr("4 live with 1.0 MiB, 9 minted, 5 done")));
  EXPECT_THAT(lines, Contains(HasSubstr("version 12, 1.0 updates/s, 1 refused")));
  EXPECT_THAT(lines, Contains(HasSubstr("last took 4.0 ms, error: \"no space\"")));
  EXPECT_THAT(lines, Contains(HasSubstr("stale by up to      1           2  #####...")));
}

TEST(Frame, RatesAreOfTheLastIntervalAfterwards) {
  const auto lines = frame("u", statistics(12, 300, 0.9), statistics(10, 100, 0.5));
  EXPECT_THAT(lines, Contains(HasSubstr("300       100.0         2      2.0 ms")));
}

TEST(Frame, ARestartedServerBeginsAnew) {
  const auto lines = frame("u", statistics(2, 10, 0.1), statistics(500, 900, 9));
  EXPECT_THAT(lines, Contains(HasSubstr("10         5.0         2     10.0 ms")));
}

TEST(Frame, TheTrainingAndTheServersThatAreCalled) {
  const auto lines = frame("u", Json::parse(R"({"uptime_seconds": 1, "gradient_norm": 0.5,
    "loss": {"last": 0.25, "step": 7, "reports": 3},
    "models": [{"model": "0", "url": "http://a:1/", "state": "up", "calls": 9, "failures": 0,
                "statistics": {"weights": {"version": 3, "updates": 2},
                               "models": [{"model": "0", "url": "http://b:2/", "state": "down", "calls": 4,
                                           "failures": 2, "error": "can't \u001b[31mconnect"}]}}]})"),
                           {});
  EXPECT_THAT(lines, Contains("training     loss 0.25 at step 7, gradient norm 0.5"));
  EXPECT_THAT(lines, Contains("  http://a:1/  up, version 3, 2 updates"));
  EXPECT_THAT(lines, Contains(R"(    http://b:2/  down, 2 of 4 calls failed: "can't \u001b[31mconnect")"));
}

TEST(Frame, WhatAServerDoesNotTellIsLeftOut) {
  const auto lines = frame("u", Json::parse(R"({"uptime_seconds": 1, "mine": [1]})"), {});
  EXPECT_THAT(lines, Not(Contains(HasSubstr("checkpoint"))));
  EXPECT_THAT(lines, Not(Contains(HasSubstr("route"))));
}

}  // namespace
}  // namespace sm::cli
