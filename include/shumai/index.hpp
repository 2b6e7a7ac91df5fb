#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm {

// Elements start, start + step, ... before stop, as Python's start:stop:step:
// negative bounds count from the end, and those beyond it stop there.
struct Slice {
  std::optional<int64_t> start{};
  std::optional<int64_t> stop{};
  std::optional<int64_t> step{};
};

// What to pick along an axis:
//   3, -1              one position, and the axis goes
//   Slice, "1:5", ":"  some of them; also as text, "::-1"
//   integers           the positions in a tensor, whose axes replace the axis
//   booleans           a mask over as many axes as it has dimensions, which one axis of what it leaves replaces
//   "..."              as many ":" as it takes to come to the tensor's rank, once
//
// The axes of several tensors broadcast together. They stand where the first of
// them was when the tensors are next to each other, and in front otherwise.
class Index {
 public:
  enum class Rest : uint8_t { kAll };
  using Value = std::variant<int64_t, Slice, Tensor, Rest>;

  template <std::integral T>
  requires(!std::is_same_v<T, bool>) Index(T position) : value_(static_cast<int64_t>(position)) {}
  Index(Slice slice) : value_(slice) {}
  Index(Tensor tensor) : value_(std::move(tensor)) {}
  // Throws Error (kInvalidArgument) for text that is none of the above.
  Index(const std::string& text);
  Index(const char* text) : Index(std::string(text)) {}

  const Value& value() const noexcept { return value_; }

 private:
  Value value_;
};

// The part of `tensor` that `specs` pick, an axis each, from the first; axes
// without one stay whole. A view when no spec is a tensor. Differentiable.
// Throws Error: kOutOfRange with the position and the size, kInvalidArgument for
// more specs than axes, kShapeMismatch for a mask of other sizes.
Tensor index(const Tensor& tensor, const std::vector<Index>& specs);

// A new tensor, like `tensor` but for the part that `specs` pick, which is
// `value`, broadcast and converted. Where tensors pick an element repeatedly,
// the last value stays. Differentiable in both. Throws what index throws, and
// kDTypeMismatch for floats among integers.
Tensor indexed_assign(const Tensor& tensor, const Tensor& value, const std::vector<Index>& specs);

}  // namespace sm
