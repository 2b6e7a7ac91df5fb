#include "kernels/rows.hpp"

#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/copy.hpp"
#include "kernels/cpu/rows_simd.hpp"
#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

template <class F>
void with_row_type(DType dtype, F&& f) {
  assert(has_row_kernels(dtype));
  if (dtype == DType::f64) return f(Type<double>{});
  f(Type<float>{});
}

template <class T>
T* data_of(const Tensor& tensor) {
  return tensor.defined() ? tensor.impl()->as<T>() : nullptr;
}

// Calls f(first row, count) for all rows of `size` elements, on several threads where that pays.
template <class F>
void each_rows(int64_t rows, int64_t size, const F& f) {
  constexpr int64_t kGrain = 1 << 14;  // elements: some 5 microseconds
  parallel_for(rows, kGrain / std::max<int64_t>(size, 1), [&](int64_t begin, int64_t end) { f(begin, end - begin); });
}

// out = kernel(operands) over rows along the last axis. `member` is the kernel's, generic over the type.
template <class Member, class... Operands>
Tensor by_rows(const Member& member, const Operands&... operands) {
  const Tensor& first = std::get<0>(std::tie(operands...));
  Tensor out = make_tensor(first.shape(), first.dtype());
  if (out.elements() == 0) return out;
  const int64_t size = first.ndim() == 0 ? 1 : first.size(-1);
  with_row_type(first.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const auto run = [&](T* into, const auto*... from) {
      each_rows(out.elements() / size, size, [&](int64_t row, int64_t count) {
        member(type)((from + row * size)..., into + row * size, count, size);
      });
    };
    // Elements that are still to be computed are computed here, not in the threads.
    run(out.impl()->as<T>(), operands.impl()->template as<T>()...);
  });
  return out;
}

template <class T>
void sum_columns(const simd::Columns& all, const T* gradient, const T* x, const simd::RowStats<T>* stats, T* out) {
  constexpr int64_t kGrain = 1 << 14, kLine = 64;  // elements of all rows; of columns, so that threads share no line
  const int64_t blocks = (all.n + kLine - 1) / kLine;
  parallel_for(blocks, kGrain / (kLine * std::max<int64_t>(all.rows, 1)), [&](int64_t begin, int64_t end) {
    const int64_t from = begin * kLine, to = std::min(all.n, end * kLine);
    simd::row_kernels<T>().sum_columns({all.rows, all.n, from, to}, gradient, x, stats, out + from);
  });
}

}  // namespace

Tensor softmax_rows(const Tensor& x) {
  return by_rows([](auto type) { return simd::row_kernels<typename decltype(type)::type>().softmax; }, contiguous(x));
}

Tensor log_softmax_rows(const Tensor& x) {
  return by_rows([](auto type) { return simd::row_kernels<typename decltype(type)::type>().log_softmax; },
                 contiguous(x));
}

Tensor softmax_rows_gradient(const Tensor& gradient, const Tensor& out) {
  return by_rows([](auto type) { return simd::row_kernels<typename decltype(type)::type>().softmax_gradient; },
                 contiguous(gradient), contiguous(out));
}

Tensor log_softmax_rows_gradient(const Tensor& gradient, const Tensor& out) {
  return by_rows([](auto type) { return simd::row_kernels<typename decltype(type)::type>().log_softmax_gradient; },
                 contiguous(gradient), contiguous(out));
}

Tensor normalized_rows(const RowNorm& norm, const Tensor& given, const Tensor& weight, const Tensor& bias) {
  const Tensor x = contiguous(given), w = weight.defined() ? contiguous(weight) : weight,
               b = bias.defined() ? contiguous(bias) : bias;
  Tensor out = make_tensor(x.shape(), x.dtype());
  if (out.elements() == 0) return out;
  with_row_type(x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T *from = data_of<T>(x), *scale = data_of<T>(w), *shift = data_of<T>(b);
    T* to = data_of<T>(out);
    each_rows(x.elements() / norm.size, norm.size, [&](int64_t row, int64_t count) {
      const int64_t at = row * norm.size;
      simd::row_kernels<T>().normalize({norm.size, norm.epsilon, norm.centre}, from + at, scale, shift, to + at, count);
    });
  });
  return out;
}

RowNormGradients normalized_rows_gradients(const RowNorm& norm, const Tensor& gradient, const Tensor& given,
                                           const Tensor& weight, bool wants_x, bool wants_weight, bool wants_bias) {
  const Tensor g = contiguous(gradient), x = contiguous(given), w = weight.defined() ? contiguous(weight) : weight;
  RowNormGradients out;
  if (wants_x) out.x = make_tensor(x.shape(), x.dtype());
  if (wants_weight) out.weight = make_tensor(Shape(norm.size), x.dtype());
  if (wants_bias) out.bias = make_tensor(Shape(norm.size), x.dtype());
  const int64_t rows = norm.size == 0 ? 0 : x.elements() / norm.size;
  with_row_type(x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T *slope = data_of<T>(g), *from = data_of<T>(x), *scale = data_of<T>(w);
    T* to = data_of<T>(out.x);
    std::vector<simd::RowStats<T>> stats(wants_weight ? static_cast<size_t>(rows) : 0);
    if (wants_x || wants_weight)
      each_rows(rows, norm.size, [&](int64_t row, int64_t count) {
        const int64_t at = row * norm.size;
        simd::row_kernels<T>().normalize_gradient({norm.size, norm.epsilon, norm.centre}, slope + at, from + at, scale,
                                                  to ? to + at : nullptr, wants_weight ? stats.data() + row : nullptr,
                                                  count);
      });
    const simd::Columns all{rows, norm.size, 0, norm.size};
    if (wants_weight) sum_columns<T>(all, slope, from, stats.data(), out.weight.impl()->as<T>());
    if (wants_bias) sum_columns<T>(all, slope, nullptr, nullptr, out.bias.impl()->as<T>());
  });
  return out;
}

void sum_of_rows(DType dtype, const void* x, int64_t rows, int64_t columns, void* out) {
  with_row_type(dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    sum_columns<T>({rows, columns, 0, columns}, static_cast<const T*>(x), nullptr, nullptr, static_cast<T*>(out));
  });
}

}  // namespace sm::kernels
