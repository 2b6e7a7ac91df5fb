#include "codec/npy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "codec/file.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"
#include "util/testing.hpp"

namespace sm::codec {
namespace {

using testing::HasSubstr;
using Floats = std::vector<float>;

std::string text_of(const std::vector<util::Slice>& slices) {
  std::string out;
  for (const util::Slice& slice : slices) out.append(reinterpret_cast<const char*>(slice.data), slice.size);
  return out;
}

// `file` at an offset in a larger buffer.
Tensor decode(std::string_view file, size_t offset = 0) {
  const util::BufferRef body = util::Buffer::allocate(offset + file.size());
  if (!file.empty()) std::memcpy(body->data() + offset, file.data(), file.size());
  return decode_npy(body, offset, file.size());
}

// A file of version 1.0 with this header as it is.
std::string file_of(const std::string& header, const std::string& data = "") {
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  return out + header + data;
}

std::string header_of(const std::string& descr, const std::string& shape, const std::string& order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string error_of(std::string_view file) {
  try {
    decode(file);
  } catch (const Error& error) {
    return std::string(code_name(error.code())) + ": " + error.what();
  }
  return "no error";
}

TEST(Npy, WritesWhatNumPyWrites) {
  // np.save of np.array([[1, 2], [3, 4]], np.float32), by NumPy 1.24.
  const std::string expected = std::string("\x93NUMPY\x01\x00\x76\x00", 10) +
                               "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }" + std::string(58, ' ') +
                               "\n" + std::string("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40", 16);
  EXPECT_EQ(text_of(encode_npy(tensor({{1.f, 2.f}, {3.f, 4.f}}))), expected);
}

TEST(Npy, WritesTheTuplesOfPython) {
  EXPECT_THAT(text_of(encode_npy(scalar(true))), HasSubstr("'descr': '|b1', 'fortran_order': False, 'shape': (), }"));
  EXPECT_THAT(text_of(encode_npy(tensor({int8_t{1}}))),
              HasSubstr("'descr': '|i1', 'fortran_order': False, 'shape': (1,), }"));
  EXPECT_THAT(text_of(encode_npy(zeros({2, 0, 3}, DType::u64))),
              HasSubstr("'descr': '<u8', 'fortran_order': False, 'shape': (2, 0, 3), }"));
}

TEST(Npy, EveryDTypeAndRankComesBack) {
  for (int code = 0; code < kDTypeCount; ++code) {
    const auto dtype = static_cast<DType>(code);
    if (dtype == DType::bf16) continue;
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{5}, Shape{2, 3}, Shape{2, 0, 3}, Shape{1, 2, 1, 3, 1, 2}}) {
      const Tensor x = astype(reshape(arange(0, elements_of(shape)), shape), dtype);
      const std::string file = text_of(encode_npy(x));
      EXPECT_EQ((file.size() - x.nbytes()) % 64, 0u);
      for (size_t offset : {0, 1, 64}) {
        const Tensor back = decode(file, offset);
        EXPECT_EQ(back.dtype(), dtype);
        EXPECT_EQ(back.shape(), shape);
        EXPECT_EQ(back.to_vector<double>(), x.to_vector<double>()) << name_of(dtype) << shape.to_string();
      }
    }
  }
}

TEST(Npy, AlignedElementsShareTheFilesMemory) {
  const std::string file = text_of(encode_npy(tensor({1.f, 2.f})));
  const util::BufferRef body = util::Buffer::allocate(file.size());
  std::memcpy(body->data(), file.data(), file.size());
  EXPECT_EQ(decode_npy(body, 0, file.size()).impl()->storage(), body);
}

TEST(Npy, ViewsAreWrittenRowByRow) {
  const Tensor x = transpose(tensor({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}));
  EXPECT_EQ(decode(text_of(encode_npy(x))).to_vector<float>(), (Floats{1, 4, 2, 5, 3, 6}));
}

TEST(Npy, BigEndianIsRead) {
  EXPECT_EQ(decode(file_of(header_of(">i2", "(2,)"), std::string("\x01\x02\xff\xfe", 4))).to_vector<int>(),
            (std::vector<int>{258, -2}));
  EXPECT_EQ(decode(file_of(header_of(">f4", "()"), std::string("\x3f\x80\0\0", 4))).item<float>(), 1);
  EXPECT_EQ(decode(file_of(header_of(">f8", "(1,)"), std::string("\xc0\0\0\0\0\0\0\0", 8))).item<double>(), -2);
}

TEST(Npy, ColumnsFirstIsRead) {
  const Tensor x = decode(file_of(header_of("|u1", "(2, 3)", "True"), "\x01\x04\x02\x05\x03\x06"));
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_EQ(x.to_vector<int>(), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  const Tensor y = decode(file_of(header_of(">u2", "(2, 2)", "True"), std::string("\0\x01\0\x03\0\x02\0\x04", 8)));
  EXPECT_EQ(y.to_vector<int>(), (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(decode(file_of(header_of("|u1", "(1, 3)", "True"), "abc")).strides(), (Dims{3, 1}));
  EXPECT_EQ(decode(file_of(header_of("|u1", "(2, 0)", "True"))).shape(), (Shape{2, 0}));
}

TEST(Npy, LaterVersionsAndOtherSpellingsAreRead) {
  const std::string header = "{\"shape\" :(3L ,), 'fortran_order':False,'descr':'|i1'}";
  for (char version : {'\x02', '\x03'}) {
    std::string file("\x93NUMPY", 6);
    file += version;
    file += std::string("\0", 1) + static_cast<char>(header.size()) + std::string("\0\0\0", 3);
    EXPECT_EQ(decode(file + header + "\x01\x02\x03").to_vector<int>(), (std::vector<int>{1, 2, 3}));
  }
}

TEST(Npy, WrongFilesAreRefused) {
  const std::string start = "{'descr': '<f4', 'fortran_order': False, 'shape': ";
  const std::pair<std::string, const char*> rows[] = {
      {"", "protocol: npy: the file doesn't start with \\x93NUMPY and a version"},
      {std::string("\x93NUMPY\x04\0\0\0", 10), "protocol: npy: version 4.0, expected 1.0, 2.0 or 3.0"},
      {std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12),
       "too_large: npy: a header of 4294967295 bytes, at most 65535 are accepted"},
      {std::string("\x93NUMPY\x01\0\x10\0", 10), "protocol: npy: a header of 16 bytes, but only 0 follow"},
      {std::string("\x93NUMPY\x01\0\x10", 9), "protocol: npy: the length of the header needs 2 bytes"},
      {file_of(header_of("<f4", "(2,)"), "1234"), "protocol: npy: shape [2] of float32 needs 8 bytes, got 4"},
      {file_of(header_of("<f4", "(1,)"), "12345"), "protocol: npy: shape [1] of float32 needs 4 bytes, got 5"},
      {file_of(header_of("<f4", "(4611686018427387904, 0)")),
       "protocol: npy: shape [4611686018427387904, 0] of float32 has more bytes than fit in memory"},
      {file_of(header_of("|b1", "(1,)"), "\x02"), "protocol: npy: booleans other than 0 and 1"},
      {file_of(header_of("<c8", "(1,)"), "12345678"),
       "dtype_mismatch: npy: elements of the type \"<c8\", expected booleans, integers or floats such as \"<f4\""},
      {file_of(header_of("|O", "(1,)")),
       "dtype_mismatch: npy: elements of the type \"|O\", expected booleans, integers or floats such as \"<f4\""},
      {file_of("{'descr': [('a', '<f4')], }"),
       "dtype_mismatch: npy: elements are records, expected booleans, integers or floats"},
      {file_of(header_of("|f4", "()"), "1234"), "protocol: npy: the type \"|f4\" needs a byte order"},
      {file_of("{'descr': '<f4'}"), "protocol: npy: the header needs 'descr', 'fortran_order' and 'shape'"},
      {file_of(start + "(3), }"), "protocol: npy: in the header at byte 52, expected ',', got \"), }\""},
      {file_of(start + "(-3,), }"), "protocol: npy: in the header at byte 51, expected a size, got \"-3,), }\""},
      {file_of(start + "(99999999999999999999,), }"),
       "protocol: npy: in the header at byte 51, expected a size, got \"9999999999999999\""},
      {file_of("{'descr': '<f4', 'descr': '<f4'}"), "protocol: npy: the header has \"descr\" twice"},
      {file_of("{'a': '<f4'}"), "protocol: npy: the header has an unknown key \"a\""},
      {file_of(start + "()} 1"),
       "protocol: npy: in the header at byte 54, expected nothing after the dictionary, got \"1\""},
      {file_of(start), "protocol: npy: in the header at byte 50, expected '(', got the end"},
      {file_of("{'descr"), "protocol: npy: in the header at byte 2, expected a string that ends, got \"descr\""},
  };
  for (const auto& [file, message] : rows) EXPECT_EQ(error_of(file), message);
  std::string shape = "(";
  for (int i = 0; i < 65; ++i) shape += "1,";
  EXPECT_THAT(error_of(file_of(header_of("|u1", shape + ")"), "1")), HasSubstr("more than 64 dimensions"));
}

TEST(Npy, WhatNumPyDoesNotHaveIsRefused) {
  EXPECT_THROW(encode_npy({}), Error);
  try {
    encode_npy(zeros({2}, DType::bf16));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDTypeMismatch);
    EXPECT_THAT(error.what(), HasSubstr("NumPy has no bfloat16"));
  }
}

class NpyFile : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.path(name); }

