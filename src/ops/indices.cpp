#include "ops/indices.hpp"

#include "ops/common.hpp"

namespace sm::ops {

std::vector<int64_t> checked_indices(const Op& op, const Tensor& indices, int64_t size, FromEnd from_end) {
  if (!is_integral(indices.dtype()) || indices.dtype() == DType::boolean)
    reject_dtype(op, "integer indices", indices.dtype());
  std::vector<int64_t> out = indices.to_vector<int64_t>();
  const int64_t lowest = from_end == FromEnd::kNegative ? -size : 0;
  for (int64_t& index : out) {
    if (index < lowest || index >= size)
      throw Error(ErrorCode::kOutOfRange, std::string(op.name) + ": index " + std::to_string(index) +
                                              " is out of range for an axis of size " + std::to_string(size));
    if (index < 0) index += size;
  }
  return out;
}

}  // namespace sm::ops
