#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "shumai/tensor.hpp"
#include "util/buffer.hpp"

namespace sm::codec {

// Bytes of a tensor; nothing when the sizes multiply to more than fits in 63
// bits. A size of 0 doesn't hide an overflow of the others: it would come back
// in the strides.
std::optional<size_t> bytes_of(const Shape& shape, DType dtype);

// The elements row by row: shared with the tensor when it is contiguous, else copied.
util::Slice elements_in_order(const Tensor& tensor);

// The tensor whose elements lie row by row at `position`: it shares `body`'s memory when they are aligned there.
// Booleans are the caller's to check.
Tensor tensor_at(const util::BufferRef& body, size_t position, const Shape& shape, DType dtype);

// True when every byte is 0 or 1.
bool are_booleans(const std::byte* data, size_t count);

// The text as a message body.
util::Slice to_slice(std::string text);

}  // namespace sm::codec
