#include "codec/safetensors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "codec/file.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"
#include "util/testing.hpp"

namespace sm::codec {
namespace {

constexpr DType kAllDTypes[] = {DType::boolean, DType::u8,  DType::i8,  DType::i16,  DType::u16, DType::i32, DType::u32,
                                DType::i64,     DType::u64, DType::f16, DType::bf16, DType::f32, DType::f64};

// A tensor of distinct bytes; zeros and ones for booleans.
Tensor pattern(const Shape& shape, DType dtype) {
  Tensor out = empty(shape, dtype);
  for (size_t i = 0; i < out.nbytes(); ++i)
    out.impl()->bytes()[i] = static_cast<std::byte>(dtype == DType::boolean ? i % 2 : i * 7 + 1);
  return out;
}

util::BufferRef join(const std::vector<util::Slice>& slices) {
  size_t size = 0;
  for (const util::Slice& slice : slices) size += slice.size;
  util::BufferRef out = util::Buffer::allocate(size);
  size_t at = 0;
  for (const util::Slice& slice : slices) {
    std::memcpy(out->data() + at, slice.data, slice.size);
    at += slice.size;
  }
  return out;
}

util::BufferRef buffer_of(std::string_view bytes) {
  util::BufferRef out = util::Buffer::allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(out->data(), bytes.data(), bytes.size());
  return out;
}

// The length, the header and `data_bytes` zeros.
std::string file_of(const std::string& header, size_t data_bytes) {
  std::string out(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(out.data(), &length, 8);
  return out + header + std::string(data_bytes, '\0');
}

Tensors decode(const util::BufferRef& body, Metadata* metadata = nullptr) {
  return decode_safetensors(body, 0, body->size(), metadata);
}

std::string decode_error(std::string_view bytes, const SafetensorsLimits& limits = {}) {
  const util::BufferRef body = buffer_of(bytes);
  try {
    decode_safetensors(body, 0, body->size(), nullptr, limits);
  } catch (const Error& error) {
    return std::string(code_name(error.code())) + ": " + error.what();
  }
  return "no error";
}

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.dtype(), b.dtype());
  ASSERT_EQ(a.shape(), b.shape());
  if (a.nbytes() == 0) return;
  EXPECT_EQ(std::memcmp(a.impl()->bytes(), b.impl()->bytes(), a.nbytes()), 0);
}

TEST(Safetensors, EveryDTypeAndRankComesBack) {
  for (DType dtype : kAllDTypes)
    for (int rank = 0; rank <= 6; ++rank) {
      Shape shape;
      for (int i = 0; i < rank; ++i) shape.push_back(i % 3 + 1);
      const Tensors tensors = {{"x", pattern(shape, dtype)}};
      const Tensors back = decode(join(encode_safetensors(tensors)));
      ASSERT_EQ(back.size(), 1u);
      expect_same(back["x"], tensors["x"]);
    }
}

TEST(Safetensors, ManyTensorsKeepTheirOrderAndAlignment) {
  Tensors tensors;
  for (DType dtype : kAllDTypes)
    for (int64_t size : {0, 1, 3, 64})
      tensors.set(std::string(name_of(dtype)) + std::to_string(size), pattern(size, dtype));
  const util::BufferRef body = join(encode_safetensors(tensors));
  const Tensors back = decode(body);
  ASSERT_EQ(back.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(back.at(i).first, tensors.at(i).first);
    expect_same(back.at(i).second, tensors.at(i).second);
    if (tensors.at(i).second.elements() == 0) continue;
    EXPECT_EQ(back.at(i).second.impl()->storage(), body) << "copied " << back.at(i).first;
    const auto address = reinterpret_cast<uintptr_t>(back.at(i).second.impl()->bytes());
    const bool whole_lines = tensors.at(i).second.nbytes() % 64 == 0;
    EXPECT_EQ(address % (whole_lines ? 64 : size_of(back.at(i).second.dtype())), 0u) << back.at(i).first;
  }
}

TEST(Safetensors, EncodingSharesTheElements) {
  const Tensor x = pattern({4}, DType::f32);
  const std::vector<util::Slice> slices = encode_safetensors({{"x", x}});
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0].size % 64, 0u);
  EXPECT_EQ(slices[1].data, x.impl()->bytes());
  EXPECT_EQ(slices[1].owner, x.impl()->storage());
  EXPECT_EQ(slices[1].size, 16u);
}

