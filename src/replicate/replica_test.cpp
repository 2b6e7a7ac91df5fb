#include "replicate/replica.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "replicate/testing.hpp"

namespace sm::replicate {
namespace {

using namespace testing;

class ReplicaTest : public ::testing::Test {
 protected:
  const util::testing::Directory folder_;
  std::string where() const { return folder_.path(); }
};

TEST_F(ReplicaTest, AReplicaThatJoinsGetsTheWeightsOfTheGroup) {
  Learner first(where(), "a", one_weight(5));
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(1); }));
  Learner second(where(), "b", one_weight(1));
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
  EXPECT_TRUE(poll_until([&] { return second.value() == 5; })) << second.value();
  EXPECT_EQ(first.value(), 5);
}

TEST_F(ReplicaTest, WeightsBecomeTheMeanOfWhatEachLearned) {
  const auto twice = [](Options& options) { options.every = 2; };
  Learner first(where(), "a", one_weight(10), twice), second(where(), "b", one_weight(10), twice),
      third(where(), "c", one_weight(10), twice);
  const std::vector<Learner*> all{&first, &second, &third};
  const auto everybody_at = [&](float value) {
    return poll_until([&] {
      return std::ranges::all_of(all, [&](Learner* learner) { return std::abs(learner->value() - value) < 1e-4F; });
    });
  };
  ASSERT_TRUE(poll_until([&] { return std::ranges::all_of(all, [](auto* one) { return one->is_in_group_of(3); }); }));
  first.learn(1);
  second.learn(2);
  third.learn(6);
  first.learn(0);
  EXPECT_TRUE(everybody_at(13)) << first.value() << " " << second.value() << " " << third.value();
  // Who learned nothing since doesn't count in the mean.
  second.learn(2);
  second.learn(2);
  EXPECT_TRUE(everybody_at(17)) << first.value() << " " << second.value() << " " << third.value();
  EXPECT_EQ(first->status().round, 2);
}

TEST_F(ReplicaTest, WhatIsLearnedMeanwhileIsKept) {
  Learner first(where(), "a", one_weight(0)), second(where(), "b", one_weight(0));
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
  for (int i = 0; i < 200; ++i) {
    first.learn(1);
    second.learn(1);
  }
  // Each average counts what one replica did since the last by half, or wholly when the other did nothing.
  ASSERT_TRUE(poll_until([&] { return first->has(200) && second->has(200); }));
  ASSERT_TRUE(poll_until([&] { return std::abs(first.value() - second.value()) < 1e-2F; }));
  EXPECT_GE(first.value(), 199);
  EXPECT_LE(first.value(), 401);
}

TEST_F(ReplicaTest, WhoLeavesBringsWhatItLearned) {
  const auto rarely = [](Options& options) { options.every = 1000; };
  Learner first(where(), "a", one_weight(1), rarely);
  {
    Learner second(where(), "b", one_weight(1), rarely);
    ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
    second.learn(7);
    second.stop();
  }
  EXPECT_TRUE(poll_until([&] { return first.value() == 8; })) << first.value();
  EXPECT_TRUE(poll_until([&] { return first.is_in_group_of(1); }));
}

TEST_F(ReplicaTest, WhatOneLearnedAloneIsTheGroupsWhenAnotherComes) {
  const auto rarely = [](Options& options) { options.every = 1000; };
  Learner first(where(), "a", one_weight(1), rarely);
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(1); }));
  first.learn(41);
  Learner second(where(), "b", one_weight(0), rarely);
  EXPECT_TRUE(poll_until([&] { return second.value() == 42; })) << second.value();
  EXPECT_EQ(first.value(), 42);
}

