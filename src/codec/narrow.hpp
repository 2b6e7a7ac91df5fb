#pragma once

#include "codec/safetensors.hpp"
#include "shumai/tensor.hpp"

// float32 in two bytes on its way: bfloat16, or float16. The metadata of the
// message names the tensors that were narrowed, so that a reader widens these
// and leaves others of that dtype alone:
//
//   "shumai.float32": "[\"0\", \"weight\"]"
namespace sm::codec {

// The same tensors with float32 rounded to `dtype` (f16 or bf16), nearest
// even; what was narrowed is added to `metadata`. Throws Error (kOutOfRange)
// for a finite value that would become infinite.
Tensors narrow(const Tensors& tensors, DType dtype, Metadata& metadata);

// What narrow() made, as float32 again. Throws Error (kProtocol) for metadata
// that it wouldn't have written.
Tensors widen(Tensors tensors, const Metadata& metadata);

}  // namespace sm::codec
