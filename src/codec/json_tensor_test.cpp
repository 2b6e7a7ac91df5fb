#include "codec/json_tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

std::string decode_error(std::string_view text, const JsonTensorLimits& limits = {}) {
  try {
    decode_json(text, limits);
  } catch (const Error& error) {
    return std::string(code_name(error.code())) + ": " + error.what();
  }
  return "no error";
}

Tensor decode_one(std::string_view text) {
  const Tensors tensors = decode_json(text);
  EXPECT_EQ(tensors.size(), 1u);
  return tensors["0"];
}

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.dtype(), b.dtype());
  ASSERT_EQ(a.shape(), b.shape());
  if (a.nbytes() == 0) return;
  EXPECT_EQ(std::memcmp(a.impl()->bytes(), b.impl()->bytes(), a.nbytes()), 0);
}

TEST(JsonTensor, NestedArraysBecomeFloats) {
  expect_same(decode_one("[[1, 2.5], [-3, 4e1]]"), tensor<float>({1, 2.5f, -3, 40}, {2, 2}));
  expect_same(decode_one(" 0.5 "), scalar(0.5f));
  expect_same(decode_one("[]"), empty({0}));
  expect_same(decode_one("[[], []]"), empty({2, 0}));
  expect_same(decode_one("[[[7]]]"), tensor<float>({7}, {1, 1, 1}));
}

TEST(JsonTensor, BooleansBecomeBool) {
  expect_same(decode_one("[true, false]"), tensor<bool>({true, false}));
  expect_same(decode_one("true"), scalar(true));
}

TEST(JsonTensor, TheObjectFormNamesItsDType) {
  expect_same(decode_one(R"({"dtype": "int64", "shape": [2, 1], "data": [[1], [2]]})"),
              tensor<int64_t>({1, 2}, {2, 1}));
  expect_same(decode_one(R"({"dtype": "u8", "data": [255]})"), tensor<uint8_t>({255}));
  expect_same(decode_one(R"({"data": [1, 2]})"), tensor<float>({1, 2}));
  expect_same(decode_one(R"({"shape": [], "data": 3})"), scalar(3.0f));
  expect_same(decode_one(R"({"shape": [0, 3], "data": []})"), empty({0, 3}));
  expect_same(decode_one(R"({"dtype": "bool", "data": [1, 0, true]})"), tensor<bool>({true, false, true}));
}

TEST(JsonTensor, FlatDataTakesTheShape) {
  expect_same(decode_one(R"({"shape": [2, 2], "data": [1, 2, 3, 4]})"), tensor<float>({1, 2, 3, 4}, {2, 2}));
  expect_same(decode_one(R"({"shape": [], "data": [1]})"), scalar(1.0f));
}

TEST(JsonTensor, ADTypeAfterItsDataIsObeyed) {
  expect_same(decode_one(R"({"data": [18446744073709551615], "dtype": "uint64"})"),
              tensor<uint64_t>({std::numeric_limits<uint64_t>::max()}));
  expect_same(decode_one(R"({"data": [1e300], "shape": [1], "dtype": "float64"})"), tensor<double>({1e300}));
  const Tensors two = decode_json(R"({"a": {"data": [[1]], "dtype": "int8"}, "b": [2], "c": {"data": 3}})");
  expect_same(two["a"], tensor<int8_t>({1}, {1, 1}));
  expect_same(two["b"], tensor<float>({2}));
  expect_same(two["c"], scalar(3.0f));
}

TEST(JsonTensor, ObjectsHoldNamedTensorsInOrder) {
  const Tensors tensors = decode_json(R"({"y": [1], "x": {"dtype": "int32", "data": 2}, "": 3})");
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors.at(0).first, "y");
  expect_same(tensors["x"], scalar(int32_t{2}));
  expect_same(tensors[""], scalar(3.0f));
  EXPECT_TRUE(decode_json("{}").empty());
}

TEST(JsonTensor, ReservedNamesAreTensorsWhenTheyHoldObjects) {
  const Tensors tensors = {{"data", scalar(1.0f)}, {"dtype", scalar(2.0f)}, {"shape", tensor<float>({3})}};
  const Tensors back = decode_json(encode_json(tensors));
  ASSERT_EQ(back.size(), 3u);
  for (const auto& [name, each] : tensors) expect_same(back[name], each);
}

