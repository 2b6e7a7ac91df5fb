#include "codec/inference.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

util::BufferRef buffer_of(const std::string& bytes) {
  util::BufferRef buffer = util::Buffer::allocate(bytes.size());
  std::memcpy(buffer->data(), bytes.data(), bytes.size());
  return buffer;
}

InferenceRequest decode(const std::string& json, const std::string& binary = "") {
  const std::string body = json + binary;
  return decode_inference_request(buffer_of(body), 0, body.size(), json.size());
}

std::string joined(const EncodedInference& encoded) {
  std::string bytes;
  for (const util::Slice& slice : encoded.body) bytes.append(reinterpret_cast<const char*>(slice.data), slice.size);
  return bytes;
}

// The member "inputs" of a request with one input.
std::string one(const std::string& input) { return R"({"inputs":[{)" + input + "}]}"; }

TEST(InferenceCodec, ReadsTheExampleOfTheSpecification) {
  const InferenceRequest request = decode(R"({
    "id" : "42",
    "inputs" : [
      {"name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "data" : [ 1, 2, 3, 4 ]},
      {"name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL", "data" : [ true, false, true ]}
    ],
    "outputs" : [ {"name" : "output0"} ]
  })");
  EXPECT_EQ(request.id, "42");
  EXPECT_EQ(request.inputs["input0"].shape(), Shape({2, 2}));
  EXPECT_EQ(request.inputs["input0"].to_vector<uint32_t>(), (std::vector<uint32_t>{1, 2, 3, 4}));
  EXPECT_EQ(request.inputs["input1"].to_vector<bool>(), (std::vector<bool>{true, false, true}));
  ASSERT_EQ(request.outputs.size(), 1u);
  EXPECT_EQ(request.outputs[0].name, "output0");
  EXPECT_FALSE(request.outputs[0].binary.has_value());
  EXPECT_FALSE(request.binary_output);
}

TEST(InferenceCodec, ReadsTheExampleOfTheBinaryExtension) {
  const std::string json = R"({
    "model_name" : "mymodel",
    "inputs" : [
      {"name" : "input0", "shape" : [ 2, 2 ], "datatype" : "UINT32", "parameters" : {"binary_data_size" : 16}},
      {"name" : "input1", "shape" : [ 3 ], "datatype" : "BOOL", "parameters" : {"binary_data_size" : 3}}
    ],
    "outputs" : [ {"name" : "output0", "parameters" : {"binary_data" : true}} ]
  })";
  const uint32_t words[] = {1, 2, 3, 0xffffffff};
  const std::string binary = std::string(reinterpret_cast<const char*>(words), 16) + std::string("\1\0\1", 3);
  const InferenceRequest request = decode(json, binary);
  EXPECT_EQ(request.inputs["input0"].to_vector<uint32_t>(), (std::vector<uint32_t>{1, 2, 3, 0xffffffff}));
  EXPECT_EQ(request.inputs["input1"].to_vector<bool>(), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(request.outputs.at(0).binary, true);
}

TEST(InferenceCodec, WritesTheExampleOfTheBinaryExtension) {
  const Tensor x = tensor<float>({1.f, 1.1f, 2.f, 2.1f, 3.f, 3.1f}, {3, 2});
  const EncodedInference encoded = encode_inference_response({"mymodel", "7", "42", {{"output0", x, true}}});
  const std::string bytes = joined(encoded);
  ASSERT_TRUE(encoded.json_size.has_value());
  EXPECT_EQ(*encoded.json_size % 64, 0u);
  EXPECT_EQ(bytes.size(), *encoded.json_size + 24);
  const Json json = Json::parse(std::string_view(bytes).substr(0, *encoded.json_size));
  EXPECT_EQ(json.dump(),
            R"({"model_name":"mymodel","model_version":"7","id":"42","outputs":[{"name":"output0","datatype":"FP32",)"
            R"("shape":[3,2],"parameters":{"binary_data_size":24}}]})");
  EXPECT_EQ(std::memcmp(bytes.data() + *encoded.json_size, x.impl()->bytes(), 24), 0);
}

