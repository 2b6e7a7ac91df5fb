#include "kernels/scan.hpp"

#include <algorithm>

#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

constexpr int64_t kColumns = 64;
constexpr int64_t kGrainElements = 1 << 15;

template <class T, class Acc>
void scan_lane(const T* x, T* out, int64_t size, int64_t step) {
  Acc sum{};
  for (int64_t s = 0; s < size; ++s, x += step, out += step) {
    sum += convert<Acc>(*x);
    *out = convert<T>(sum);
  }
}

// Some neighbouring lanes together, row by row.
template <class T, class Acc>
void scan_columns(const T* x, T* out, int64_t size, int64_t step, int64_t columns) {
  Acc sums[kColumns] = {};
  for (int64_t s = 0; s < size; ++s, x += step, out += step)
    for (int64_t c = 0; c < columns; ++c) {
      sums[c] += convert<Acc>(x[c]);
      out[c] = convert<T>(sums[c]);
    }
}

}  // namespace

void cumsum(const Tensor& x, const Along& view, bool reverse, const Tensor& out) {
  if (out.elements() == 0) return;
  with_type(x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    using Acc = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
    const int64_t blocks = (view.inner + kColumns - 1) / kColumns;
    const int64_t work = view.size * std::min(view.inner, kColumns);
    const int64_t first = reverse ? (view.size - 1) * view.inner : 0, step = reverse ? -view.inner : view.inner;
    parallel_for(view.outer * blocks, kGrainElements / work, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t column = unit % blocks * kColumns;
        const int64_t at = unit / blocks * view.size * view.inner + first + column;
        const int64_t columns = std::min(kColumns, view.inner - column);
        const T* from = x.impl()->as<T>() + at;
        T* to = out.impl()->as<T>() + at;
        if (columns == 1)
          scan_lane<T, Acc>(from, to, view.size, step);
        else
          scan_columns<T, Acc>(from, to, view.size, step, columns);
      }
    });
  });
}

}  // namespace sm::kernels
