#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "shumai/ops.hpp"

namespace sm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Print, RankZeroIsANumber) {
  EXPECT_EQ(scalar(1.5f).to_string(), "tensor(1.5, float32)");
  EXPECT_EQ(scalar(3).to_string(), "tensor(3, int32)");
}

TEST(Print, AListShowsItsDType) {
  EXPECT_EQ(tensor({1.f, 2.f}).to_string(), "tensor([1, 2], float32)");
  EXPECT_EQ(tensor({true, false}).to_string(), "tensor([ true, false], bool)");
  EXPECT_EQ(tensor(std::vector<int8_t>{-1, 10}).to_string(), "tensor([-1, 10], int8)");
  EXPECT_EQ(tensor(std::vector<uint64_t>{~uint64_t{0}}).to_string(), "tensor([18446744073709551615], uint64)");
  EXPECT_EQ(astype(tensor({1.f, 0.5f}), DType::bf16).to_string(), "tensor([1.0, 0.5], bfloat16)");
}

TEST(Print, MatrixColumnsLineUp) {
  EXPECT_EQ(tensor({{1.f, -20.f}, {3.25f, 4.f}}).to_string(),
            "tensor([[  1.00, -20.00],\n"
            "        [  3.25,   4.00]], float32)");
}

TEST(Print, MatricesAreSetApart) {
  EXPECT_EQ(arange(0, 8, 1, DType::i32).reshape({2, 2, 2}).to_string(),
            "tensor([[[0, 1],\n"
            "         [2, 3]],\n"
            "\n"
            "        [[4, 5],\n"
            "         [6, 7]]], int32)");
}

TEST(Print, RoundsToFourDigits) {
  EXPECT_EQ(scalar(1 / 3.).to_string(), "tensor(0.3333, float64)");
  EXPECT_EQ(tensor({0.1f, 2.f}).to_string(), "tensor([0.1, 2.0], float32)");
}

TEST(Print, TinyAndHugeNumbersHaveAnExponent) {
  EXPECT_EQ(scalar(1e-5).to_string(), "tensor(1e-05, float64)");
  EXPECT_EQ(tensor({1.25e10, 1.0}).to_string(), "tensor([1.25e+10, 1.00e+00], float64)");
  EXPECT_EQ(scalar(0.f).to_string(), "tensor(0, float32)");
}

TEST(Print, ValuesThatAreNoNumbers) {
  EXPECT_EQ(tensor({kInf, -kInf, kNaN, 1.5f}).to_string(), "tensor([ inf, -inf,  nan,  1.5], float32)");
  EXPECT_EQ(scalar(kNaN).to_string(), "tensor(nan, float32)");
}

TEST(Print, EmptyOnesShowTheirShape) {
  EXPECT_EQ(zeros(0).to_string(), "tensor([], float32)");
  EXPECT_EQ(zeros({0, 3}, DType::i64).to_string(), "tensor([], shape=[0, 3], int64)");
  EXPECT_EQ(Tensor().to_string(), "tensor(undefined)");
}

TEST(Print, LongOnesAreAbbreviated) {
  EXPECT_EQ(arange(0, 1001, 1, DType::i32).to_string(), "tensor([   0,    1,    2, ...,  998,  999, 1000], int32)");
  EXPECT_EQ(arange(0, 2000, 1, DType::i32).reshape({1000, 2}).to_string(),
            "tensor([[   0,    1],\n"
            "        [   2,    3],\n"
            "        [   4,    5],\n"
            "        ...,\n"
            "        [1994, 1995],\n"
            "        [1996, 1997],\n"
            "        [1998, 1999]], int32)");
}

TEST(Print, AThousandElementsAreShownInLinesOf80) {
  const std::string text = arange(0, 1000, 1, DType::i32).to_string();
  EXPECT_EQ(text.find("..."), std::string::npos);
  EXPECT_NE(text.find("500"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), ','), 1000);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(Print, FollowsTheViewNotTheStorage) {
  EXPECT_EQ(tensor({{1, 2}, {3, 4}}).transpose().to_string(), "tensor([[1, 3],\n        [2, 4]], int32)");
  EXPECT_EQ(arange(0, 4, 1, DType::i32).slice(0, 3, -9, -2).to_string(), "tensor([3, 1], int32)");
  EXPECT_EQ(scalar(7).expand({3}).to_string(), "tensor([7, 7, 7], int32)");
}

TEST(Print, GoesToStreams) {
  std::ostringstream out;
  out << tensor({1, 2});
  EXPECT_EQ(out.str(), "tensor([1, 2], int32)");
}

}  // namespace
}  // namespace sm
