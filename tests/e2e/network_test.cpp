#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "e2e/learning.hpp"
#include "e2e/proxy.hpp"
#include "e2e/training.hpp"

// Training over a network that delays, cuts, duplicates and replays.
namespace sm::e2e {
namespace {

TEST(Network, EveryStepCountsOnceWhateverHappensOnTheWay) {
  const Seed seed;
  Tally tally(1500);
  TrainingServer server({"--model", "count", "--size", std::to_string(tally.slots)});
  Proxy proxy(server.port(), seed.value());
  Clients clients([&] { return count_steps_together(proxy.url(), tally, 6); });
  EXPECT_EQ(clients.join(), "") << "a client saw an error";
  const auto counts = proxy.counts();
  for (int i = 0; i < Proxy::kCount; ++i) {
    std::printf("%s%d %s", i ? ", " : "", counts[static_cast<size_t>(i)], Proxy::kNames[i]);
    EXPECT_GT(counts[static_cast<size_t>(i)], 0) << "requests " << Proxy::kNames[i];
  }
  std::printf("\n");
  expect_counted_once(server.url(), tally);
  EXPECT_EQ(server.statistics()["weights"]["updates"].as_int64(), tally.done);
}

TEST(Network, WhatIsLearnedIsThatOfAQuietOne) {
  const Seed seed;
  constexpr int kSteps = 300;
  const std::vector<std::string> options{"--model", "line", "--size", "4"};
  TrainingServer quiet(options), disturbed(options);
  Proxy proxy(disturbed.port(), seed.value());
  const Learned expected = learn_on(quiet.url(), quiet, seed.value(), kSteps, [](std::atomic<int>&) {});
  const Learned learned = learn_on(proxy.url(), disturbed, seed.value(), kSteps, [](std::atomic<int>&) {});
  EXPECT_EQ(learned.loss, expected.loss);
  EXPECT_EQ(learned.weights, expected.weights);
}

}  // namespace
}  // namespace sm::e2e