TEST(InferenceCodec, WritesFlatDataWithoutBinaryOutputs) {
  const Tensor x = tensor<float>({1.f, 1.5f, 2.f, 2.5f}, {2, 2});
  const EncodedInference encoded = encode_inference_response({"m", "0", std::nullopt, {{"y", x, false}}});
  EXPECT_FALSE(encoded.json_size.has_value());
  EXPECT_EQ(joined(encoded),
            R"({"model_name":"m","model_version":"0","outputs":[{"name":"y","datatype":"FP32","shape":[2,2],)"
            R"("data":[1,1.5,2,2.5]}]})");
}

TEST(InferenceCodec, AlignedBinaryInputsAreViewsOfTheBody) {
  std::string json = one(R"("name":"x","shape":[4],"datatype":"FP32","parameters":{"binary_data_size":16})");
  for (const size_t padding : {64 - json.size() % 64, 65 - json.size() % 64}) {
    const std::string body = json + std::string(padding, ' ') + std::string(16, '\0');
    const util::BufferRef buffer = buffer_of(body);
    const InferenceRequest request = decode_inference_request(buffer, 0, body.size(), json.size() + padding);
    const bool shared = request.inputs["x"].impl()->storage().get() == buffer.get();
    EXPECT_EQ(shared, (json.size() + padding) % 4 == 0);
    EXPECT_EQ(request.inputs["x"].to_vector<float>(), std::vector<float>(4));
  }
}

TEST(InferenceCodec, EveryDatatypeComesBackAsItWas) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = static_cast<DType>(i);
    const Tensor x = tensor<float>({0, 1, 1, 0, 1, 0}, {2, 3}).astype(dtype);
    const bool half = dtype == DType::f16 || dtype == DType::bf16;
    for (const bool binary : {true, false}) {
      if (half && !binary) continue;
      EncodedInference encoded = encode_inference_response({"m", "0", std::nullopt, {{"x", x, binary}}});
      const std::string bytes = joined(encoded);
      const size_t json_size = encoded.json_size.value_or(bytes.size());
      Json json = Json::parse(std::string_view(bytes).substr(0, json_size));
      json["inputs"] = Json(json["outputs"]);
      json.erase("outputs");
      const Tensor again = decode(json.dump(), bytes.substr(json_size)).inputs["x"];
      EXPECT_EQ(again.dtype(), dtype) << datatype_of(dtype);
      EXPECT_EQ(again.shape(), x.shape());
      EXPECT_EQ(std::memcmp(again.impl()->bytes(), x.impl()->bytes(), x.nbytes()), 0) << datatype_of(dtype);
    }
  }
}

TEST(InferenceCodec, DataMayBeNestedAndComeBeforeItsDatatype) {
  const InferenceRequest nested = decode(one(R"("name":"x","shape":[2,2],"datatype":"INT64","data":[[1,2],[3,4]])"));
  EXPECT_EQ(nested.inputs["x"].to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 3, 4}));
  const InferenceRequest sorted =
      decode(one(R"("data":[1,9007199254740993],"datatype":"INT64","name":"x","shape":[2])"));
  EXPECT_EQ(sorted.inputs["x"].to_vector<int64_t>(), (std::vector<int64_t>{1, 9007199254740993}));
  EXPECT_EQ(decode(one(R"("name":"x","shape":[],"datatype":"FP64","data":[0.1])")).inputs["x"].item<double>(), 0.1);
  EXPECT_EQ(decode(one(R"("name":"x","shape":[2,0],"datatype":"FP32","data":[])")).inputs["x"].shape(), Shape({2, 0}));
}

struct Refusal {
  const char* json;
  const char* binary;
  const char* message;
};

