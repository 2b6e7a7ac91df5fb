#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shumai/tensor.hpp"
#include "util/buffer.hpp"

// The binary form of the original Shumai, all little-endian:
//
//   i64 rank | i64 provenance | i64 flags | i64 bytes of elements | i64 bytes of props
//   rank sizes as i64 | elements as float32, row by row | props as JSON text
//
// Bit 0 of the flags: the tensor requires gradients.
namespace sm::codec {

// What the original writes for a tensor that came from nobody.
inline constexpr int64_t kNoProvenance = 0xffffffff;

struct ShumaiBinary {
  Tensor tensor;  // float32
  int64_t provenance = kNoProvenance;
  bool requires_grad = false;
  std::string props;  // JSON text as it came, not looked into; empty for none
};

// The pieces of a message, in order. Elements that aren't float32 are
// converted; those of a contiguous float32 tensor aren't copied. Throws Error
// (kInvalidArgument) for an undefined tensor.
std::vector<util::Slice> encode_shumai_binary(const ShumaiBinary& message);

// Reads the message in `size` bytes of `body` from `offset`. Aligned elements
// share `body`'s memory. The tensor is a leaf without gradients: what to do
// with the flag is the caller's. Throws Error (kProtocol) for anything that the
// format doesn't allow; nothing is allocated from a size before it is checked.
ShumaiBinary decode_shumai_binary(const util::BufferRef& body, size_t offset, size_t size);

}  // namespace sm::codec