TEST_F(ReplicaTest, WhatWasSentBeforeAnEndIsCountedOnce) {
  const auto rarely = [](Options& options) { options.every = 1000; };
  Learner first(where(), "a", one_weight(10), rarely);
  std::optional<Agreed> known;
  {
    Learner second(where(), "b", one_weight(10), [](Options& options) { options.every = 1; });
    ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
    known = second.agreed();
    second.learn(5);
    ASSERT_TRUE(poll_until([&] { return first.value() == 15; })) << first.value();
  }
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(1); }));
  // What a checkpoint would hold that was written when the contribution had been sent, before anybody said that it was
  // included: the number that the group remembers, and the weights of then. One more was learned since.
  Agreed before = *known;
  before.sent = first.agreed().included.at("b");
  before.sent_weights = {scalar(15.F)};
  {
    Learner second(where(), "b", one_weight(16), rarely, before);
    EXPECT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second->status().round >= 1; }));
    EXPECT_TRUE(poll_until([&] { return second.value() == 16; })) << second.value();
  }
  // It left, and brought the one.
  EXPECT_TRUE(poll_until([&] { return first.value() == 16; })) << first.value();
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(1); }));
  // And one that wasn't included is brought.
  before.sent += 1000;
  Learner third(where(), "b", one_weight(16), rarely, before);
  EXPECT_TRUE(poll_until([&] { return third.value() == 22; })) << third.value();
}

TEST_F(ReplicaTest, NotANumberStaysWithWhoMadeIt) {
  Learner first(where(), "a", one_weight(1)), second(where(), "b", one_weight(1));
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
  second.learn(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(poll_until([&] { return first->status().round == 1; }));
  EXPECT_TRUE(poll_until([&] { return second.value() == 1; })) << second.value();
  EXPECT_EQ(first.value(), 1);
}

TEST_F(ReplicaTest, FloatingWeightsOfAllDtypesAreAveraged) {
  const auto weights = [] {
    return Tensors{{"d", scalar(1.0).requires_grad(true)},
                   {"h", scalar(2.F).astype(DType::f16).requires_grad(true)},
                   {"w", tensor({{1.F, 2.F, 3.F}, {4.F, 5.F, 6.F}}).transpose().requires_grad(true)}};
  };
  const auto rarely = [](Options& options) { options.every = 2; };
  Learner first(where(), "a", weights(), rarely), second(where(), "b", weights(), rarely);
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
  first.learn(2);
  second.learn(1);
  second.learn(3);
  EXPECT_TRUE(poll_until([&] { return first.value("d") == 4 && second.value("d") == 4; })) << first.value("d");
  EXPECT_EQ(first.value("h"), 5);
  EXPECT_EQ(first.value("w"), 21 + 6 * 3);
}

TEST_F(ReplicaTest, OneJoinsAGroupWhoseRendezvousWasEmptied) {
  Learner first(where(), "a", one_weight(5)), second(where(), "b", one_weight(5));
  ASSERT_TRUE(poll_until([&] { return first.is_in_group_of(2) && second.is_in_group_of(2); }));
  first.learn(2);
  ASSERT_TRUE(poll_until([&] { return first.value() == 7 && second.value() == 7; }));
  std::filesystem::remove_all(where() + "/test");
  Learner third(where(), "c", one_weight(1));
  EXPECT_TRUE(
      poll_until([&] { return first.is_in_group_of(3) && second.is_in_group_of(3) && third.is_in_group_of(3); }));
  EXPECT_TRUE(poll_until([&] { return third.value() == 7; })) << third.value();
}

TEST_F(ReplicaTest, AnIdIsOfOneReplica) {
  const Learner first(where(), "a", one_weight(1));
  EXPECT_THROW(Learner(where(), "a", one_weight(1)), Error);
}

TEST_F(ReplicaTest, AGroupHasOneModel) {
  const Learner first(where(), "a", one_weight(1));
  try {
    Learner(where(), "b", {{"other", scalar(1.F).requires_grad(true)}});
    FAIL() << "it was let in";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("another model"));
  }
}

TEST_F(ReplicaTest, OptionsAreChecked) {
  const auto refused = [&](const std::function<void(Options&)>& change) {
    EXPECT_THROW(Learner(where(), "x", one_weight(1), change), Error);
  };
  refused([](Options& options) { options.every = 0; });
  refused([](Options& options) { options.id = "no/slash"; });
  refused([](Options& options) { options.group = ""; });
  refused([](Options& options) { options.rendezvous = "http://somewhere"; });
  refused([](Options& options) { options.rendezvous = "redis://"; });
  refused([](Options& options) { options.timeout = 1ms; });
  refused([](Options& options) { options.outer.momentum = 1; });
  refused([](Options& options) { options.address = "192.0.2.1"; });
  EXPECT_THROW(Learner(where(), "x", {{"n", scalar(int64_t{1})}}), Error);
}

}  // namespace
}  // namespace sm::replicate
