#include <gtest/gtest.h>

#include "ops/op.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

std::string type(const Tensor& x) { return std::string(name_of(x.dtype())); }

TEST(Numbers, AdaptToTheTensorWithinTheirKind) {
  const Tensor f16 = ones({2}, DType::f16), f32 = ones({2}), f64 = ones({2}, DType::f64), u8 = ones({2}, DType::u8);
  EXPECT_EQ(type(f16 * 2.0), "float16");
  EXPECT_EQ(type(f32 * 2.0), "float32");
  EXPECT_EQ(type(2.0 * f32), "float32");
  EXPECT_EQ(type(f64 * 2.f), "float64");
  EXPECT_EQ(type(f32 + 1), "float32");
  EXPECT_EQ(type(u8 + 1), "uint8");
  EXPECT_EQ(type(u8 + true), "uint8");
}

TEST(Numbers, OfAHigherKindRaiseTheTensor) {
  EXPECT_EQ(type(ones({2}, DType::i64) * 0.5), "float32");
  EXPECT_EQ(type(tensor({true}) + 1), "int64");
  EXPECT_EQ(type(tensor({true}) * 0.5), "float32");
}

TEST(Numbers, KeepRankZeroTensorsTheirDType) {
  EXPECT_EQ(type(scalar(2.f) * 3.0), "float32");
  EXPECT_EQ(type(scalar(2.0) * 3.f), "float64");
  EXPECT_EQ(type(scalar<uint8_t>(2) * 3), "uint8");
}

TEST(Numbers, AmongThemselvesGiveTheDefaultOfTheirKind) {
  EXPECT_EQ(type(Tensor(1.5) + Tensor(2)), "float32");
  EXPECT_EQ(type(Tensor(1) + Tensor(2)), "int64");
}

TEST(RankZeroTensors, ChangeOnlyTheKind) {
  EXPECT_EQ(type(ones({2}, DType::f32) * scalar(2.0)), "float32");
  EXPECT_EQ(type(ones({2}, DType::i8) * scalar(int64_t{2})), "int8");
  EXPECT_EQ(type(ones({2}, DType::i8) * scalar(2.0)), "float64");
  EXPECT_EQ(type(ones({2}, DType::f16) + scalar(int64_t{2})), "float16");
  EXPECT_EQ(type(scalar(2.f) * scalar(2.0)), "float64");
}

TEST(Tensors, WithDimensionsPromote) {
  EXPECT_EQ(type(ones({2}, DType::u8) + ones({2}, DType::i8)), "int16");
  EXPECT_EQ(type(ones({2}, DType::i64) + ones({2}, DType::f16)), "float16");
  EXPECT_EQ(type(ones({2}, DType::f16) + ones({2}, DType::bf16)), "float32");
  EXPECT_EQ(type(ones({2}) + ones({2}, DType::f64)), "float64");
  EXPECT_EQ(type(concatenate({ones({2}, DType::i32), ones({2})})), "float32");
  EXPECT_EQ(type(where(tensor({true, false}), ones({2}, DType::i32), 0.5)), "float32");
}

TEST(Results, OfIntegers) {
  const Tensor i = tensor({1, 2, 3});
  EXPECT_EQ(type(i / 2), "float32");
  EXPECT_EQ((i / 2).to_vector<float>(), (std::vector<float>{0.5f, 1, 1.5f}));
  EXPECT_EQ(type(i % 2), "int32");
  EXPECT_EQ(type(power(i, 2)), "int32");
  EXPECT_EQ(type(sum(i)), "int64");
  EXPECT_EQ(type(sum(tensor({true, true}))), "int64");
  EXPECT_EQ(type(mean(i)), "float32");
  EXPECT_EQ(type(i < 2), "bool");
  EXPECT_EQ(type(exp(i)), "float32");
}

TEST(Comparison, TakesPlaceInThePromotedDType) {
  EXPECT_TRUE(all(tensor(std::vector<uint8_t>{200}) > tensor(std::vector<int8_t>{-1})).item<bool>());
  EXPECT_FALSE(any(tensor({1, 2}) == 1.5).item<bool>());
}

TEST(Gradients, GoBackInTheDTypeOfEachInput) {
  const Tensor half = ones({2}, DType::f16).requires_grad(true), wide = ones({2}, DType::f64).requires_grad(true);
  const Gradients gradients = sum(half * wide).backward();
  EXPECT_EQ(type(gradients.of(half)), "float16");
  EXPECT_EQ(type(gradients.of(wide)), "float64");
}

TEST(Gradients, StopAtACastToIntegers) {
  const Tensor x = ones({2}).requires_grad(true);
  EXPECT_FALSE(astype(x, DType::i32).requires_grad());
  EXPECT_TRUE(astype(x, DType::f16).requires_grad());
}

}  // namespace
}  // namespace sm
