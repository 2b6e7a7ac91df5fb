#include "ops/indices.hpp"

#include "kernels/copy.hpp"
#include "ops/common.hpp"

namespace sm::ops {

Positions::Positions(Tensor tensor)
    : kept_(std::move(tensor)), span_(kept_.impl()->as<int64_t>(), static_cast<size_t>(kept_.elements())) {}

Positions checked_indices(std::string_view op, const Tensor& indices, int64_t size, FromEnd from_end) {
  if (!is_integral(indices.dtype()) || indices.dtype() == DType::boolean)
    throw Error(ErrorCode::kDTypeMismatch,
                std::string(op) + ": expects integer indices, got " + std::string(name_of(indices.dtype())));
  const Tensor whole = kernels::contiguous(as_dtype(indices, DType::i64));
  Positions given(whole);
  const std::span<const int64_t> all = given;
  // Negative ones are large as unsigned numbers.
  bool unusual = false;
  for (int64_t index : all) unusual |= static_cast<uint64_t>(index) >= static_cast<uint64_t>(size);
  if (!unusual) return given;
  std::vector<int64_t> out(all.begin(), all.end());
  const int64_t lowest = from_end == FromEnd::kNegative ? -size : 0;
  for (int64_t& index : out) {
    if (index < lowest || index >= size)
      throw Error(ErrorCode::kOutOfRange, std::string(op) + ": index " + std::to_string(index) +
                                              " is out of range for an axis of size " + std::to_string(size));
    if (index < 0) index += size;
  }
  return Positions(std::move(out));
}

void check_holds(std::string_view op, DType dtype, const Tensor& values) {
  if (is_floating(values.dtype()) && !is_floating(dtype))
    throw Error(ErrorCode::kDTypeMismatch, std::string(op) + ": expects values that " + std::string(name_of(dtype)) +
                                               " can hold, got " + std::string(name_of(values.dtype())));
}

}  // namespace sm::ops