TEST(Safetensors, ATransposedTensorIsWrittenRowByRow) {
  const Tensor x = tensor<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensors back = decode(join(encode_safetensors({{"x", make_view(x, {3, 2}, {1, 3}, 0)}})));
  EXPECT_EQ(back["x"].shape(), (Shape{3, 2}));
  expect_same(back["x"], tensor<float>({1, 4, 2, 5, 3, 6}, {3, 2}));
}

TEST(Safetensors, AViewIsWrittenFromItsOffset) {
  const Tensor x = tensor<float>({1, 2, 3, 4});
  expect_same(decode(join(encode_safetensors({{"x", make_view(x, {2}, {1}, 2)}})))["x"], tensor<float>({3, 4}));
}

TEST(Safetensors, SizeIsKnownBeforehand) {
  const Tensors tensors = {{"x", pattern({3, 5}, DType::f16)}, {"y", pattern({}, DType::i64)}};
  const Metadata metadata = {{"format", "pt"}};
  EXPECT_EQ(safetensors_size(tensors, metadata), join(encode_safetensors(tensors, metadata))->size());
  EXPECT_EQ(safetensors_size({}), join(encode_safetensors(Tensors()))->size());
}

TEST(Safetensors, OneTensorIsWrittenAsTensorsWithIt) {
  const Tensor wide = pattern({2, 3}, DType::f32);
  for (const Tensor& x : {wide, pattern({2, 3}, DType::i32), pattern({6}, DType::i32), pattern({6}, DType::i32),
                          pattern({}, DType::f64), pattern({0, 4}, DType::f32), make_view(wide, {3, 2}, {1, 3}, 0)}) {
    const auto one = join(encode_safetensors(x)), all = join(encode_safetensors({{"0", x}}));
    EXPECT_TRUE(std::ranges::equal(one->bytes(), all->bytes()));
  }
  EXPECT_THROW(encode_safetensors(Tensor()), Error);
}

TEST(Safetensors, AHeaderThatWasReadBeforeIsCheckedAgain) {
  const std::string header = R"({"flags":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  const std::string file = file_of(header, 3);
  for (int i = 0; i < 2; ++i) {
    const Tensors read = decode(buffer_of(file));
    ASSERT_EQ(read.size(), 1u);
    EXPECT_EQ(read["flags"].shape(), Shape({3}));
    EXPECT_EQ(read["flags"].dtype(), DType::boolean);
    EXPECT_NE(decode_error(file.substr(0, file.size() - 1)), "no error");
    EXPECT_NE(decode_error(file + '\0'), "no error");
    EXPECT_NE(decode_error(file.substr(0, file.size() - 1) + '\2'), "no error");
    EXPECT_NE(decode_error(file, {.max_header_bytes = header.size() - 1}), "no error");
  }
  const std::string other = R"({"flag5":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  EXPECT_EQ(decode(buffer_of(file_of(other, 3))).at(0).first, "flag5");
}

TEST(Safetensors, NoTensorsAreAnEmptyObject) {
  EXPECT_TRUE(decode(join(encode_safetensors(Tensors()))).empty());
  EXPECT_TRUE(decode(buffer_of(file_of("{}", 0))).empty());
}

TEST(Safetensors, MetadataComesBack) {
  const Metadata metadata = {{"format", "pt"}, {"quote\"", "line\nbreak é"}, {"", ""}};
  Metadata back;
  decode(join(encode_safetensors({{"x", pattern({2}, DType::f32)}}, metadata)), &back);
  EXPECT_EQ(back, metadata);
}

