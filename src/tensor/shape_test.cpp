#include "shumai/shape.hpp"

#include <gtest/gtest.h>

#include "shumai/error.hpp"

namespace sm {
namespace {

Dims counting(int n) {
  Dims dims;
  for (int i = 0; i < n; ++i) dims.push_back(i);
  return dims;
}

template <class F>
std::string error_of(F f, ErrorCode code) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

// One size below, at and above what fits inside the object.
class DimsOfSize : public testing::TestWithParam<int> {};

TEST_P(DimsOfSize, GrowByOneAtTheEnd) {
  const Dims dims = counting(GetParam());
  ASSERT_EQ(dims.size(), GetParam());
  for (int i = 0; i < dims.size(); ++i) EXPECT_EQ(dims[i], i);
}

TEST_P(DimsOfSize, CopiesAreEqualAndApart) {
  const Dims first = counting(GetParam());
  Dims second = first;
  EXPECT_EQ(first, second);
  second[0] = 99;
  EXPECT_NE(first, second);
  EXPECT_EQ(first[0], 0);
  second = first;
  EXPECT_EQ(first, second);
}

TEST_P(DimsOfSize, MovingTakesTheValues) {
  Dims first = counting(GetParam());
  Dims second = std::move(first);
  EXPECT_EQ(second, counting(GetParam()));
  EXPECT_TRUE(first.empty());
  Dims third = {7};
  third = std::move(second);
  EXPECT_EQ(third, counting(GetParam()));
  third = Dims{1};
  EXPECT_EQ(third, Dims{1});
}

TEST_P(DimsOfSize, AssigningToItselfKeepsTheValues) {
  Dims dims = counting(GetParam());
  const Dims& same = dims;
  dims = same;
  EXPECT_EQ(dims, counting(GetParam()));
}

TEST_P(DimsOfSize, InsertAndEraseAreInverse) {
  for (int at = 0; at <= GetParam(); ++at) {
    Dims dims = counting(GetParam());
    dims.insert(at, -5);
    ASSERT_EQ(dims.size(), GetParam() + 1);
    EXPECT_EQ(dims[at], -5);
    EXPECT_TRUE(dims.contains(-5));
    dims.erase(at);
    EXPECT_EQ(dims, counting(GetParam()));
    EXPECT_FALSE(dims.contains(-5));
  }
}

INSTANTIATE_TEST_SUITE_P(AroundInline, DimsOfSize,
                         testing::Values(1, Dims::kInline - 1, Dims::kInline, Dims::kInline + 1, 63));

TEST(Dims, HoldUpTo64) {
  EXPECT_EQ(counting(64).size(), 64);
  error_of([] { counting(65); }, ErrorCode::kOutOfRange);
  error_of([] { Dims(65, 1); }, ErrorCode::kOutOfRange);
  error_of([] { Dims(-1, 1); }, ErrorCode::kOutOfRange);
}

TEST(Dims, PrintAsAList) {
  EXPECT_EQ(Dims().to_string(), "[]");
  EXPECT_EQ((Dims{2, -3, 4}).to_string(), "[2, -3, 4]");
}

TEST(Dims, OneNumberIsAListOfOne) { EXPECT_EQ(Dims(3), Dims{3}); }

TEST(ElementsOf, IsTheProduct) {
  EXPECT_EQ(elements_of({}), 1);
  EXPECT_EQ(elements_of({2, 3, 4}), 24);
  EXPECT_EQ(elements_of({2, 0, 4}), 0);
}

TEST(ElementsOf, RejectsNegativeSizes) {
  EXPECT_NE(error_of([] { elements_of({2, -1}); }, ErrorCode::kInvalidArgument).find("[2, -1]"), std::string::npos);
}

TEST(ElementsOf, RejectsWhatDoesNotFitIn63Bits) {
  constexpr int64_t kBig = int64_t{1} << 32;
  EXPECT_EQ(elements_of({kBig, kBig / 4}), int64_t{1} << 62);
  error_of([] { elements_of({kBig, kBig / 2}); }, ErrorCode::kTooLarge);
  error_of([] { elements_of({kBig, kBig, kBig}); }, ErrorCode::kTooLarge);
  EXPECT_EQ(elements_of({kBig, kBig, 0}), 0);
}

TEST(Broadcast, FollowsNumPy) {
  EXPECT_EQ(broadcast({2, 3}, {2, 3}, "op"), (Shape{2, 3}));
  EXPECT_EQ(broadcast({2, 3}, {3}, "op"), (Shape{2, 3}));
  EXPECT_EQ(broadcast({3}, {2, 3}, "op"), (Shape{2, 3}));
  EXPECT_EQ(broadcast({2, 1}, {1, 4}, "op"), (Shape{2, 4}));
  EXPECT_EQ(broadcast({}, {5}, "op"), Shape{5});
  EXPECT_EQ(broadcast({}, {}, "op"), Shape{});
  EXPECT_EQ(broadcast({0, 3}, {1, 3}, "op"), (Shape{0, 3}));
  EXPECT_EQ(broadcast({1}, {0}, "op"), Shape{0});
  EXPECT_EQ(broadcast({8, 1, 6, 1}, {7, 1, 5}, "op"), (Shape{8, 7, 6, 5}));
}

TEST(Broadcast, NamesTheOpBothShapesAndTheRule) {
  const std::string text = error_of([] { broadcast({2, 3}, {2, 4}, "add"); }, ErrorCode::kShapeMismatch);
  for (const char* part : {"add: ", "[2, 3]", "[2, 4]", "equal or 1"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  error_of([] { broadcast({2}, {0}, "add"); }, ErrorCode::kShapeMismatch);
  error_of([] { broadcast({2, 3}, {2}, "add"); }, ErrorCode::kShapeMismatch);
}

}  // namespace
}  // namespace sm
