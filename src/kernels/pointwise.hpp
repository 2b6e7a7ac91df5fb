#pragma once

#include <span>

#include "kernels/elementwise.hpp"

// Pointwise operations as ops call them. Large ones on float32 and float64 are
// recorded, and run fused with what they feed, block by block, once somebody
// looks at a result; all others are computed at once. A recorded operation
// keeps its operands' storage, so that a later update() can't reach it.
//
// Operands are of one dtype; `shape` is what they broadcast to. Thread-safe.
namespace sm::kernels {

Tensor pointwise(Unary kind, const Tensor& x);
Tensor pointwise(Predicate kind, const Tensor& x);  // boolean
Tensor pointwise(Binary kind, const Tensor& a, const Tensor& b, const Shape& shape);
Tensor pointwise(Compare kind, const Tensor& a, const Tensor& b, const Shape& shape);  // boolean
Tensor pointwise_where(const Tensor& condition, const Tensor& a, const Tensor& b, const Shape& shape);
// `tensor`, which is boolean and still to be computed, as `dtype`. Undefined when that can't be recorded.
Tensor recorded_cast(const Tensor& tensor, DType dtype);

// Computes what of these is still to be computed, together where they share work.
void compute_all(std::span<const Tensor> tensors);

// From how many elements on operations are recorded; INT64_MAX: never. The same for all threads.
int64_t recording_threshold() noexcept;
void set_recording_threshold(int64_t elements) noexcept;

// While one exists, this thread records from a quarter of that on: a backward pass computes long chains.
class LongChains {
 public:
  LongChains() noexcept;
  ~LongChains();
  LongChains(const LongChains&) = delete;
  LongChains& operator=(const LongChains&) = delete;

 private:
  bool before_;
};

}  // namespace sm::kernels