TEST(JsonTensor, NonFiniteNumbersAreStrings) {
  const Tensor back = decode_one(R"(["NaN", "Infinity", "-Infinity", 1])");
  EXPECT_TRUE(std::isnan(back.data<float>()[0]));
  EXPECT_EQ(back.data<float>()[1], INFINITY);
  EXPECT_EQ(back.data<float>()[2], -INFINITY);
  EXPECT_EQ(encode_json(back), R"(["NaN","Infinity","-Infinity",1])");
  EXPECT_EQ(encode_json(scalar(float16(-INFINITY))), R"({"dtype":"float16","shape":[],"data":"-Infinity"})");
  EXPECT_TRUE(std::isnan(decode_one("\"NaN\"").item<double>()));
}

TEST(JsonTensor, NumbersAreRoundedOnce) {
  // Just above half way between two floats, by less than a double can tell.
  EXPECT_EQ(*decode_one("1.00000005960464477539062500000001").data<float>(), 1.00000012f);
  EXPECT_EQ(*decode_one("16777217").data<float>(), 16777216.0f);
  EXPECT_EQ(*decode_one(R"({"dtype":"float64","data":9007199254740993})").data<double>(), 9007199254740992.0);
  EXPECT_TRUE(std::signbit(*decode_one("-0").data<float>()));
  EXPECT_TRUE(std::signbit(*decode_one("-1e-60").data<float>()));
  EXPECT_EQ(*decode_one("1e-400").data<float>(), 0.0f);
  EXPECT_EQ(*decode_one("1e-45").data<float>(), std::numeric_limits<float>::denorm_min());
}

TEST(JsonTensor, IntegersAreExact) {
  const std::string text = R"({"dtype":"int64","shape":[3],"data":[9223372036854775807,-9223372036854775808,0]})";
  EXPECT_EQ(encode_json(decode_json(text)), text);
  const std::string wide = R"({"dtype":"uint64","shape":[2],"data":[18446744073709551615,0]})";
  EXPECT_EQ(encode_json(decode_json(wide)), wide);
  expect_same(decode_one(R"({"dtype":"int16","data":[2.0, 1e3, -0, -1.5e1]})"), tensor<int16_t>({2, 1000, 0, -15}));
}

