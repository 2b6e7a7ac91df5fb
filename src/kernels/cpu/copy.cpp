#include "kernels/copy.hpp"

#include <cstring>

#include "kernels/loop.hpp"
#include "kernels/types.hpp"

namespace sm {
namespace kernels {
namespace {

template <class From, class To>
void convert_run(const char* from, int64_t from_step, char* to, int64_t to_step, int64_t n) {
  if (from_step == sizeof(From) && to_step == sizeof(To)) {
    const From* source = reinterpret_cast<const From*>(from);
    To* target = reinterpret_cast<To*>(to);
    for (int64_t i = 0; i < n; ++i) target[i] = convert<To>(source[i]);
    return;
  }
  for (int64_t i = 0; i < n; ++i, from += from_step, to += to_step)
    *reinterpret_cast<To*>(to) = convert<To>(*reinterpret_cast<const From*>(from));
}

template <int Size>
void move_run(const char* from, int64_t from_step, char* to, int64_t to_step, int64_t n) {
  for (int64_t i = 0; i < n; ++i, from += from_step, to += to_step) std::memcpy(to, from, Size);
}

void copy_same(const Loop<2>& loop, int64_t size) {
  run_loop(loop, [size](const auto& at, const auto& step, int64_t n) {
    if (step[0] == size && step[1] == size) {
      std::memcpy(at[1], at[0], static_cast<size_t>(n * size));
      return;
    }
    switch (size) {
      case 1:
        return move_run<1>(at[0], step[0], at[1], step[1], n);
      case 2:
        return move_run<2>(at[0], step[0], at[1], step[1], n);
      case 4:
        return move_run<4>(at[0], step[0], at[1], step[1], n);
      default:
        return move_run<8>(at[0], step[0], at[1], step[1], n);
    }
  });
}

}  // namespace

void copy(const Tensor& from, const Tensor& to) {
  if (to.elements() == 0) return;
  const Loop<2> loop = make_loop<2>({operand(from), operand(to)}, to.shape());
  if (from.dtype() == to.dtype()) return copy_same(loop, static_cast<int64_t>(size_of(to.dtype())));
  with_type(from.dtype(), [&](auto source) {
    using From = typename decltype(source)::type;
    with_type(to.dtype(), [&](auto target) {
      using To = typename decltype(target)::type;
      run_loop(loop, [](const auto& at, const auto& step, int64_t n) {
        convert_run<From, To>(at[0], step[0], at[1], step[1], n);
      });
    });
  });
}

Tensor contiguous(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  Tensor out = make_tensor(tensor.shape(), tensor.dtype());
  copy(tensor, out);
  return out;
}

Tensor cast(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  Tensor out = make_tensor(tensor.shape(), dtype);
  copy(tensor, out);
  return out;
}

}  // namespace kernels

Tensor Tensor::copy() const {
  Tensor out = make_tensor(shape(), dtype());
  kernels::copy(*this, out);
  return out;
}

namespace detail {

Tensor cast(const Tensor& tensor, DType dtype) { return kernels::cast(tensor, dtype); }

void to_bytes(const Tensor& tensor, DType dtype, void* out) {
  if (tensor.elements() == 0) return;
  const Tensor target =
      make_from_buffer(util::Buffer::wrap(out, static_cast<size_t>(tensor.elements()) * size_of(dtype), nullptr, true),
                       0, tensor.shape(), dtype);
  kernels::copy(tensor, target);
}

}  // namespace detail
}  // namespace sm
