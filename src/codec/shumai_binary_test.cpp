#include "codec/shumai_binary.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

using Floats = std::vector<float>;

std::string text_of(const std::vector<util::Slice>& slices) {
  std::string out;
  for (const util::Slice& slice : slices) out.append(reinterpret_cast<const char*>(slice.data), slice.size);
  return out;
}

ShumaiBinary decode(std::string_view bytes, size_t offset = 0) {
  const util::BufferRef body = util::Buffer::allocate(offset + bytes.size());
  if (!bytes.empty()) std::memcpy(body->data() + offset, bytes.data(), bytes.size());
  return decode_shumai_binary(body, offset, bytes.size());
}

std::string words(std::initializer_list<int64_t> values) {
  std::string out;
  for (int64_t value : values) out.append(reinterpret_cast<const char*>(&value), sizeof value);
  return out;
}

std::string error_of(const std::string& bytes) {
  try {
    decode(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kProtocol);
    return error.what();
  }
  return "no error";
}

TEST(ShumaiBinary, WritesTheOriginalsBytes) {
  // encodeBinary(tensor([[1, 2]]), {a: 1}) of the original, of provenance "2a" and with requires_grad.
  const std::string expected =
      words({2, 0x2a, 1, 8, 7, 1, 2}) + std::string("\0\0\x80\x3f\0\0\0\x40", 8) + R"({"a":1})";
  EXPECT_EQ(text_of(encode_shumai_binary({tensor({{1.f, 2.f}}), 0x2a, true, R"({"a":1})"})), expected);
  const ShumaiBinary back = decode(expected);
  EXPECT_EQ(back.tensor.shape(), (Shape{1, 2}));
  EXPECT_EQ(back.tensor.to_vector<float>(), (Floats{1, 2}));
  EXPECT_EQ(back.provenance, 0x2a);
  EXPECT_TRUE(back.requires_grad);
  EXPECT_EQ(back.props, R"({"a":1})");
}

TEST(ShumaiBinary, EveryRankAndAlignmentComesBack) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{5}, Shape{2, 0, 3}, Shape{1, 2, 1, 3, 1, 2}})
    for (size_t offset : {0, 1, 4}) {
      const Tensor x = reshape(arange(0, elements_of(shape)), shape);
      const ShumaiBinary back = decode(text_of(encode_shumai_binary({x})), offset);
      EXPECT_EQ(back.tensor.shape(), shape);
      EXPECT_EQ(back.tensor.to_vector<float>(), x.to_vector<float>());
      EXPECT_EQ(back.provenance, kNoProvenance);
      EXPECT_FALSE(back.requires_grad);
      EXPECT_EQ(back.props, "");
    }
}

TEST(ShumaiBinary, OtherElementsAreConverted) {
  const ShumaiBinary back = decode(text_of(encode_shumai_binary({transpose(tensor({{1, 2}, {3, 4}}))})));
  EXPECT_EQ(back.tensor.to_vector<float>(), (Floats{1, 3, 2, 4}));
}

TEST(ShumaiBinary, WrongMessagesAreRefused) {
  const std::pair<std::string, const char*> rows[] = {
      {"", "shumai binary: the head needs 40 bytes, got 0"},
      {words({-1, 0, 0, 0, 0}), "shumai binary: rank -1, expected 0 to 64"},
      {words({65, 0, 0, 0, 0}), "shumai binary: rank 65, expected 0 to 64"},
      {words({2, 0, 0, 0, 0, 1}), "shumai binary: the shape needs 16 bytes"},
      {words({1, 0, 0, 4, 0, -1}), "shumai binary: a negative size in the shape [-1]"},
      {words({2, 0, 0, 0, 0, INT64_MAX, 2}),
       "shumai binary: the shape [9223372036854775807, 2] has more bytes than fit in memory"},
      {words({1, 0, 0, 4, 0, 2}), "shumai binary: the shape [2] needs 8 bytes of elements, the head says 4"},
      {words({1, 0, 0, -8, 0, 2}), "shumai binary: the shape [2] needs 8 bytes of elements, the head says -8"},
      {words({0, 0, 0, 4, 0}), "shumai binary: 4 bytes of elements and 0 of props, but 0 follow"},
      {words({0, 0, 0, 4, -1}) + "1234", "shumai binary: 4 bytes of elements and -1 of props, but 4 follow"},
      {words({0, 0, 0, 4, 1}) + "1234", "shumai binary: 4 bytes of elements and 1 of props, but 4 follow"},
      {words({0, 0, 0, 4, 0}) + "12345", "shumai binary: 4 bytes of elements and 0 of props, but 5 follow"},
  };
  for (const auto& [bytes, message] : rows) EXPECT_EQ(error_of(bytes), message);
  EXPECT_THROW(encode_shumai_binary({}), Error);
}

}  // namespace
}  // namespace sm::codec
