#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "e2e/process.hpp"

namespace sm::e2e {
namespace {

TEST(Text, LearnsInAFewSteps) {
  Process text({binary("text"), "--steps", "20", "--seconds", "200", "--seed", "1"});
  int characters = 0, kinds = 0, held_out = 0;
  const std::string first = text.wait_for_line("held out");
  ASSERT_EQ(std::sscanf(first.c_str(), "%d characters of %d kinds; held out: every tenth of 100 blocks of %*d, %d",
                        &characters, &kinds, &held_out),
            3)
      << first;
  EXPECT_NEAR(held_out, characters / 10.0, 100);
  EXPECT_EQ(text.wait(300s), 0) << text.output();
  const std::string last = text.wait_for_line("^text: ");
  double nats = 0;
  ASSERT_EQ(std::sscanf(last.c_str(), "text: %lf nats a character on the held-out tenth after", &nats), 1) << last;
  EXPECT_LT(nats, 0.75 * std::log(kinds)) << text.output();
  EXPECT_GT(nats, 1);
}

TEST(Text, SaysWhatIsWrongWithAFile) {
  Process missing({binary("text"), "--file", "/nonexistent"});
  EXPECT_EQ(missing.wait(), 1);
  EXPECT_NE(missing.output().find("text: can't read '/nonexistent'"), std::string::npos) << missing.output();
  Process empty({binary("text"), "--file", "/dev/null"});
  EXPECT_EQ(empty.wait(), 1);
  EXPECT_NE(empty.output().find("has 0 characters"), std::string::npos) << empty.output();
}

}  // namespace
}  // namespace sm::e2e