TEST(Safetensors, NamesMayHoldAnyText) {
  const Tensors tensors = {{"", pattern({1}, DType::u8)}, {"a\"\\\n\x01 漢", pattern({2}, DType::u8)}};
  const Tensors back = decode(join(encode_safetensors(tensors)));
  EXPECT_EQ(back.at(0).first, tensors.at(0).first);
  EXPECT_EQ(back.at(1).first, tensors.at(1).first);
}

TEST(Safetensors, WritesTheBytesThatTheFormatAsksFor) {
  const Tensors tensors = {{"b", tensor<uint8_t>({7})}, {"a", tensor<float>({1.0f, -2.0f})}};
  const util::BufferRef body = join(encode_safetensors(tensors, {{"k", "v"}}));
  std::string header = R"({"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]},)"
                       R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  while ((8 + header.size()) % 64 != 0) header += ' ';
  std::string expected(1, static_cast<char>(header.size()));
  expected += std::string(7, '\0') + header + std::string("\0\0\x80\x3f\0\0\0\xc0\x07", 9);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(body->data()), body->size()), expected);
}

// The example in the reference implementation's own documentation.
TEST(Safetensors, ReadsAFileOfTheReference) {
  const std::string_view file(
      "<\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}"
      "\x01\0\0\0\x02\0\0\0\x03\0\0\0\xff\xff\xff\xff",
      8 + 60 + 16);
  const Tensors back = decode(buffer_of(file));
  expect_same(back["test"], tensor<int32_t>({1, 2, 3, -1}, {2, 2}));
}

TEST(Safetensors, UnalignedElementsAreCopied) {
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  std::string file = file_of(header, 0) + std::string("\x05\0\0\x80\x3f", 5);
  const util::BufferRef body = buffer_of(file);
  const Tensors back = decode(body);
  EXPECT_EQ(back["a"].impl()->storage(), body);
  EXPECT_NE(back["b"].impl()->storage(), body);
  EXPECT_EQ(*back["b"].data<float>(), 1.0f);
}

TEST(Safetensors, ReadsFromTheMiddleOfABuffer) {
  const util::BufferRef inner = join(encode_safetensors({{"x", tensor<double>({1, 2})}}));
  for (size_t shift : {1, 8, 64}) {
    const util::BufferRef body = util::Buffer::allocate(shift + inner->size() + 3);
    std::memcpy(body->data() + shift, inner->data(), inner->size());
    const Tensors back = decode_safetensors(body, shift, inner->size());
    expect_same(back["x"], tensor<double>({1, 2}));
    EXPECT_EQ(back["x"].impl()->storage() == body, shift % 8 == 0);
  }
}

TEST(Safetensors, AnyOrderOfTheDataIsRead) {
  const std::string header = R"({"late":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
                             R"("none":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
                             R"("first":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}   )";
  const Tensors back = decode(buffer_of(file_of(header, 0) + "\x01\x02\x03"));
  expect_same(back["late"], tensor<uint8_t>({3}));
  expect_same(back["first"], tensor<uint8_t>({1, 2}));
  EXPECT_EQ(back["none"].elements(), 0);
}

TEST(Safetensors, UnknownMembersOfATensorAreIgnored) {
  EXPECT_EQ(decode_error(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":{"x":1}}})", 1)),
            "no error");
}

TEST(Safetensors, WhatCannotBeWrittenIsRefused) {
  const Tensor x = pattern({1}, DType::f32);
  EXPECT_THROW(encode_safetensors({{"x", Tensor()}}), Error);
  EXPECT_THROW(encode_safetensors({{"x", x}, {"x", x}}), Error);
  EXPECT_THROW(encode_safetensors({{"__metadata__", x}}), Error);
}

TEST(Safetensors, BooleansOtherThanZeroAndOneAreRefused) {
  const std::string header = R"({"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})";
  EXPECT_EQ(decode_error(file_of(header, 0) + "\x01\x02"),
            R"(protocol: safetensors: tensor "m" of dtype bool holds bytes other than 0 and 1)");
}

struct Malformed {
  const char* header;
  size_t data_bytes;
  const char* message;
};

