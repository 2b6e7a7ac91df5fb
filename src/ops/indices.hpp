#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/op.hpp"

namespace sm::ops {

// Whether negative indices count from the end.
enum class FromEnd : uint8_t { kNever, kNegative };

// Positions along an axis in row order; those of a tensor in place where they need no change.
class Positions {
 public:
  explicit Positions(Tensor tensor);
  explicit Positions(std::vector<int64_t> own) : own_(std::move(own)), span_(own_) {}
  Positions(Positions&&) = default;
  operator std::span<const int64_t>() const { return span_; }
  int64_t operator[](size_t i) const { return span_[i]; }

 private:
  Tensor kept_;
  std::vector<int64_t> own_;
  std::span<const int64_t> span_;
};

// The elements of `indices`, each counted from the start of an axis of `size`.
// Throws Error naming `op`: kOutOfRange with the index and the size,
// kDTypeMismatch unless they are integers.
Positions checked_indices(std::string_view op, const Tensor& indices, int64_t size, FromEnd from_end);

// Throws Error (kDTypeMismatch) when `values` are floats and `dtype` isn't.
void check_holds(std::string_view op, DType dtype, const Tensor& values);

}  // namespace sm::ops
