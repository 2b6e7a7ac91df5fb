#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "e2e/training.hpp"

// Servers of one model that average their weights, as processes that die.
namespace sm::e2e {
namespace {

using Words = std::vector<std::string>;

class Group {
 public:
  // The model "count": what one replica learns while the others don't is counted in full, soon and everywhere.
  Words member(const std::string& id, int slots, Words more = {}) const {
    Words out{"--model", "count",   "--size", std::to_string(slots), "--rendezvous", place_.path(), "--id",
              id,        "--every", "5",      "--average-interval",  "100"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
  Words durable(const std::string& id) const { return {"--durability", "every-update", "--directory", disk_.path(id)}; }

 private:
  const io::testing::Directory place_, disk_{fast_place()};
};

Json group_of(const TrainingServer& server) { return server.statistics()["replicas"]; }

bool in_group_of(const TrainingServer& server, size_t size) { return group_of(server)["members"].size() == size; }

double sum_of_weights(const TrainingServer& server) {
  double sum = 0;
  for (const double weight : weights_of(server.url())) sum += weight;
  return sum;
}

TEST(Replicas, LearnFromEachOther) {
  const Group group;
  Tally tally(60);
  TrainingServer first(group.member("a", tally.slots)), second(group.member("b", tally.slots));
  ASSERT_TRUE(poll_until([&] { return in_group_of(first, 2) && in_group_of(second, 2); }));
  run(count_steps_together(first.url(), tally, 3));
  EXPECT_TRUE(poll_until([&] { return sum_of_weights(second) == tally.slots; })) << sum_of_weights(second);
  expect_counted_once(second.url(), tally);
  EXPECT_EQ(first.stop(), 0);
  EXPECT_GE(group_of(second)["averages"].as_int64(), 1);
  EXPECT_TRUE(poll_until([&] { return in_group_of(second, 1); }));
}

TEST(Replicas, WhatAKilledOneHadLearnedComesBackWithItOnce) {
  const Seed seed;
  std::mt19937 random = seed.engine();
  const Group group;
  Tally tally(1 << 15);
  TrainingServer quiet(group.member("a", tally.slots)), killed(group.member("b", tally.slots, group.durable("b")));
  ASSERT_TRUE(poll_until([&] { return in_group_of(quiet, 2) && in_group_of(killed, 2); }));
  Clients clients([&] { return count_steps_together(killed.url(), tally, 4); });
  for (int i = 0; i < 8; ++i) {
    const int before = tally.done;
    const int more = between(random, 1, 20);
    EXPECT_TRUE(poll_until([&] { return tally.done > before + more || clients.ended(); }));
    // Now and then when they are a group, and else at any time.
    if (i % 2 == 0) {
      EXPECT_TRUE(poll_until([&] { return group_of(killed)["averages"].as_int64() > 0; }));
    }
    killed.kill();
    killed.restart();
  }
  EXPECT_FALSE(clients.ended()) << "the steps were over before the kills";
  tally.enough = true;
  EXPECT_EQ(clients.join(), "") << "a client saw an error";
  std::printf("%d steps\n", tally.done.load());
  expect_counted_once(killed.url(), tally);
  EXPECT_TRUE(poll_until([&] { return sum_of_weights(quiet) >= tally.done; })) << sum_of_weights(quiet);
  expect_counted_once(quiet.url(), tally);
}

TEST(Replicas, TheOthersGoOnWhenOneIsKilled) {
  const Group group;
  Tally tally(1 << 14);
  TrainingServer first(group.member("a", tally.slots)), second(group.member("b", tally.slots)),
      third(group.member("c", tally.slots));
  ASSERT_TRUE(poll_until([&] { return in_group_of(first, 3) && in_group_of(second, 3) && in_group_of(third, 3); }));
  Clients clients([&] { return count_steps_together(first.url(), tally, 2); });
  EXPECT_TRUE(poll_until([&] { return group_of(second)["averages"].as_int64() > 3; }));
  third.kill();
  EXPECT_TRUE(poll_until([&] { return in_group_of(first, 2) && in_group_of(second, 2); }));
  const int64_t before = group_of(second)["averages"].as_int64();
  EXPECT_TRUE(poll_until([&] { return group_of(second)["averages"].as_int64() > before + 3; }));
  // Without a checkpoint it begins with the group's weights.
  third.restart();
  EXPECT_TRUE(poll_until([&] { return in_group_of(first, 3) && in_group_of(third, 3); }));
  tally.enough = true;
  EXPECT_EQ(clients.join(), "") << "a client saw an error";
  EXPECT_TRUE(poll_until([&] { return sum_of_weights(third) == tally.done; })) << sum_of_weights(third);
  expect_counted_once(third.url(), tally);
}

TEST(Replicas, SynchronousOnesHaveAnUpdateBeforeItIsAcknowledged) {
  const Group group;
  Tally tally(1 << 10);
  const Words synchronous{"--mode", "synchronous"};
  TrainingServer first(group.member("a", tally.slots, synchronous)),
      second(group.member("b", tally.slots, synchronous));
  ASSERT_TRUE(poll_until([&] { return in_group_of(first, 2) && in_group_of(second, 2); }));
  const io::RemoteModel model = io::remote_model(first.url());
  for (int step = 0; step < 20; ++step) {
    const Tensor y = run(model(tensor<int64_t>({step})));
    run(sum(y).backward_async());
    // The average has moved both, in no order.
    EXPECT_TRUE(poll_until([&] { return weights_of(second.url())[static_cast<size_t>(step)] == 1; }));
    EXPECT_EQ(group_of(first)["round"].as_int64(), step + 1);
  }
}

}  // namespace
}  // namespace sm::e2e