std::string tensor_header(const std::string& members) { return "{\"a\":{" + members + "}}"; }

TEST(Safetensors, MalformedHeadersAreNamed) {
  const Malformed rows[] = {
      {R"("shape":[1],"data_offsets":[0,1])", 1, R"(tensor "a" needs "dtype" as a string, got none)"},
      {R"("dtype":3,"shape":[1],"data_offsets":[0,1])", 1, R"(tensor "a" needs "dtype" as a string, got 3)"},
      {R"("dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1])", 1,
       R"(tensor "a" has the dtype "F8_E5M2", expected one of )"
       "BOOL, U8, I8, I16, U16, I32, U32, I64, U64, F16, BF16, F32, F64"},
      {R"("dtype":"U8","data_offsets":[0,1])", 1, R"(tensor "a" needs "shape" as a list of sizes, got none)"},
      {R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])", 1,
       R"(tensor "a" needs "shape" as a list of sizes, got [-1])"},
      {R"("dtype":"U8","shape":[1.5],"data_offsets":[0,1])", 1,
       R"(tensor "a" needs "shape" as a list of sizes, got [1.5])"},
      {R"("dtype":"U8","shape":[1])", 1, R"(tensor "a" needs "data_offsets" as two offsets, got none)"},
      {R"("dtype":"U8","shape":[1],"data_offsets":[0])", 1,
       R"(tensor "a" needs "data_offsets" as two offsets, got [0])"},
      {R"("dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615])", 1,
       R"(tensor "a" needs "data_offsets" as two offsets, got [0,18446744073709551616])"},
      {R"("dtype":"U8","shape":[1],"data_offsets":[1,0])", 1,
       R"(tensor "a" lies at [1, 0], outside the data of 1 bytes)"},
      {R"("dtype":"U8","shape":[2],"data_offsets":[0,2])", 1,
       R"(tensor "a" lies at [0, 2], outside the data of 1 bytes)"},
      {R"("dtype":"F32","shape":[2],"data_offsets":[0,4])", 4,
       R"(tensor "a" of shape [2] and dtype float32 needs 8 bytes, got [0, 4])"},
      {R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0,
       R"(tensor "a" has the shape [4294967296, 4294967296], more bytes than fit in memory)"},
      {R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])", 0,
       R"(tensor "a" has the shape [2305843009213693952], more bytes than fit in memory)"},
      {R"("dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0])", 0,
       R"(tensor "a" has the shape [0, 4294967296, 4294967296], more bytes than fit in memory)"},
      {R"("dtype":"U8","shape":[1],"data_offsets":[1,2])", 2, R"(tensor "a" starts at 1, expected 0 (there is a gap))"},
      {R"("dtype":"U8","shape":[1],"data_offsets":[0,1])", 2, "tensors end at byte 1 of the data, expected 2"},
      {R"("dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1])", 1,
       R"(in the header, json: key "dtype" comes twice in one object)"},
  };
  for (const Malformed& row : rows)
    EXPECT_EQ(decode_error(file_of(tensor_header(row.header), row.data_bytes)),
              std::string("protocol: safetensors: ") + row.message);
}

