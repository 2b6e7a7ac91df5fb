#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "shumai/tensor.hpp"
#include "util/buffer.hpp"

// The safetensors format (https://github.com/huggingface/safetensors), all little-endian:
//
//   u64 N | N bytes of JSON, padded with spaces | data of the tensors, without gaps
//
//   {"__metadata__": {"key": "text"},
//    "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
//
// Offsets count from the start of the data. What is written here starts its data
// at a multiple of 64, and orders the data (not the header, which keeps the order
// of the Tensors) so that each tensor is aligned to its element size, and to 64
// when its size in bytes is a multiple of 64.
namespace sm::codec {

using Metadata = std::map<std::string, std::string>;

// Above these, Error (kTooLarge). The defaults suit a message from a stranger.
struct SafetensorsLimits {
  size_t max_header_bytes = 4u << 20;
  size_t max_tensors = 10'000;
};

// The pieces of a file, in order. The elements aren't copied: slices keep the
// tensors' storage alive, and copy-on-write keeps it as it is. Tensors that
// aren't contiguous are copied. Throws Error (kInvalidArgument) for an
// undefined tensor, and for a name that comes twice or is "__metadata__".
std::vector<util::Slice> encode_safetensors(const Tensors& tensors, const Metadata& metadata = {});

// Of one tensor, which is called "0".
std::vector<util::Slice> encode_safetensors(const Tensor& tensor);

// The bytes that encode_safetensors gives in all.
size_t safetensors_size(const Tensors& tensors, const Metadata& metadata = {});

// Reads the file in `size` bytes of `body` from `offset`. The tensors share
// `body`'s memory; those whose elements lie unaligned are copied. Throws Error
// (kProtocol) for anything that the format doesn't allow, gaps, overlaps and
// booleans other than 0 and 1 included; nothing is allocated from a length
// before it is checked. `metadata` may be null.
Tensors decode_safetensors(const util::BufferRef& body, size_t offset, size_t size, Metadata* metadata = nullptr,
                           const SafetensorsLimits& limits = {});

}  // namespace sm::codec
