#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "shumai/tensor.hpp"

// Tensors as JSON, for curl and people:
//
//   0.5                                                    a number: rank 0
//   [[1, 2], [3, 4]]                                       nested arrays
//   {"dtype": "int64", "shape": [2, 2], "data": [1, 2, 3, 4]}   data nested as the shape says, or flat
//   {"x": [1, 2], "y": {"dtype": "uint8", "data": [3]}}    named tensors
//
// Without a dtype, numbers (whole ones too) become float32 and booleans bool. A
// number is rounded once, to its dtype; one that is too large for it is an
// error. What JSON can't write as numbers are the strings "NaN", "Infinity"
// and "-Infinity". An object with a member "data", "dtype" or "shape" is one
// tensor, unless that member is an object itself: then it is a tensor of that name.
namespace sm::codec {

struct JsonTensorLimits {
  size_t max_bytes = 64u << 20;
  size_t max_tensors = 10'000;
};

// A lone tensor is named "0". Numbers go into the elements' memory as they are
// read; a `dtype` that comes after its `data` costs a second pass over the
// text. Throws Error: kProtocol for what isn't JSON or isn't a tensor (rows of
// different lengths, numbers beside booleans, null), kTooLarge above a limit,
// kDTypeMismatch for an unknown dtype.
Tensors decode_json(std::string_view text, const JsonTensorLimits& limits = {});

// Nested arrays where they say all: for float32 and bool without sizes of 0
// that nesting would lose; else the object form. Numbers are the shortest text
// that reads back the same.
std::string encode_json(const Tensor& tensor);

// One tensor named "0" as above, without its name; else an object of tensors.
std::string encode_json(const Tensors& tensors);

// Appends the elements as one flat array, row by row.
void append_flat_json(std::string& out, const Tensor& tensor);

}  // namespace sm::codec
