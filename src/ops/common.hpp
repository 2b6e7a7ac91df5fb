#pragma once

#include <string>
#include <utility>

#include "ops/op.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::ops {

// The dtype that combining the tensors gives, as PyTorch's result_type: tensors
// with dimensions decide first, then rank-0 tensors, then plain numbers; a
// lower group changes the result only when its kind (boolean, integer, float) is higher.
DType result_type(Inputs inputs);

// Plain numbers take `dtype`; everything is converted to it. No graph.
Tensor as_dtype(const Tensor& tensor, DType dtype);
// The same for a while, without counting a reference to what is of `dtype` already.
class InDType {
 public:
  InDType(const Tensor& tensor, DType dtype)
      : made_(tensor.dtype() == dtype ? Tensor() : as_dtype(tensor, dtype)),
        tensor_(made_.defined() ? made_ : tensor) {}
  InDType(const InDType&) = delete;
  InDType& operator=(const InDType&) = delete;
  operator const Tensor&() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  const Tensor made_;
  const Tensor& tensor_;
};

// `dtype` when it is floating, else float32.
inline DType floating(DType dtype) { return is_floating(dtype) ? dtype : DType::f32; }

// What sums of `dtype` are computed in: 16-bit floats overflow, or lose what is
// added, long before the result does.
inline DType wide(DType dtype) { return is_floating(dtype) && size_of(dtype) == 2 ? DType::f32 : dtype; }
// The same for averages and the like, which aren't of integers.
inline DType wide_floating(DType dtype) { return wide(floating(dtype)); }

// Converted, with the graph; itself when it is of `dtype` already.
Tensor converted(const Tensor& tensor, DType dtype);

// The floating-point dtype that the defined ones among `inputs` promote to. Throws Error (kDTypeMismatch) when it isn't
// one.
DType floating_result(const Op& op, Inputs inputs);

// A view with the last two axes swapped.
Tensor swap_last(const Tensor& tensor);

// Throws Error (kDTypeMismatch): "exp: expects ..., got int32".
[[noreturn]] void reject_dtype(const Op& op, const char* expects, DType got);

// Axes counted from the front, sorted, each once; all of them when `axes` is empty.
Dims normalize_axes(const Dims& axes, int ndim, const char* op);

// `shape` with `axes` made 1, or taken out.
Shape reduced_shape(const Shape& shape, const Dims& axes, bool keep_dims);

// `tensor` with `axes` (normalized) moved to the end and joined to one; differentiable.
Tensor flattened(const Tensor& tensor, const Dims& axes);
// The inverse, for a tensor that was of `shape`.
Tensor unflattened(const Tensor& tensor, const Shape& shape, const Dims& axes);

// Whether `from` broadcasts to exactly `to`.
bool broadcasts_to(const Shape& from, const Shape& to);

// The same tensor again, so that no result of an op is its input itself.
Tensor same_view(const Tensor& tensor);

// A fresh rank-0 tensor of `dtype`, not a plain number.
Tensor constant(double value, DType dtype);

// The rows of several groups, in order.
std::vector<Op> joined(const std::vector<std::vector<Op>>& groups);

// Shapes that exercise a pointwise op of one or two inputs.
std::vector<Sample> unary_cases();
std::vector<Sample> binary_cases();

}  // namespace sm::ops
