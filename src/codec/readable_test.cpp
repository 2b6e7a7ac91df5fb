#include "shumai/readable.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::io {
namespace {

std::string message_of(std::string_view text) {
  try {
    decode_readable(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Readable, RowsAreBracketsAndTheDtypeComesLast) {
  EXPECT_EQ(encode_readable(tensor({{77.f, 1.f}, {2.f, 4.5f}})), "[[77, 1], [2, 4.5]]:Float32");
  EXPECT_EQ(encode_readable(scalar(int64_t{-3})), "-3:Int64");
  EXPECT_EQ(encode_readable(tensor(std::vector<bool>{true, false})), "[1, 0]:BoolInt8");
  EXPECT_EQ(encode_readable(tensor({0.1f})), "[0.1]:Float32");
  EXPECT_EQ(encode_readable(zeros({2, 0})), "[[], []]:Float32");
  EXPECT_EQ(encode_readable(zeros({2, 3}).transpose()), "[[0, 0], [0, 0], [0, 0]]:Float32");
}

TEST(Readable, EveryDtypeReadsBackTheSame) {
  for (int code = 0; code < kDTypeCount; ++code) {
    const Tensor x = tensor({{1.f, 0.f, 1.f}, {0.f, 1.f, 1.f}}).astype(static_cast<DType>(code));
    const Tensor back = decode_readable(encode_readable(x));
    EXPECT_EQ(back.dtype(), x.dtype());
    EXPECT_EQ(back.shape(), x.shape());
    EXPECT_EQ(back.to_vector<double>(), x.to_vector<double>());
  }
  const Tensor large = tensor({std::numeric_limits<uint64_t>::max()});
  EXPECT_EQ(decode_readable(encode_readable(large)).to_vector<uint64_t>(), large.to_vector<uint64_t>());
}

TEST(Readable, WhatIsNotFiniteHasWords) {
  const Tensor x = decode_readable(encode_readable(tensor({NAN, INFINITY, -INFINITY})));
  EXPECT_TRUE(std::isnan(x.data<float>()[0]));
  EXPECT_EQ(x.data<float>()[1], INFINITY);
  EXPECT_EQ(x.data<float>()[2], -INFINITY);
}

TEST(Readable, WhatNumPyAndPeopleWriteIsRead) {
  EXPECT_EQ(decode_readable("[1. .5 -2.]").to_vector<float>(), (std::vector<float>{1, 0.5, -2}));
  EXPECT_EQ(decode_readable(" [[1,0],\t[3, 2]] : int64 ").dtype(), DType::i64);
  EXPECT_EQ(decode_readable("[[1 2][3 4]]").shape(), (Shape{2, 2}));
  EXPECT_EQ(decode_readable("77").ndim(), 0);
  EXPECT_EQ(decode_readable("[+1e3, 1.e-1]").to_vector<float>(), (std::vector<float>{1000, 0.1f}));
}

TEST(Readable, WhatIsWrongIsSaid) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "readable tensor: expected an element, got the end of the line"},
      {"[1, x]", "readable tensor: expected a number, got \"x\""},
      {"[1,,2]", "readable tensor: expected an element between two commas"},
      {"[1,]", "readable tensor: expected an element beside a comma"},
      {"[[1, 0], [3, 2, 4]]",
       "readable tensor: nested arrays don't make a tensor, rows of 2 and of 3 entries along axis 1"},
      {"[1.5]:Int64", "readable tensor: 1.5 doesn't fit int64"},
      {"[1]:Float31",
       "readable tensor: unknown dtype \"Float31\", there is bool, uint8, int8, int16, uint16, int32, uint32, int64, "
       "uint64, "
       "float16, bfloat16, float32, float64"},
  };
  for (const auto& [text, expected] : kCases) EXPECT_EQ(message_of(text), expected) << text;
  EXPECT_NE(message_of("[1, 2"), "nothing was thrown");
  EXPECT_NE(message_of("1]"), "nothing was thrown");
}

}  // namespace
}  // namespace sm::io