TEST(InferenceCodec, RefusesWhatTheProtocolDoesNotAllow) {
  const std::string big = std::to_string(std::numeric_limits<int64_t>::max());
  const std::string overflow = R"({"inputs":[{"name":"x","shape":[)" + big + "," + big +
                               R"(],"datatype":"FP32","parameters":{"binary_data_size":4}}]})";
  const Refusal table[] = {
      {"[1]", "", "must be an object"},
      {"{}", "", "needs \"inputs\""},
      {R"({"inputs":{}})", "", "a list of tensors"},
      {R"({"inputs":[1]})", "", "must be an object"},
      {R"({"inputs":[[{"data":[1]}]]})", "", "must be an object"},
      {R"({"inputs":[],"id":7})", "", "\"id\" must be a string"},
      {R"({"inputs":[],"outputs":[{"parameters":{}}]})", "", "needs \"name\""},
      {R"({"inputs":[],"parameters":{"binary_data_output":1}})", "", "true or false"},
      {R"({"inputs":[],"outputs":[{"name":"y","parameters":{"classification":3}}]})", "", "isn't supported"},
      {R"({"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]})", "", "needs \"name\""},
      {R"({"inputs":[{"name":"x","datatype":"FP32","data":[1]}]})", "", "needs \"shape\""},
      {R"({"inputs":[{"name":"x","shape":[1],"data":[1]}]})", "", "needs \"datatype\""},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]})", "", "needs \"data\""},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FLOAT","data":[1]}]})", "", "FP32"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"]}]})", "", "strings aren't numbers"},
      {R"({"inputs":[{"data":["a"],"name":"x","shape":[1],"datatype":"BYTES"}]})", "", "strings aren't numbers"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP16","data":[1]}]})", "", "binary data"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"BF16","data":[1]}]})", "", "binary data"},
      {R"({"inputs":[{"name":"x","shape":[3],"datatype":"BOOL","data":[true]}]})", "", "don't agree"},
      {R"({"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],[3]]}]})", "", "rows of"},
      {R"({"inputs":[{"name":"x","shape":[-1],"datatype":"FP32","data":[1]}]})", "", "a list of sizes"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"UINT8","data":[256]}]})", "", "doesn't fit uint8"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[{}]}]})", "", "an object among"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[null]}]})", "", "null among"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"data":[1]}]})", "", "twice"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":4}}]})",
       "1234", "both"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]})", "123",
       "3 are left"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]})", "12345",
       "1 bytes follow"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":8}}]})", "12345678",
       "needs 4 bytes"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}}]})", "1234",
       "needs 4 bytes"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","parameters":{"binary_data_size":1}}]})", "2",
       "other than 0 and 1"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}}]})", "",
       "isn't supported"},
      {overflow.c_str(), "1234", "more bytes than fit"},
      {R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]},)"
       R"({"name":"x","shape":[1],"datatype":"FP32","data":[1]}]})",
       "", "two inputs are named"},
  };
  for (const Refusal& row : table) {
    try {
      decode(row.json, row.binary);
      ADD_FAILURE() << "taken: " << row.json;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), 400) << row.json;
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos) << row.json << "\n" << error.what();
    }
  }
}

TEST(InferenceCodec, LimitsAreChecked) {
  const std::string json = R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]},)"
                           R"({"name":"y","shape":[1],"datatype":"FP32","data":[1]}]})";
  const util::BufferRef buffer = buffer_of(json);
  const auto code_with = [&](const InferenceLimits& limits, std::optional<size_t> json_size = {}) {
    try {
      decode_inference_request(buffer, 0, json.size(), json_size, limits);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code_with({.max_tensors = 1}), ErrorCode::kTooLarge);
  EXPECT_EQ(code_with({.max_json_bytes = json.size() - 1}), ErrorCode::kTooLarge);
  EXPECT_EQ(code_with({}, json.size() + 1), ErrorCode::kProtocol);
  EXPECT_EQ(code_with({}, 0), ErrorCode::kProtocol);
}

TEST(InferenceCodec, SixteenBitFloatsOnlyGoOutAsBinaryData) {
  const Tensor x = tensor<float>({1, 1}).astype(DType::f16);
  EXPECT_THROW(encode_inference_response({"m", "0", std::nullopt, {{"x", x, false}}}), Error);
  EXPECT_EQ(joined(encode_inference_response({"m", "0", std::nullopt, {{"x", x, true}}})).size() % 64, 4u);
}

}  // namespace
}  // namespace sm::codec
