#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm::codec {

// In the order of DType.
inline constexpr std::string_view kSafetensorsTypes[kDTypeCount] = {"BOOL", "U8",  "I8",  "I16",  "U16", "I32", "U32",
                                                                    "I64",  "U64", "F16", "BF16", "F32", "F64"};

// One tensor as a safetensors header describes it.
struct SafetensorsInfo {
  std::string_view name;
  DType dtype;
  Shape shape;
  size_t begin;  // in the data
  size_t end;
};

// Reads a header of the form in which a few tensors usually come: plain names,
// no metadata, nothing wrong. False for any other, right or wrong, which is left
// to a parser of JSON; `infos` is of no use then. Names lie in `text`.
bool scan_safetensors_header(std::string_view text, size_t data_size, std::vector<SafetensorsInfo>& infos);

}  // namespace sm::codec
