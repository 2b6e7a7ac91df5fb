#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/tensor.hpp"
#include "util/buffer.hpp"

// The bodies of the Open Inference Protocol, version 2 (KServe's), and of its
// binary tensor data extension
// (https://github.com/kserve/open-inference-protocol):
//
//   {"id": "1", "inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
//
// An input with the parameter "binary_data_size" has no "data": its elements,
// little-endian and row by row, follow the JSON, whose length is then told by
// the header Inference-Header-Content-Length. Answers are built alike.
namespace sm::codec {

// "BOOL", "UINT8", "INT8", "INT16", ..., "FP16", "BF16", "FP32", "FP64".
std::string_view datatype_of(DType dtype) noexcept;
// Throws Error (kDTypeMismatch), for BYTES as well.
DType dtype_from_datatype(std::string_view datatype);

struct InferenceRequest {
  struct Output {
    std::string name;
    std::optional<bool> binary;
  };

  std::optional<std::string> id;
  Tensors inputs;
  std::vector<Output> outputs;  // those that are wanted; empty: all
  bool binary_output = false;   // unless an output says otherwise
};

struct InferenceLimits {
  size_t max_json_bytes = 64u << 20;
  size_t max_tensors = 1'000;
};

// Reads the request in `size` bytes of `body` from `offset`, of which the first
// `json_size` are JSON; all of them without that. Binary inputs share `body`'s
// memory where they are aligned. Throws Error: kProtocol for what the protocol
// doesn't allow, kDTypeMismatch for a datatype that no tensor has, kTooLarge
// above a limit. Nothing is allocated from a size before it is checked.
InferenceRequest decode_inference_request(const util::BufferRef& body, size_t offset, size_t size,
                                          std::optional<size_t> json_size = {}, const InferenceLimits& limits = {});

struct InferenceResponse {
  struct Output {
    std::string name;
    Tensor tensor;
    bool binary = false;
  };

  std::string model_name;
  std::string model_version;
  std::optional<std::string> id;
  std::vector<Output> outputs;
};

struct EncodedInference {
  std::vector<util::Slice> body;
  std::optional<size_t> json_size;  // when there is binary data
};

// The elements of binary outputs aren't copied, and begin at a multiple of 64
// when those before them do. Throws Error (kInvalidArgument) for an undefined
// tensor, and for one of 16-bit floats that isn't binary: JSON has none.
EncodedInference encode_inference_response(const InferenceResponse& response);

}  // namespace sm::codec
