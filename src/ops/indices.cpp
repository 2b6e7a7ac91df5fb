#include "ops/indices.hpp"

#include "ops/common.hpp"

namespace sm::ops {

std::vector<int64_t> checked_indices(std::string_view op, const Tensor& indices, int64_t size, FromEnd from_end) {
  if (!is_integral(indices.dtype()) || indices.dtype() == DType::boolean)
    throw Error(ErrorCode::kDTypeMismatch,
                std::string(op) + ": expects integer indices, got " + std::string(name_of(indices.dtype())));
  std::vector<int64_t> out = indices.to_vector<int64_t>();
  const int64_t lowest = from_end == FromEnd::kNegative ? -size : 0;
  for (int64_t& index : out) {
    if (index < lowest || index >= size)
      throw Error(ErrorCode::kOutOfRange, std::string(op) + ": index " + std::to_string(index) +
                                              " is out of range for an axis of size " + std::to_string(size));
    if (index < 0) index += size;
  }
  return out;
}

void check_holds(std::string_view op, DType dtype, const Tensor& values) {
  if (is_floating(values.dtype()) && !is_floating(dtype))
    throw Error(ErrorCode::kDTypeMismatch, std::string(op) + ": expects values that " + std::string(name_of(dtype)) +
                                               " can hold, got " + std::string(name_of(values.dtype())));
}

}  // namespace sm::ops