TEST(JsonTensor, NestingIsUsedWhereItSaysAll) {
  EXPECT_EQ(encode_json(tensor<float>({1, 0.1f, 1e30f, -0.0f}, {2, 2})), "[[1,0.1],[1e+30,-0.0]]");
  EXPECT_EQ(encode_json(scalar(2.5f)), "2.5");
  EXPECT_EQ(encode_json(tensor<bool>({true, false})), "[true,false]");
  EXPECT_EQ(encode_json(empty({0})), "[]");
  EXPECT_EQ(encode_json(tensor<int32_t>({1, 2}, {2, 1})), R"({"dtype":"int32","shape":[2,1],"data":[[1],[2]]})");
  EXPECT_EQ(encode_json(empty({0}, DType::boolean)), R"({"dtype":"bool","shape":[0],"data":[]})");
  EXPECT_EQ(encode_json(empty({1'000'000'000, 0})), R"({"dtype":"float32","shape":[1000000000,0],"data":[]})");
}

TEST(JsonTensor, OneTensorNamedZeroStandsAlone) {
  EXPECT_EQ(encode_json(Tensors(scalar(1.0f))), "1");
  EXPECT_EQ(encode_json(Tensors{{"0", scalar(1.0f)}, {"1", scalar(2.0f)}}), R"({"0":1,"1":2})");
  EXPECT_EQ(encode_json(Tensors{{"x", scalar(1.0f)}}), R"({"x":1})");
  EXPECT_EQ(encode_json(Tensors()), "{}");
}

TEST(JsonTensor, ATransposedTensorIsWrittenRowByRow) {
  const Tensor x = tensor<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(encode_json(make_view(x, {3, 2}, {1, 3}, 0)), "[[1,4],[2,5],[3,6]]");
}

template <class T>
Tensor sample(const Shape& shape) {
  std::vector<T> values;
  for (int64_t i = 0; i < elements_of(shape); ++i) {
    if constexpr (std::is_same_v<T, bool>)
      values.push_back(i % 3 == 0);
    else if constexpr (is_integral(dtype_of<T>))
      values.push_back(static_cast<T>(i * 37 - 5));
    else
      values.push_back(T(static_cast<float>(i) / 7 - 1));
  }
  return tensor(values, shape);
}

template <class T>
class JsonTensorOf : public testing::Test {};
using AllTypes = testing::Types<bool, uint8_t, int8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t, float16,
                                bfloat16, float, double>;
TYPED_TEST_SUITE(JsonTensorOf, AllTypes);

TYPED_TEST(JsonTensorOf, EveryRankComesBack) {
  for (int rank = 0; rank <= 6; ++rank) {
    Shape shape;
    for (int i = 0; i < rank; ++i) shape.push_back(i % 3 + 1);
    const Tensor x = sample<TypeParam>(shape);
    expect_same(decode_one(encode_json(x)), x);
  }
}

TYPED_TEST(JsonTensorOf, EmptyTensorsComeBack) {
  for (const Shape& shape : {Shape{0}, Shape{0, 3}, Shape{2, 0}, Shape{2, 0, 3}}) {
    const Tensor x = empty(shape, dtype_of<TypeParam>);
    expect_same(decode_one(encode_json(x)), x);
  }
}

TEST(JsonTensor, EveryFloatBitPatternComesBack) {
  std::vector<float> values;
  for (uint32_t bits = 1; bits < 0x7f800000u; bits += 100'003) {
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(-values.back());
  }
  const Tensor x = tensor(values);
  expect_same(decode_one(encode_json(x)), x);
}

TEST(JsonTensor, SixtyFourDimensionsComeBack) {
  const Tensor x = tensor<float>({5}, Shape(64, 1));
  expect_same(decode_json(encode_json(Tensors{{"x", x}}))["x"], x);
  const Tensor y = tensor<int8_t>({5}, Shape(64, 1));
  expect_same(decode_json(encode_json(Tensors{{"y", y}}))["y"], y);
}

TEST(JsonTensor, TheTextIsJson) {
  const Tensors tensors = {{"a\"\n", tensor<float>({1, NAN})}, {"data", tensor<int8_t>({1})}};
  EXPECT_EQ(Json::parse(encode_json(tensors)).dump(), encode_json(tensors));
}

TEST(JsonTensor, WhatIsNotATensorIsNamed) {
  const std::pair<const char*, const char*> rows[] = {
      {"[[1, 2], [3]]", "nested arrays don't make a tensor, rows of 2 and of 1 entries along axis 1"},
      {"[[], [1]]", "nested arrays don't make a tensor, rows of 0 and of 1 entries along axis 1"},
      {"[[], [[]]]", "nested arrays don't make a tensor, rows of 0 and of 1 entries along axis 1"},
      {"[1, [2]]", "nested arrays don't make a tensor, an array where other entries are numbers"},
      {"[[1], 2]", "nested arrays don't make a tensor, a number where other entries are arrays"},
      {"[[[]], [1]]", "nested arrays don't make a tensor, a number where other entries are arrays"},
      {"[1, true]", "booleans and numbers in one tensor"},
      {"[true, 1]", "booleans and numbers in one tensor"},
      {"[true, \"NaN\"]", "booleans and numbers in one tensor"},
      {"[null]", "null isn't a number; write \"NaN\" for one that is missing"},
      {"[\"nan\"]",
       "expected numbers for a tensor of dtype float32, got the string \"nan\"; only \"NaN\", \"Infinity\" and "
       "\"-Infinity\" stand for "
       "floating-point numbers"},
      {"[{}]", "an object inside an array"},
      {"1e39", "1e39 doesn't fit float32"},
      {"[1e400]", "1e400 doesn't fit float32"},
      {R"({"dtype": "float16", "data": 65520})", "65520 doesn't fit float16"},
      {R"({"dtype": "uint8", "data": [256]})", "256 doesn't fit uint8"},
      {R"({"dtype": "uint8", "data": [-1]})", "-1 doesn't fit uint8"},
      {R"({"dtype": "int32", "data": [1.5]})", "1.5 doesn't fit int32"},
      {R"({"dtype": "int64", "data": [9223372036854775808]})", "9223372036854775808 doesn't fit int64"},
      {R"({"dtype": "uint64", "data": [18446744073709551616]})", "18446744073709551616 doesn't fit uint64"},
      {R"({"dtype": "bool", "data": [2]})", "2 doesn't fit bool"},
      {R"({"dtype": "int8", "data": [true]})", "a boolean among numbers, or in a tensor of dtype int8"},
      {R"({"dtype": "int8", "data": ["NaN"]})",
       "expected numbers for a tensor of dtype int8, got the string \"NaN\"; only \"NaN\", \"Infinity\" and "
       "\"-Infinity\" stand for "
       "floating-point numbers"},
      {R"({"dtype": 3, "data": []})", "\"dtype\" must be a string"},
      {R"({"dtype": ["int8"], "data": []})", "\"dtype\" must be a string, got an array"},
      {R"({"dtype": "int8", "dtype": "int8", "data": []})", "\"dtype\" comes twice"},
      {R"({"data": [], "data": []})", "\"data\" comes twice"},
      {R"({"shape": [0], "shape": [0], "data": []})", "\"shape\" comes twice"},
      {R"({"dtype": "int8"})", "a tensor without \"data\""},
      {R"({"shape": 3, "data": []})", "\"shape\" must be a list of sizes"},
      {R"({"shape": [-1], "data": []})", "\"shape\" must be a list of sizes"},
      {R"({"shape": [1.0], "data": []})", "\"shape\" must be a list of sizes"},
      {R"({"shape": [[1]], "data": []})", "\"shape\" must be a list of sizes, got nested arrays"},
      {R"({"shape": [3], "data": [1, 2]})", "shape [3] and data of shape [2] don't agree"},
      {R"({"shape": [4], "data": [[1, 2], [3, 4]]})", "shape [4] and data of shape [2, 2] don't agree"},
      {R"({"shape": [4294967296, 4294967296, 0], "data": []})",
       "shape [4294967296, 4294967296, 0] and data of shape [0] don't agree"},
      {R"({"shape": [2305843009213693952, 0], "data": []})", "shape [2305843009213693952, 0] doesn't fit in memory"},
      {R"({"data": [1], "x": [1]})", "unknown member \"x\", expected \"data\", \"dtype\" or \"shape\""},
      {R"({"x": [1], "data": [1]})",
       "an object is either one tensor (\"data\", \"dtype\", \"shape\") or named tensors, got \"data\" among others"},
      {R"({"data": [1], "dtype": {}})", "an object as \"dtype\""},
      {R"({"x": {"data": [1], "extra": 1}})",
       "tensor \"x\": unknown member \"extra\", expected \"data\", \"dtype\" or \"shape\""},
      {R"({"x": {"y": {"data": 1}}})", "tensor \"x\": an object as \"y\""},
      {R"({"x": {}})", "tensor \"x\": a tensor without \"data\""},
      {R"({"x": 1, "x": 2})", "two tensors are named \"x\""},
      {"[1, 2", "the text ends too early, at byte 5"},
      {"", "the text ends too early, at byte 0"},
      {"[NaN]", "syntax error at byte 1, before \"NaN]\""},
      {"1 2", "extra data at byte 2, before \"2\""},
  };
  for (const auto& [text, message] : rows)
    EXPECT_EQ(decode_error(text), std::string("protocol: json: ") + message) << text;
  EXPECT_EQ(
      decode_error(R"({"dtype": "int128", "data": []})"),
      "dtype_mismatch: unknown dtype \"int128\", there is bool, uint8, int8, int16, uint16, int32, uint32, int64, "
      "uint64, float16, bfloat16, float32, float64");
}

TEST(JsonTensor, DeepNestingIsRefusedEarly) {
  EXPECT_EQ(decode_error(std::string(100'000, '[')),
            "protocol: json: nested arrays don't make a tensor, more than 64 dimensions");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(decode_error(objects), "protocol: json: tensor \"a\": an object as \"a\"");
  std::string ones = "1";
  for (int i = 0; i < 64; ++i) ones += ",1";
  EXPECT_EQ(decode_error("{\"shape\":[" + ones + "],\"data\":1}"), "protocol: json: \"shape\" has more than 64 sizes");
}

TEST(JsonTensor, SizeAndCountAreLimited) {
  EXPECT_EQ(decode_error("[1,2]", {.max_bytes = 4}), "too_large: json: 5 bytes, at most 4 are accepted");
  EXPECT_EQ(decode_error(R"({"a":1,"b":2})", {.max_tensors = 1}), "too_large: json: more than 1 tensors");
  EXPECT_EQ(decode_error(R"({"a":1,"b":2})", {.max_bytes = 13, .max_tensors = 2}), "no error");
}

TEST(JsonTensor, AnUndefinedTensorIsNamed) {
  try {
    encode_json(Tensors{{"x", Tensor()}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "json: tensor \"x\" is undefined");
  }
}

}  // namespace
}  // namespace sm::codec
