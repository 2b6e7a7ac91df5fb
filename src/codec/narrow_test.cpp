#include "codec/narrow.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::codec {
namespace {

const float kInfinity = std::numeric_limits<float>::infinity();

Tensors there_and_back(const Tensors& tensors, DType dtype) {
  Metadata metadata;
  const Tensors narrowed = narrow(tensors, dtype, metadata);
  return widen(narrowed, metadata);
}

ErrorCode failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

TEST(Narrow, RoundsFloat32ToNearestEvenAndGivesItBackAsFloat32) {
  // 1 + 2^-8 lies between two bfloat16: the even one is 1. 1 + 3 * 2^-8 goes up to 1 + 2^-6.
  const Tensors back = there_and_back(Tensors(tensor<float>({1 + 0x1p-8f, 1 + 3 * 0x1p-8f, -3e38f})), DType::bf16);
  EXPECT_EQ(back["0"].dtype(), DType::f32);
  const std::vector<float> values = back["0"].to_vector<float>();
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[1], 1 + 0x1p-6f);
  EXPECT_NEAR(values[2], -3e38f, 2e36f);
  EXPECT_EQ(there_and_back(Tensors(tensor<float>({1 + 0x1p-11f, 65519})), DType::f16)["0"].to_vector<float>(),
            (std::vector<float>{1, 65504}));
}

TEST(Narrow, TakesTwoBytesForEachFloat32AndLeavesOthersAlone) {
  Metadata metadata;
  const Tensors tensors{{"a", zeros({2, 3})},
                        {"b", zeros({2}).astype(DType::bf16)},
                        {"c", tensor<int64_t>({1})},
                        {"d", tensor<double>({0.1})}};
  const Tensors narrowed = narrow(tensors, DType::bf16, metadata);
  EXPECT_EQ(narrowed["a"].nbytes(), 12u);
  EXPECT_EQ(metadata.at("shumai.float32"), R"(["a"])");
  const Tensors back = widen(narrowed, metadata);
  EXPECT_EQ(back["a"].dtype(), DType::f32);
  EXPECT_EQ(back["a"].shape(), (Shape{2, 3}));
  EXPECT_EQ(back["b"].dtype(), DType::bf16);
  EXPECT_EQ(back["c"].dtype(), DType::i64);
  EXPECT_EQ(back["d"].to_vector<double>()[0], 0.1);
}

TEST(Narrow, FiniteNumbersNeverBecomeInfinite) {
  const auto to = [](float value, DType dtype) {
    return [=] {
      Metadata metadata;
      narrow(Tensors(tensor<float>({0, value})), dtype, metadata);
    };
  };
  EXPECT_EQ(failure(to(65520, DType::f16)), ErrorCode::kOutOfRange);
  EXPECT_EQ(failure(to(-1e6f, DType::f16)), ErrorCode::kOutOfRange);
  EXPECT_EQ(failure(to(std::numeric_limits<float>::max(), DType::bf16)), ErrorCode::kOutOfRange);
  const Tensors back = there_and_back(Tensors(tensor<float>({kInfinity, -kInfinity, NAN})), DType::f16);
  const std::vector<float> values = back["0"].to_vector<float>();
  EXPECT_EQ(values[0], kInfinity);
  EXPECT_EQ(values[1], -kInfinity);
  EXPECT_TRUE(std::isnan(values[2]));
  // The last before the limits still fit.
  there_and_back(Tensors(tensor<float>({std::nextafter(65520.0f, 0.0f)})), DType::f16);
  EXPECT_TRUE(std::isfinite(
      there_and_back(Tensors(tensor<float>({std::nextafter(0x1.ffp127f, 0.0f)})), DType::bf16)["0"].item<float>()));
}

TEST(Narrow, RefusesMetadataThatItDidntWrite) {
  const Tensors halves{{"a", zeros({2}).astype(DType::f16)}, {"b", zeros({2})}};
  for (const char* text : {"a", "[1]", R"(["c"])", R"(["b"])", R"(["a", "a"])", R"({"a": 1})", "[[[]]]"}) {
    EXPECT_EQ(failure([&] { widen(halves, {{"shumai.float32", text}}); }), ErrorCode::kProtocol) << text;
  }
  EXPECT_EQ(widen(halves, {{"other", "x"}})["a"].dtype(), DType::f16);
}

}  // namespace
}  // namespace sm::codec