  const util::testing::Directory directory_;
};

TEST_F(NpyFile, IsChosenByTheNameAndRecognisedByItsContent) {
  tensor({1.f, 2.f}).save(path("x.npy"));
  const util::BufferRef file = read_file(path("x.npy"));
  EXPECT_TRUE(is_npy(file->data(), file->size()));
  EXPECT_EQ(load(path("x.npy"))["tensor"].to_vector<float>(), (Floats{1, 2}));
  std::filesystem::rename(path("x.npy"), path("x"));
  EXPECT_EQ(load(path("x"))["tensor"].to_vector<float>(), (Floats{1, 2}));
}

TEST_F(NpyFile, HoldsOneTensor) {
  EXPECT_THROW(save(path("x.npy"), {}), Error);
  EXPECT_THROW(save(path("x.npy"), {{"a", scalar(1.f)}, {"b", scalar(2.f)}}), Error);
  EXPECT_FALSE(std::filesystem::exists(path("x.npy")));
}

TEST_F(NpyFile, ErrorsNameTheFile) {
  save(path("x"), {{"a", scalar(1.f)}});
  std::filesystem::rename(path("x"), path("x.npy"));
  try {
    load(path("x.npy"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("load: \"" + path("x.npy") + "\": npy: "));
  }
}

}  // namespace
}  // namespace sm::codec
