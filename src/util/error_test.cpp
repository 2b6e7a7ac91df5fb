#include "shumai/error.hpp"

#include <gtest/gtest.h>

namespace sm {
namespace {

// The enum is dense: its last enumerator bounds it.
template <class Visit>
void for_each_code(Visit visit) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::kCancelled); ++code) visit(static_cast<ErrorCode>(code));
}

TEST(Error, EveryCodeHasAnHttpErrorStatus) {
  for_each_code([](ErrorCode code) {
    EXPECT_GE(http_status(code), 400) << code_name(code);
    EXPECT_LE(http_status(code), 599) << code_name(code);
  });
}

TEST(Error, NamesRoundTrip) {
  for_each_code([](ErrorCode code) { EXPECT_EQ(code_from_name(code_name(code)), code) << code_name(code); });
}

TEST(Error, AStatusKeepsItsMeaningOnTheOtherSide) {
  for_each_code([](ErrorCode code) {
    EXPECT_EQ(http_status(code_from_status(http_status(code))), http_status(code)) << code_name(code);
  });
}

TEST(Error, UnknownStatusFallsBackByItsClass) {
  EXPECT_EQ(code_from_status(418), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_from_status(599), ErrorCode::kInternal);
  EXPECT_EQ(code_from_status(200), ErrorCode::kInternal);
}

TEST(Error, UnknownNameIsInternal) { EXPECT_EQ(code_from_name("no_such_code"), ErrorCode::kInternal); }

TEST(Error, CarriesCodeStatusAndMessage) {
  const Error error(ErrorCode::kShapeMismatch, "add: shapes differ, got [2] and [3]");
  EXPECT_EQ(error.code(), ErrorCode::kShapeMismatch);
  EXPECT_EQ(error.status(), 400);
  EXPECT_STREQ(error.what(), "add: shapes differ, got [2] and [3]");
}

}  // namespace
}  // namespace sm
