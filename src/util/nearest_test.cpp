#include "util/nearest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sm::util {
namespace {

TEST(Nearest, TheNameWithTheFewestWrongLettersIsMeant) {
  const std::vector<std::string> known{"--host", "--port", "--optimizer"};
  EXPECT_EQ(did_you_mean("--prot", known), "; did you mean \"--port\"?");
  EXPECT_EQ(did_you_mean("--Optimiser", known), "; did you mean \"--optimizer\"?");
}

TEST(Nearest, ANameUnlikeAllMeansNone) {
  const std::vector<std::string> known{"serve", "train"};
  EXPECT_EQ(did_you_mean("dance", known), "");
  EXPECT_EQ(did_you_mean("", known), "");
  EXPECT_EQ(did_you_mean("serve", {}), "");
}

}  // namespace
}  // namespace sm::util
