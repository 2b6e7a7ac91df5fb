#include "shumai/dtype.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "shumai/error.hpp"

namespace sm {
namespace {

constexpr DType kAll[] = {DType::boolean, DType::u8,  DType::i8,  DType::i16,  DType::u16, DType::i32, DType::u32,
                          DType::i64,     DType::u64, DType::f16, DType::bf16, DType::f32, DType::f64};

TEST(DTypeNames, RoundTrip) {
  for (DType dtype : kAll) EXPECT_EQ(dtype_from_name(name_of(dtype)), dtype);
  EXPECT_EQ(dtype_from_name("f32"), DType::f32);
  EXPECT_EQ(dtype_from_name("u8"), DType::u8);
  EXPECT_EQ(dtype_from_name("bf16"), DType::bf16);
}

TEST(DTypeNames, UnknownOnesAreNamed) {
  try {
    dtype_from_name("complex64");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDTypeMismatch);
    EXPECT_NE(std::string(error.what()).find("complex64"), std::string::npos);
  }
}

TEST(DTypeOf, MapsElementTypes) {
  EXPECT_EQ(dtype_of<bool>, DType::boolean);
  EXPECT_EQ(dtype_of<int8_t>, DType::i8);
  EXPECT_EQ(dtype_of<uint16_t>, DType::u16);
  EXPECT_EQ(dtype_of<long long>, DType::i64);
  EXPECT_EQ(dtype_of<unsigned long>, DType::u64);
  EXPECT_EQ(dtype_of<float16>, DType::f16);
  EXPECT_EQ(dtype_of<double>, DType::f64);
  for (DType dtype : kAll) EXPECT_EQ(size_of(dtype) % 2, size_of(dtype) == 1 ? 1u : 0u);
}

// torch.promote_types, from https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
TEST(Promote, AgreesWithPyTorchsTable) {
  using enum DType;
  constexpr DType kAxis[] = {u8, i8, i16, i32, i64, f16, bf16, f32, f64, boolean};
  constexpr DType kTable[10][10] = {
      {u8, i16, i16, i32, i64, f16, bf16, f32, f64, u8},         {i16, i8, i16, i32, i64, f16, bf16, f32, f64, i8},
      {i16, i16, i16, i32, i64, f16, bf16, f32, f64, i16},       {i32, i32, i32, i32, i64, f16, bf16, f32, f64, i32},
      {i64, i64, i64, i64, i64, f16, bf16, f32, f64, i64},       {f16, f16, f16, f16, f16, f16, f32, f32, f64, f16},
      {bf16, bf16, bf16, bf16, bf16, f32, bf16, f32, f64, bf16}, {f32, f32, f32, f32, f32, f32, f32, f32, f64, f32},
      {f64, f64, f64, f64, f64, f64, f64, f64, f64, f64},        {u8, i8, i16, i32, i64, f16, bf16, f32, f64, boolean}};
  for (int i = 0; i < 10; ++i)
    for (int j = 0; j < 10; ++j)
      EXPECT_EQ(promote(kAxis[i], kAxis[j]), kTable[i][j]) << name_of(kAxis[i]) << " and " << name_of(kAxis[j]);
}

TEST(Promote, WideUnsignedTypesFollowNumPy) {
  EXPECT_EQ(promote(DType::u16, DType::i16), DType::i32);
  EXPECT_EQ(promote(DType::u16, DType::u8), DType::u16);
  EXPECT_EQ(promote(DType::u16, DType::i32), DType::i32);
  EXPECT_EQ(promote(DType::u32, DType::i32), DType::i64);
  EXPECT_EQ(promote(DType::u32, DType::i8), DType::i64);
  EXPECT_EQ(promote(DType::u64, DType::i64), DType::f64);
  EXPECT_EQ(promote(DType::u64, DType::u8), DType::u64);
  EXPECT_EQ(promote(DType::u64, DType::f16), DType::f16);
}

TEST(Promote, IsSymmetricAndKeepsEqualTypes) {
  for (DType a : kAll) {
    EXPECT_EQ(promote(a, a), a);
    for (DType b : kAll) EXPECT_EQ(promote(a, b), promote(b, a));
  }
}

// The formats by their definition, slowly: `exponent_bits` wide, `fraction_bits` after the point.
double decoded(uint16_t bits, int exponent_bits, int fraction_bits) {
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
}

template <class Half>
class HalfPrecision : public testing::Test {
 protected:
  static constexpr int kExponent = std::is_same_v<Half, float16> ? 5 : 8;
  static constexpr int kFraction = 15 - kExponent;
  static constexpr uint16_t kInfinity = static_cast<uint16_t>(((1 << kExponent) - 1) << kFraction);

  static Half of(uint16_t bits) {
    Half half;
    half.bits = bits;
    return half;
  }
  static uint16_t rounded(float value) { return Half(value).bits; }
};

using Halves = testing::Types<float16, bfloat16>;
TYPED_TEST_SUITE(HalfPrecision, Halves);

TYPED_TEST(HalfPrecision, EveryPatternDecodesAsTheFormatSays) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<uint16_t>(bits);
    const float got = static_cast<float>(this->of(pattern));
    const double want = decoded(pattern, this->kExponent, this->kFraction);
    if (std::isnan(want))
      ASSERT_TRUE(std::isnan(got)) << bits;
    else
      ASSERT_EQ(got, want) << bits;
    ASSERT_TRUE(std::isnan(want) || std::signbit(got) == (bits >= 32768)) << bits;
  }
}

TYPED_TEST(HalfPrecision, EveryPatternSurvivesTheWayThroughFloat) {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<uint16_t>(bits);
    const float value = static_cast<float>(this->of(pattern));
    const uint16_t back = this->rounded(value);
    if (std::isnan(value))
      ASSERT_TRUE(std::isnan(static_cast<float>(this->of(back)))) << bits;
    else
      ASSERT_EQ(back, pattern);
  }
}

TYPED_TEST(HalfPrecision, RoundsToNearestAndTiesToEven) {
  for (int bits = 0; bits + 1 <= this->kInfinity; ++bits) {
    const auto low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
    // The first value too large stands where the next one would be.
    const double below = decoded(low, this->kExponent, this->kFraction);
    const double above = high < this->kInfinity ? decoded(high, this->kExponent, this->kFraction)
                                                : std::ldexp(1, 1 << (this->kExponent - 1));
    const float middle = static_cast<float>((below + above) / 2);
    ASSERT_EQ(middle, (below + above) / 2);
    const uint16_t even = low % 2 == 0 ? low : high;
    for (uint16_t sign : {uint16_t{0}, uint16_t{0x8000}}) {
      const float s = sign ? -1.f : 1.f;
      ASSERT_EQ(this->rounded(s * middle), even | sign) << bits;
      ASSERT_EQ(this->rounded(s * std::nextafter(middle, 0.f)), low | sign) << bits;
      ASSERT_EQ(this->rounded(s * std::nextafter(middle, HUGE_VALF)), high | sign) << bits;
    }
  }
}

TYPED_TEST(HalfPrecision, KeepsInfinitiesAndNaN) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(this->rounded(kInf), this->kInfinity);
  EXPECT_EQ(this->rounded(-kInf), this->kInfinity | 0x8000);
  EXPECT_EQ(this->rounded(std::numeric_limits<float>::max()), this->kInfinity);
  for (uint32_t word : {0x7f800001u, 0x7fc00000u, 0xffffffffu, 0x7fffffffu})
    EXPECT_TRUE(std::isnan(static_cast<float>(TypeParam(std::bit_cast<float>(word))))) << word;
}

}  // namespace
}  // namespace sm
