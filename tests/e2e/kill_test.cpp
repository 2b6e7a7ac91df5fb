#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "e2e/learning.hpp"
#include "e2e/training.hpp"

// kill -9 of a server in the middle of training, again and again.
namespace sm::e2e {
namespace {

constexpr int kKills = 20;

// Kills and starts the server until `kills` are done; the moments are random, in the start as well.
void keep_killing(
    TrainingServer& server, std::mt19937& random, int kills, const std::function<void(int kill)>& before = [](int) {}) {
  for (int i = 0; i < kills; ++i) {
    before(i);
    if (between(random, 0, 3) > 0) server.wait_until_serving();
    std::this_thread::sleep_for(std::chrono::microseconds(between(random, 0, 40'000)));
    server.kill();
    server.start();
  }
  server.wait_until_serving();
}

std::vector<std::string> durable(const std::string& model, int size, const io::testing::Directory& directory) {
  return {"--model",      model,          "--size",      std::to_string(size),
          "--durability", "every-update", "--directory", directory.path()};
}

TEST(Kill, NoAcknowledgedStepIsLostOrDoubled) {
  const Seed seed;
  std::mt19937 random = seed.engine();
  const io::testing::Directory directory(fast_place());
  Tally tally(1 << 14);
  TrainingServer server(durable("count", tally.slots, directory));
  // The first start is over, and the clients' process has had an answer: from now on it is patient.
  weights_of(server.url());
  server.kill();
  server.start();
  Clients clients([&] { return count_steps_together(server.url(), tally, 4); });
  keep_killing(server, random, kKills);
  EXPECT_FALSE(clients.ended()) << "the steps were over before the kills";
  const int before = tally.done;
  EXPECT_TRUE(poll_until([&] { return tally.done > before + 20 || clients.ended(); }));
  tally.enough = true;
  EXPECT_EQ(clients.join(), "") << "a client saw an error";
  std::printf("%d steps through %d kills\n", tally.done.load(), kKills);
  expect_counted_once(server.url(), tally);
  EXPECT_EQ(server.statistics()["weights"]["version"].as_int64(), tally.done);
}

TEST(Kill, WhatIsLearnedIsThatOfAnUndisturbedRun) {
  const Seed seed;
  std::mt19937 random = seed.engine();
  constexpr int kSteps = 800;
  const io::testing::Directory quiet_directory(fast_place()), directory(fast_place());
  TrainingServer quiet(durable("line", 4, quiet_directory)), killed(durable("line", 4, directory));
  const Learned expected =
      learn_on(quiet.url(), quiet, seed.value(), kSteps, [](std::atomic<int>& allowed) { allowed = kSteps; });
  weights_of(killed.url());
  killed.kill();
  killed.start();
  const Learned learned = learn_on(killed.url(), killed, seed.value(), kSteps, [&](std::atomic<int>& allowed) {
    // Between kills it may get so far; the last steps come after the last kill.
    keep_killing(killed, random, kKills, [&](int kill) { allowed = (kill + 1) * kSteps / (kKills + 1); });
  });
  std::printf("loss %.17g undisturbed, %.17g through %d kills\n", expected.loss, learned.loss, kKills);
  // One client, and every step on the disk before it is acknowledged: the same steps from the same weights.
  EXPECT_EQ(learned.loss, expected.loss);
  EXPECT_EQ(learned.weights, expected.weights);
  EXPECT_LT(learned.loss, 0.1) << "noise of variance 0.01 remains";
}

}  // namespace
}  // namespace sm::e2e
