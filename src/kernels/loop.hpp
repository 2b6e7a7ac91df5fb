#pragma once

#include <array>
#include <cstdint>

#include "tensor/impl.hpp"

namespace sm::kernels {

// N operands walked together over one shape. Axes are joined wherever every
// operand allows it, so a contiguous case is one long axis. Strides are in bytes.
template <int N>
struct Loop {
  std::array<char*, N> base;
  Dims sizes;                   // outermost first; never empty
  std::array<Dims, N> strides;  // of each operand along `sizes`
};

struct Operand {
  char* base;
  const Shape& shape;
  const Dims& strides;  // in elements
  int64_t size;         // bytes of an element
  int64_t elements;
  bool is_contiguous;
};

inline Operand operand(const Tensor& tensor) {
  TensorImpl& impl = *tensor.impl();
  return {reinterpret_cast<char*>(impl.bytes()),     impl.shape,    impl.strides,
          static_cast<int64_t>(size_of(impl.dtype)), impl.elements, impl.is_contiguous};
}

// The byte stride of `x` along axis `axis` of `shape`, to which it broadcasts.
inline int64_t broadcast_stride(const Operand& x, const Shape& shape, int axis) {
  const int mine = axis - (shape.size() - x.shape.size());
  return mine < 0 || x.shape[mine] == 1 ? 0 : x.strides[mine] * x.size;
}

// Writes the loop over one axis, where that is easily seen to be enough.
template <int N>
bool make_one_axis(const std::array<Operand, N>& operands, const Shape& shape, Loop<N>& loop) {
  const int64_t n = operands[N - 1].elements;
  for (int k = 0; k < N; ++k) {
    const Operand& x = operands[k];
    loop.base[k] = x.base;
    if (x.is_contiguous && x.shape == shape)
      loop.strides[k] = Dims(x.size);
    else if (x.elements == 1)
      loop.strides[k] = Dims(0);
    else
      return false;
  }
  loop.sizes = Dims(n);
  return true;
}

// The last operand is of `shape`.
template <int N>
Loop<N> make_loop(const std::array<Operand, N>& operands, const Shape& shape) {
  Loop<N> loop{{}, {}, {}};
  if (make_one_axis<N>(operands, shape, loop)) return loop;
  loop.sizes = Dims(1, 1);
  for (int k = 0; k < N; ++k) {
    loop.base[k] = operands[k].base;
    loop.strides[k] = Dims(1, operands[k].size);
  }
  // `last` is the axis being grown, at the end of the lists, which are reversed below.
  int count = 0;
  for (int axis = shape.size() - 1; axis >= 0; --axis) {
    if (shape[axis] == 1) continue;
    std::array<int64_t, N> step;
    bool joins = count > 0;
    for (int k = 0; k < N; ++k) {
      step[k] = broadcast_stride(operands[k], shape, axis);
      joins = joins && step[k] == loop.strides[k][count - 1] * loop.sizes[count - 1];
    }
    if (joins) {
      loop.sizes[count - 1] *= shape[axis];
      continue;
    }
    if (count == loop.sizes.size()) {
      loop.sizes.push_back(0);
      for (Dims& strides : loop.strides) strides.push_back(0);
    }
    loop.sizes[count] = shape[axis];
    for (int k = 0; k < N; ++k) loop.strides[k][count] = step[k];
    ++count;
  }
  for (int i = 0, j = loop.sizes.size() - 1; i < j; ++i, --j) {
    std::swap(loop.sizes[i], loop.sizes[j]);
    for (Dims& strides : loop.strides) std::swap(strides[i], strides[j]);
  }
  return loop;
}

// Calls inner(pointers, byte strides, n) for each run along the last axis.
template <int N, class Inner>
void run_loop(const Loop<N>& loop, Inner&& inner) {
  const int last = loop.sizes.size() - 1;
  std::array<int64_t, N> step;
  for (int k = 0; k < N; ++k) step[k] = loop.strides[k][last];
  std::array<char*, N> at = loop.base;
  int64_t outer = 1;
  for (int axis = 0; axis < last; ++axis) outer *= loop.sizes[axis];
  if (outer == 0 || loop.sizes[last] == 0) return;
  Dims index;
  if (last > 0) index = Dims(last, 0);
  for (int64_t i = 0;;) {
    inner(at, step, loop.sizes[last]);
    if (++i == outer) return;
    for (int axis = last - 1; axis >= 0; --axis) {
      for (int k = 0; k < N; ++k) at[k] += loop.strides[k][axis];
      if (++index[axis] < loop.sizes[axis]) break;
      for (int k = 0; k < N; ++k) at[k] -= loop.strides[k][axis] * loop.sizes[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace sm::kernels
