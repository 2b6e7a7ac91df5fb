#pragma once

#include <string>
#include <string_view>

#include "shumai/tensor.hpp"

// Tensors as lines of text, for people and pipes, in the original Shumai's form:
//
//   [[1, 2], [3, 4]]:Float32
//
// The dtype has the original's name or NumPy's and may be left out: float32.
namespace sm::io {

// All elements. Numbers are the shortest text that reads back the same;
// booleans are 0 and 1, and "NaN", "Infinity" and "-Infinity" are numbers too.
std::string encode_readable(const Tensor& tensor);

// Reads that, and what NumPy prints: "[1. 2.]", with commas or spaces between
// elements. Throws Error: kProtocol for anything else, rows of different
// lengths and numbers that the dtype can't hold included, kDTypeMismatch for
// an unknown dtype, kTooLarge above 64 MiB of elements.
Tensor decode_readable(std::string_view text);

}  // namespace sm::io