TEST(Safetensors, MalformedFilesAreNamed) {
  const std::string one = R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  const std::pair<std::string, std::string> rows[] = {
      {"", "protocol: safetensors: the length of the header needs 8 bytes, got 0"},
      {"1234567", "protocol: safetensors: the length of the header needs 8 bytes, got 7"},
      {std::string(8, '\0'), R"(protocol: safetensors: the header must start with {, got "")"},
      {std::string("\x05\0\0\0\0\0\0\0{}", 10), "protocol: safetensors: a header of 5 bytes, but only 2 follow"},
      {std::string(8, '\xff'),
       "too_large: safetensors: by its first 8 bytes the header has 18446744073709551615 bytes, at most 4194304 are "
       "accepted; is this a safetensors file?"},
      {file_of("[]", 0), R"(protocol: safetensors: the header must start with {, got "[]")"},
      {file_of(" {}", 0), R"(protocol: safetensors: the header must start with {, got " {}")"},
      {file_of("{", 0), "protocol: safetensors: in the header, json: the text ends too early, at byte 1"},
      {file_of("{}x", 0), R"(protocol: safetensors: in the header, json: extra data at byte 2, before "x")"},
      {file_of("{}", 1), "protocol: safetensors: tensors end at byte 0 of the data, expected 1"},
      {file_of(R"({"a":1})", 0), R"(protocol: safetensors: tensor "a" needs "dtype" as a string, got 1)"},
      {file_of("{\"a\":" + one + ",\"b\":" + one + "}", 2),
       R"(protocol: safetensors: tensor "b" starts at 0, expected 2 (tensors overlap))"},
      {file_of("{\"a\":" + one + ",\"a\":" + one + "}", 2),
       R"(protocol: safetensors: in the header, json: key "a" comes twice in one object)"},
      {file_of(R"({"__metadata__":[]})", 0), "protocol: safetensors: \"__metadata__\" must be an object of strings"},
      {file_of(R"({"__metadata__":{"k":1}})", 0),
       "protocol: safetensors: \"__metadata__\" must be an object of strings, got \"k\" of another type"},
      {file_of("{\"a\":" + std::string(1000, '[') + "}", 0),
       "too_large: safetensors: in the header, json: nested deeper than 4 levels at byte 8"},
  };
  for (const auto& [file, message] : rows) EXPECT_EQ(decode_error(file), message);
}

TEST(Safetensors, RankAndCountsAreLimited) {
  std::string sizes = "1";
  for (int i = 0; i < 64; ++i) sizes += ",1";
  EXPECT_EQ(
      decode_error(file_of(tensor_header("\"dtype\":\"U8\",\"shape\":[" + sizes + "],\"data_offsets\":[0,1]"), 1)),
      R"(protocol: safetensors: tensor "a" has 65 dimensions, at most 64 are supported)");
  const std::string none = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  const std::string two = file_of("{\"a\":" + none + ",\"b\":" + none + "}", 0);
  EXPECT_EQ(decode_error(two, {.max_tensors = 1}), "too_large: safetensors: more than 1 tensors");
  EXPECT_EQ(decode_error(two, {.max_tensors = 2}), "no error");
  EXPECT_EQ(decode_error(two, {.max_header_bytes = 16}),
            "too_large: safetensors: by its first 8 bytes the header has " + std::to_string(two.size() - 8) +
                " bytes, at most 16 are accepted; is this a safetensors file?");
}

class SafetensorsFile : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.path(name); }

  const util::testing::Directory directory_;
};

TEST_F(SafetensorsFile, SavedTensorsAreLoaded) {
  const Tensors tensors = {{"w", pattern({3, 4}, DType::f32)}, {"b", pattern({4}, DType::bf16)}};
  save(path("model.safetensors"), tensors);
  const Tensors back = load(path("model.safetensors"));
  ASSERT_EQ(back.size(), 2u);
  expect_same(back["w"], tensors["w"]);
  expect_same(back["b"], tensors["b"]);
}

TEST_F(SafetensorsFile, OneTensorIsSavedUnderItsName) {
  pattern({5}, DType::i16).save(path("x"));
  expect_same(load(path("x"))["tensor"], pattern({5}, DType::i16));
}

TEST_F(SafetensorsFile, ErrorsNameTheFile) {
  EXPECT_THROW(save(path("no/x"), {}), Error);
  EXPECT_THROW(load(path("missing")), Error);
  const std::string_view text = "not a safetensors file";
  const util::Slice slice{nullptr, reinterpret_cast<const std::byte*>(text.data()), 5};
  atomic_write(path("bad"), {&slice, 1});
  try {
    load(path("bad"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kProtocol);
    EXPECT_EQ(std::string(error.what()),
              "load: \"" + path("bad") + "\": safetensors: the length of the header needs 8 bytes, got 5");
  }
}

}  // namespace
}  // namespace sm::codec
