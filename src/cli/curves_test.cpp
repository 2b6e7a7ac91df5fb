#include "cli/curves.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Json history(bool reset, const std::string& loss) {
  return Json::parse(std::string(R"({"reset": )") + (reset ? "true" : "false") + R"(, "loss": )" + loss + "}");
}

TEST(Curves, AreAsHighAsTheirValues) {
  Curves curves;
  curves.add(history(true, "[0, 1, 2, 3, 4, 5, 6, 7]"));
  EXPECT_THAT(curves.lines(8, true), ElementsAre("loss                7  ▁▂▃▄▅▆▇█  0 to 7"));
  EXPECT_THAT(curves.lines(8, false), ElementsAre("loss                7  _.-~=+*#  0 to 7"));
  EXPECT_THAT(curves.lines(4, true), ElementsAre("loss              6.5  ▁▃▆█  0.5 to 6.5"));
}

TEST(Curves, GoOnUntilTheyBeginAnew) {
  Curves curves;
  curves.add(history(true, "[3]"));
  curves.add(history(false, "[null, 1]"));
  EXPECT_THAT(curves.lines(9, false), ElementsAre("loss                1  # _  1 to 3"));
  curves.add(history(true, "[2]"));
  EXPECT_THAT(curves.lines(9, false), ElementsAre("loss                2  _  2 to 2"));
}

TEST(Curves, WhatIsNoHistoryIsPassedOver) {
  Curves curves;
  for (const char* text : {"null", "[1]", "{}", R"({"reset": 1, "loss": [1]})", R"({"reset": true, "loss": 3})",
                           R"({"reset": false, "loss": [null, "x", [1]]})"})
    curves.add(Json::parse(text));
  EXPECT_THAT(curves.lines(10, true), IsEmpty());
}

}  // namespace
}  // namespace sm::cli
