#include "kernels/loop.hpp"

#include <utility>

namespace sm::kernels {
namespace {

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

}  // namespace

template <int N>
Loop<N> make_loop(const std::array<Operand, N>& operands, const Shape& shape) {
  Loop<N> loop{{}, {}, {}};
  if (make_one_axis<N>(operands, shape, loop)) return loop;
  loop.sizes = Dims(1, 1);
  for (int k = 0; k < N; ++k) {
    loop.base[k] = operands[k].base;
    loop.strides[k] = Dims(1, operands[k].size);
  }
  // Innermost first; the lists are reversed below.
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

template <int N>
void detail::run_loop(const Loop<N>& loop, RunFunction<N> call, const void* function) {
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
    call(function, at, step, loop.sizes[last]);
    if (++i == outer) return;
    for (int axis = last - 1; axis >= 0; --axis) {
      for (int k = 0; k < N; ++k) at[k] += loop.strides[k][axis];
      if (++index[axis] < loop.sizes[axis]) break;
      for (int k = 0; k < N; ++k) at[k] -= loop.strides[k][axis] * loop.sizes[axis];
      index[axis] = 0;
    }
  }
}

template Loop<2> make_loop<2>(const std::array<Operand, 2>&, const Shape&);
template void detail::run_loop<2>(const Loop<2>&, RunFunction<2>, const void*);
template Loop<3> make_loop<3>(const std::array<Operand, 3>&, const Shape&);
template void detail::run_loop<3>(const Loop<3>&, RunFunction<3>, const void*);
template Loop<4> make_loop<4>(const std::array<Operand, 4>&, const Shape&);
template void detail::run_loop<4>(const Loop<4>&, RunFunction<4>, const void*);

Positions::Positions(const char* base, const Dims& sizes, const Dims& strides)
    : at_(base), sizes_(sizes), strides_(strides) {
  for (int64_t size : sizes)
    if (size == 0) at_ = nullptr;
  if (sizes.size() > 1) index_ = Dims(sizes.size() - 1, 0);
}

void Positions::step() {
  for (int axis = index_.size() - 1; axis >= 0; --axis) {
    at_ += strides_[axis];
    if (++index_[axis] < sizes_[axis]) return;
    at_ -= strides_[axis] * sizes_[axis];
    index_[axis] = 0;
  }
  at_ = nullptr;
}

}  // namespace sm::kernels
