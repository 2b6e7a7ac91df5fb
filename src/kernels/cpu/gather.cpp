#include "kernels/gather.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

constexpr int64_t kGrainBytes = 1 << 16;
constexpr int64_t kGrainElements = 1 << 15;

// Integers wrap around; booleans are joined by or.
template <class T>
T plus(T a, T b) {
  if constexpr (std::is_same_v<T, bool>)
    return a || b;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}

// Copies rows [begin, end) of the result, each of `bytes` bytes; Fixed is `bytes` where that is known early.
template <int Fixed>
void take_rows(const std::byte* x, const Along& view, std::span<const int64_t> indices, int64_t bytes, std::byte* out,
               int64_t begin, int64_t end) {
  const int64_t count = static_cast<int64_t>(indices.size());
  const size_t size = Fixed ? Fixed : static_cast<size_t>(bytes);
  int64_t k = begin % count;
  const std::byte* base = x + begin / count * view.size * bytes;
  out += begin * bytes;
  for (int64_t row = begin; row < end; ++row, out += size) {
    std::memcpy(out, base + indices[static_cast<size_t>(k)] * static_cast<int64_t>(size), size);
    if (++k < count) continue;
    k = 0;
    base += view.size * bytes;
  }
}

// Calls visit(first, offset, n) for each row of `shape` among [begin, end): the row's first element, its offset without
// the indexed axis in a tensor of `strides`, and its length.
template <class Visit>
void for_rows(const Shape& shape, Dims strides, int axis, int64_t begin, int64_t end, const Visit& visit) {
  if (!strides.empty()) strides[axis] = 0;
  const int last = shape.size() - 1;
  const int64_t n = last < 0 ? 1 : shape[last];
  for (int64_t row = begin; row < end; ++row) {
    int64_t rest = row, offset = 0;
    for (int i = last - 1; i >= 0; --i) {
      offset += rest % shape[i] * strides[i];
      rest /= shape[i];
    }
    visit(row * n, offset, n);
  }
}

int64_t rows_of(const Shape& shape) { return shape.empty() ? 1 : elements_of(shape) / shape.back(); }

// Calls visit(position in `indices`, offset in `tensor`) for all, in order, in ranges that run in parallel or all at
// once.
template <bool Parallel, class Visit>
void for_picked(const Tensor& tensor, int axis, const Shape& shape, std::span<const int64_t> indices,
                const Visit& visit) {
  if (indices.empty()) return;
  const Dims& strides = tensor.strides();
  const int64_t along = strides.empty() ? 0 : strides[axis];
  const int64_t step = strides.empty() || axis == shape.size() - 1 ? 0 : strides.back();
  const auto range = [&](int64_t begin, int64_t end) {
    for_rows(shape, strides, axis, begin, end, [&](int64_t first, int64_t offset, int64_t n) {
      const int64_t* index = indices.data() + first;
      for (int64_t i = 0; i < n; ++i) visit(first + i, offset + i * step + index[i] * along);
    });
  };
  const int64_t rows = rows_of(shape);
  if constexpr (Parallel)
    parallel_for(rows, kGrainElements * rows / static_cast<int64_t>(indices.size()), range);
  else
    range(0, rows);
}

}  // namespace

Along along(const Shape& shape, int axis) {
  Along view;
  for (int i = 0; i < shape.size(); ++i) (i < axis ? view.outer : i > axis ? view.inner : view.size) *= shape[i];
  return view;
}

void take(const Tensor& x, const Along& view, std::span<const int64_t> indices, const Tensor& out) {
  if (out.elements() == 0) return;
  const int64_t bytes = view.inner * static_cast<int64_t>(size_of(x.dtype()));
  const int64_t rows = view.outer * static_cast<int64_t>(indices.size());
  const auto run = bytes == 1   ? take_rows<1>
                   : bytes == 2 ? take_rows<2>
                   : bytes == 4 ? take_rows<4>
                   : bytes == 8 ? take_rows<8>
                                : take_rows<0>;
  parallel_for(rows, kGrainBytes / std::max<int64_t>(bytes, 8), [&](int64_t begin, int64_t end) {
    run(x.impl()->bytes(), view, indices, bytes, out.impl()->bytes(), begin, end);
  });
}

// Each range is a block of columns of its own, so that no two threads add to one element.
void add_taken(const Tensor& values, const Along& view, std::span<const int64_t> indices, const Tensor& out) {
  if (values.elements() == 0) return;
  constexpr int64_t kColumns = 256;
  const int64_t count = static_cast<int64_t>(indices.size()), blocks = (view.inner + kColumns - 1) / kColumns;
  const int64_t work = count * std::min(view.inner, kColumns);
  with_type(values.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    using C = Compute<T>;
    const T* from = values.impl()->as<T>();
    C* to = out.impl()->as<C>();
    parallel_for(view.outer * blocks, kGrainElements / work, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t outer = unit / blocks, first = unit % blocks * kColumns;
        const int64_t n = std::min(kColumns, view.inner - first);
        for (int64_t k = 0; k < count; ++k) {
          const T* row = from + (outer * count + k) * view.inner + first;
          C* sums = to + (outer * view.size + indices[static_cast<size_t>(k)]) * view.inner + first;
          for (int64_t i = 0; i < n; ++i) sums[i] = plus(sums[i], convert<C>(row[i]));
        }
      }
    });
  });
}

void gather(const Tensor& x, int axis, const Shape& shape, std::span<const int64_t> indices, const Tensor& out) {
  with_size(x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T* from = x.impl()->as<T>();
    T* to = out.impl()->as<T>();
    for_picked<true>(x, axis, shape, indices, [=](int64_t i, int64_t offset) { to[i] = from[offset]; });
  });
}

void scatter(const Tensor& values, int axis, const Shape& shape, std::span<const int64_t> indices, const Tensor& out) {
  with_size(values.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T* from = values.impl()->as<T>();
    T* to = out.impl()->as<T>();
    for_picked<false>(out, axis, shape, indices, [=](int64_t i, int64_t offset) { to[offset] = from[i]; });
  });
}

void scatter_add(const Tensor& values, int axis, const Shape& shape, std::span<const int64_t> indices,
                 const Tensor& out) {
  with_type(values.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    using C = Compute<T>;
    const T* from = values.impl()->as<T>();
    C* to = out.impl()->as<C>();
    for_picked<false>(out, axis, shape, indices,
                      [=](int64_t i, int64_t offset) { to[offset] = plus(to[offset], convert<C>(from[i])); });
  });
}

}  // namespace sm::kernels
