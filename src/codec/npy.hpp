#pragma once

#include <cstddef>
#include <vector>

#include "shumai/tensor.hpp"
#include "util/buffer.hpp"

// NumPy's format for one array (https://numpy.org/neps/nep-0001-npy-format.html):
//
//   \x93NUMPY | u8 major | u8 minor | u16 N (u32 from version 2 on), little-endian | N bytes of header | elements
//
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//
// The header is a Python literal, padded with spaces and ended by a newline so
// that the elements start at a multiple of 64.
namespace sm::codec {

// The pieces of a file of version 1.0, little-endian, row by row. Elements of a
// contiguous tensor aren't copied. Throws Error (kInvalidArgument) for an
// undefined tensor, kDTypeMismatch for bfloat16, which NumPy doesn't have.
std::vector<util::Slice> encode_npy(const Tensor& tensor);

// Whether the bytes start as such a file does.
bool is_npy(const std::byte* data, size_t size);

// Reads the file in `size` bytes of `body` from `offset`: versions 1 to 3, both
// byte orders, both orders of elements. Little-endian, aligned elements in row
// order share `body`'s memory, others are copied. Throws Error (kProtocol) for
// anything that the format doesn't allow, bytes after the elements and booleans
// other than 0 and 1 included, kDTypeMismatch for types of NumPy's that a tensor
// doesn't have, kTooLarge for a header above 64 KiB. Nothing is allocated from
// a size before it is checked.
Tensor decode_npy(const util::BufferRef& body, size_t offset, size_t size);

}  // namespace sm::codec
