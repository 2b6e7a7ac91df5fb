#include <algorithm>

#include "codec/bytes.hpp"
#include "codec/inference.hpp"
#include "codec/json_tensor.hpp"
#include "codec/json_text.hpp"
#include "shumai/error.hpp"

namespace sm::codec {
namespace {

constexpr size_t kDataAlignment = 64;

// In the order of DType.
constexpr std::string_view kDatatypes[kDTypeCount] = {"BOOL",  "UINT8",  "INT8", "INT16", "UINT16", "INT32", "UINT32",
                                                      "INT64", "UINT64", "FP16", "BF16",  "FP32",   "FP64"};

void append_member(std::string& out, std::string_view key, std::string_view text) {
  append_json_string(out, key);
  out += ':';
  append_json_string(out, text);
  out += ',';
}

void append_output(std::string& out, const InferenceResponse::Output& output) {
  const Tensor& tensor = output.tensor;
  if (!tensor.defined())
    throw Error(ErrorCode::kInvalidArgument, "infer: output " + quoted(output.name) + " is undefined");
  out += '{';
  append_member(out, "name", output.name);
  append_member(out, "datatype", datatype_of(tensor.dtype()));
  out += "\"shape\":[";
  for (int i = 0; i < tensor.ndim(); ++i) out += (i ? "," : "") + std::to_string(tensor.shape()[i]);
  out += "],";
  if (output.binary) {
    out += "\"parameters\":{\"binary_data_size\":" + std::to_string(tensor.nbytes()) + "}}";
    return;
  }
  if (tensor.dtype() == DType::f16 || tensor.dtype() == DType::bf16)
    throw Error(ErrorCode::kInvalidArgument, "infer: output " + quoted(output.name) + " is " +
                                                 std::string(datatype_of(tensor.dtype())) +
                                                 ", which JSON can't say; ask for it with \"binary_data\": true");
  out += "\"data\":";
  append_flat_json(out, tensor);
  out += '}';
}

}  // namespace

std::string_view datatype_of(DType dtype) noexcept { return kDatatypes[static_cast<size_t>(dtype)]; }

DType dtype_from_datatype(std::string_view datatype) {
  const auto found = std::find(std::begin(kDatatypes), std::end(kDatatypes), datatype);
  if (found != std::end(kDatatypes)) return static_cast<DType>(found - std::begin(kDatatypes));
  std::string known;
  for (std::string_view each : kDatatypes) known += (known.empty() ? "" : ", ") + std::string(each);
  throw Error(ErrorCode::kDTypeMismatch, "infer: the datatype " + quoted(datatype) + " isn't one of a tensor here: " +
                                             (datatype == "BYTES" ? "strings aren't numbers; there is " : "there is ") +
                                             known);
}

EncodedInference encode_inference_response(const InferenceResponse& response) {
  std::string json = "{";
  append_member(json, "model_name", response.model_name);
  append_member(json, "model_version", response.model_version);
  if (response.id) append_member(json, "id", *response.id);
  json += "\"outputs\":[";
  bool binary = false;
  for (const InferenceResponse::Output& output : response.outputs) {
    if (&output != response.outputs.data()) json += ',';
    append_output(json, output);
    binary = binary || output.binary;
  }
  json += "]}";
  EncodedInference out;
  if (binary) {
    json.append((kDataAlignment - json.size() % kDataAlignment) % kDataAlignment, ' ');
    out.json_size = json.size();
  }
  out.body.push_back(to_slice(std::move(json)));
  for (const InferenceResponse::Output& output : response.outputs)
    if (output.binary && output.tensor.elements() > 0) out.body.push_back(elements_in_order(output.tensor));
  return out;
}

}  // namespace sm::codec
