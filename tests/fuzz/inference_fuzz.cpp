// Any request of the Open Inference Protocol either fails with sm::Error or
// becomes tensors that come back the same when they are answered and sent
// again, as binary data and as JSON. Any path is an endpoint or fails likewise. The first two bytes are the JSON's
// length, or say that there is no header that tells it.

#include <string>

#include "codec/inference.hpp"
#include "fuzzing.hpp"
#include "serve/inference.hpp"

namespace {

using namespace sm;
using namespace sm::fuzz;

constexpr size_t kNoHeader = 0xffff;

bool is_half(const Tensor& x) { return x.dtype() == DType::f16 || x.dtype() == DType::bf16; }

// The outputs of an answer are written as the inputs of a request are.
codec::InferenceRequest send_back(const codec::EncodedInference& encoded) {
  constexpr std::string_view kOutputs = "\"outputs\":[", kInputs = "\"inputs\":[";
  std::string body = text_of(encoded.body);
  const size_t json_size = encoded.json_size.value_or(body.size());
  require(json_size <= body.size());
  body.replace(body.find(kOutputs), kOutputs.size(), kInputs);
  return codec::decode_inference_request(copy_of(body.data(), body.size()), 0, body.size(), json_size - 1);
}

codec::EncodedInference encode(const codec::InferenceRequest& request, bool binary) {
  codec::InferenceResponse response{"model", "1", request.id, {}};
  for (const auto& [name, tensor] : request.inputs)
    response.outputs.push_back({name, tensor, binary || is_half(tensor)});
  return codec::encode_inference_response(response);
}

void check_again(const codec::InferenceRequest& request, bool binary) {
  const codec::EncodedInference encoded = encode(request, binary);
  const codec::InferenceRequest again = send_back(encoded);
  require(again.id == request.id);
  // JSON has one NaN only.
  if (binary) require_same(request.inputs, again.inputs);
  require(text_of(encode(again, binary).body) == text_of(encoded.body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  read_input([&] { return io::InferenceTarget::parse("v2/" + std::string(data, data + size)); });
  const size_t json = size_t{data[0]} | size_t{data[1]} << 8;
  // After them, so that alignment varies with what a mutation inserts.
  const util::BufferRef body = copy_of(data, size);
  const auto request = read_input([&] {
    return codec::decode_inference_request(body, 2, size - 2,
                                           json == kNoHeader ? std::nullopt : std::optional<size_t>(json));
  });
  if (!request) return 0;
  check_again(*request, true);
  check_again(*request, false);
  return 0;
}
