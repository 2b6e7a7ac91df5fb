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

// The last operand is of `shape`. N is 2, 3 or 4.
template <int N>
Loop<N> make_loop(const std::array<Operand, N>& operands, const Shape& shape);

namespace detail {
template <int N>
using RunFunction = void (*)(const void* function, const std::array<char*, N>& at, const std::array<int64_t, N>& step,
                             int64_t n);
template <int N>
void run_loop(const Loop<N>& loop, RunFunction<N> call, const void* function);
}  // namespace detail

// Calls inner(pointers, byte strides, n) for each run along the last axis.
template <int N, class Inner>
void run_loop(const Loop<N>& loop, const Inner& inner) {
  detail::run_loop<N>(
      loop,
      [](const void* function, const std::array<char*, N>& at, const std::array<int64_t, N>& step, int64_t n) {
        (*static_cast<const Inner*>(function))(at, step, n);
      },
      &inner);
}

// Goes through all positions of all axes but the last. The lists must outlive it.
class Positions {
 public:
  Positions(const char* base, const Dims& sizes, const Dims& strides);
  const char* at() const { return at_; }  // null at the end
  void advance() {
    if (index_.empty())
      at_ = nullptr;
    else
      step();
  }

 private:
  void step();

  const char* at_;
  const Dims &sizes_, &strides_;
  Dims index_;
};

}  // namespace sm::kernels
