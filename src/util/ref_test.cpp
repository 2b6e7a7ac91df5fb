#include "util/ref.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sm::util {
namespace {

struct Counted : RefCounted {
  explicit Counted(int& ends) : ends(ends) {}
  static void destroy(Counted* object) {
    ++object->ends;
    delete object;
  }
  int& ends;
};

TEST(Ref, EndsTheObjectWithItsLastOwner) {
  int ends = 0;
  {
    Ref<Counted> first(new Counted(ends));
    {
      Ref<Counted> second = first;
      EXPECT_FALSE(first->unique());
    }
    EXPECT_TRUE(first->unique());
    EXPECT_EQ(ends, 0);
  }
  EXPECT_EQ(ends, 1);
}

TEST(Ref, MoveHandsOverWithoutCounting) {
  int ends = 0;
  Ref<Counted> first(new Counted(ends));
  const Ref<Counted> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_TRUE(second->unique());
  EXPECT_EQ(ends, 0);
}

TEST(Ref, AssignmentReleasesWhatItHeld) {
  int first_ends = 0;
  int second_ends = 0;
  Ref<Counted> ref(new Counted(first_ends));
  ref = Ref<Counted>(new Counted(second_ends));
  EXPECT_EQ(first_ends, 1);
  EXPECT_EQ(second_ends, 0);
  ref = nullptr;
  EXPECT_EQ(second_ends, 1);
}

TEST(Ref, SelfAssignmentKeepsTheObject) {
  int ends = 0;
  Ref<Counted> ref(new Counted(ends));
  const Ref<Counted>& same = ref;
  ref = same;
  EXPECT_EQ(ends, 0);
  EXPECT_TRUE(ref->unique());
}

TEST(Ref, LeakLeavesTheReferenceToTheCaller) {
  int ends = 0;
  Counted* object = nullptr;
  {
    Ref<Counted> ref(new Counted(ends));
    object = ref.leak();
  }
  EXPECT_EQ(ends, 0);
  EXPECT_TRUE(object->drop());
  Counted::destroy(object);
  EXPECT_EQ(ends, 1);
}

TEST(Ref, TheFirstReferenceIsCountedLikeAnyOther) {
  int ends = 0;
  {
    const Ref<Counted> first = Ref<Counted>::first(new Counted(ends));
    EXPECT_TRUE(first->unique());
    const Ref<Counted> second = first;
    EXPECT_FALSE(first->unique());
  }
  EXPECT_EQ(ends, 1);
}

TEST(Ref, OwnersOnManyThreadsEndItOnce) {
  int ends = 0;
  Ref<Counted> ref(new Counted(ends));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([ref] {
        for (int turn = 0; turn < 10'000; ++turn) Ref<Counted> copy = ref;
      });
  }
  EXPECT_TRUE(ref->unique());
  ref = nullptr;
  EXPECT_EQ(ends, 1);
}

}  // namespace
}  // namespace sm::util
