#include "kernels/cpu/rows_simd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/vector_math-inl.hpp"
#include "kernels/cpu/vectors-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace sm::kernels::simd::HWY_NAMESPACE {

template <class T>
T maximum_of(const T* x, int64_t n) {
  const hn::ScalableTag<T> d;
  constexpr T kLeast = -std::numeric_limits<T>::infinity();
  auto best = hn::Set(d, kLeast);
  each_vector(d, n, [&](int64_t i, auto part) { best = hn::Max(best, load(d, x + i, part, kLeast)); });
  return hn::GetLane(hn::MaxOfLanes(d, best));
}

// Writes exp(x - peak) to `out` unless that is null, and returns the sum.
template <class T>
double exponentials(const T* x, T peak, T* out, int64_t n) {
  const hn::ScalableTag<T> d;
  const auto shift = hn::Set(d, peak);
  return summed(d, n, [&](int64_t i, auto part) {
    const auto e = exp(d, hn::Sub(load(d, x + i, part, -std::numeric_limits<T>::infinity()), shift));
    if (out) store(d, e, out + i, part);
    return e;
  });
}

template <class T>
void softmax(const T* x, T* out, int64_t rows, int64_t n) {
  const hn::ScalableTag<T> d;
  for (int64_t row = 0; row < rows; ++row, x += n, out += n) {
    const double total = exponentials(x, maximum_of(x, n), out, n);
    const auto scale = hn::Set(d, static_cast<T>(1 / total));
    each_vector(d, n, [&](int64_t i, auto part) { store(d, hn::Mul(load(d, out + i, part), scale), out + i, part); });
  }
}

template <class T>
void log_softmax(const T* x, T* out, int64_t rows, int64_t n) {
  const hn::ScalableTag<T> d;
  for (int64_t row = 0; row < rows; ++row, x += n, out += n) {
    const T peak = maximum_of(x, n);
    const auto shift = hn::Set(d, peak);
    const auto log = hn::Set(d, static_cast<T>(std::log(exponentials<T>(x, peak, nullptr, n))));
    each_vector(d, n, [&](int64_t i, auto part) {
      store(d, hn::Sub(hn::Sub(load(d, x + i, part), shift), log), out + i, part);
    });
  }
}

template <class T>
void softmax_gradient(const T* gradient, const T* out, T* into, int64_t rows, int64_t n) {
  const hn::ScalableTag<T> d;
  for (int64_t row = 0; row < rows; ++row, gradient += n, out += n, into += n) {
    const double dot = summed(
        d, n, [&](int64_t i, auto part) { return hn::Mul(load(d, gradient + i, part), load(d, out + i, part)); });
    const auto shared = hn::Set(d, static_cast<T>(dot));
    each_vector(d, n, [&](int64_t i, auto part) {
      store(d, hn::Mul(load(d, out + i, part), hn::Sub(load(d, gradient + i, part), shared)), into + i, part);
    });
  }
}

template <class T>
void log_softmax_gradient(const T* gradient, const T* out, T* into, int64_t rows, int64_t n) {
  const hn::ScalableTag<T> d;
  for (int64_t row = 0; row < rows; ++row, gradient += n, out += n, into += n) {
    const double total = summed(d, n, [&](int64_t i, auto part) { return load(d, gradient + i, part); });
    const auto shared = hn::Set(d, static_cast<T>(total));
    each_vector(d, n, [&](int64_t i, auto part) {
      const auto share = exp(d, load(d, out + i, part));
      store(d, hn::NegMulAdd(share, shared, load(d, gradient + i, part)), into + i, part);
    });
  }
}

template <class T>
RowStats<T> stats_of(const NormShape& shape, const T* x) {
  const hn::ScalableTag<T> d;
  const double count = static_cast<double>(shape.n);
  T mean{};
  if (shape.centre)
    mean = static_cast<T>(summed(d, shape.n, [&](int64_t i, auto part) { return load(d, x + i, part); }) / count);
  const auto centre = hn::Set(d, mean);
  const double squares = summed(d, shape.n, [&](int64_t i, auto part) {
    const auto off = hn::Sub(load(d, x + i, part, mean), centre);
    return hn::Mul(off, off);
  });
  return {mean, static_cast<T>(1 / std::sqrt(squares / count + shape.epsilon))};
}

template <class T>
void normalize(const NormShape& shape, const T* x, const T* weight, const T* bias, T* out, int64_t rows) {
  const hn::ScalableTag<T> d;
  for (int64_t row = 0; row < rows; ++row, x += shape.n, out += shape.n) {
    const RowStats<T> stats = stats_of(shape, x);
    const auto mean = hn::Set(d, stats.mean), scale = hn::Set(d, stats.scale);
    each_vector(d, shape.n, [&](int64_t i, auto part) {
      auto y = hn::Mul(hn::Sub(load(d, x + i, part), mean), scale);
      if (weight) y = hn::Mul(y, load(d, weight + i, part));
      if (bias) y = hn::Add(y, load(d, bias + i, part));
      store(d, y, out + i, part);
    });
  }
}

// With y = (x - mean) * scale and h = gradient * weight: scale * (h - mean(h) - y * mean(h * y)).
template <class T>
void input_gradient(const NormShape& shape, const RowStats<T>& stats, const T* gradient, const T* x, const T* weight,
                    T* into) {
  const hn::ScalableTag<T> d;
  const auto mean = hn::Set(d, stats.mean), scale = hn::Set(d, stats.scale);
  const auto standard = [&](int64_t i, auto part) {
    return hn::Mul(hn::Sub(load(d, x + i, part, stats.mean), mean), scale);
  };
  const auto weighted = [&](int64_t i, auto part) {
    const auto g = load(d, gradient + i, part);
    return weight ? hn::Mul(g, load(d, weight + i, part)) : g;
  };
  const double count = static_cast<double>(shape.n);
  double total = 0;
  if (shape.centre) total = summed(d, shape.n, weighted) / count;
  const double along =
      summed(d, shape.n, [&](int64_t i, auto part) { return hn::Mul(weighted(i, part), standard(i, part)); }) / count;
  const auto shared = hn::Set(d, static_cast<T>(total)), slope = hn::Set(d, static_cast<T>(along));
  each_vector(d, shape.n, [&](int64_t i, auto part) {
    const auto rest = hn::NegMulAdd(standard(i, part), slope, hn::Sub(weighted(i, part), shared));
    store(d, hn::Mul(rest, scale), into + i, part);
  });
}

template <class T>
void normalize_gradient(const NormShape& shape, const T* gradient, const T* x, const T* weight, T* into,
                        RowStats<T>* stats, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * shape.n;
    const RowStats<T> own = stats_of(shape, x + at);
    if (stats) stats[row] = own;
    if (into) input_gradient(shape, own, gradient + at, x + at, weight, into + at);
  }
}

// `columns` has at most kColumns vectors of them.
constexpr int64_t kColumns = 4;

template <class T>
void sum_column_block(const Columns& columns, const T* gradient, const T* x, const RowStats<T>* stats, T* out) {
  constexpr int64_t kBlock = 64;  // rows, so that sums in T stay exact enough
  const hn::ScalableTag<T> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = columns.end - columns.begin;
  HWY_ALIGN T block[kColumns * hn::MaxLanes(hn::ScalableTag<T>())];
  double totals[kColumns * hn::MaxLanes(hn::ScalableTag<T>())] = {};
  for (int64_t first = 0; first < columns.rows; first += kBlock) {
    const int64_t last = std::min(columns.rows, first + kBlock);
    for (int64_t j = 0; j < width; j += lanes) {
      auto sum = hn::Zero(d);
      const auto add = [&](auto part) {
        for (int64_t row = first; row < last; ++row) {
          const int64_t at = row * columns.n + columns.begin + j;
          auto value = load(d, gradient + at, part);
          if (x) {
            const auto off = hn::Sub(load(d, x + at, part), hn::Set(d, stats[row].mean));
            value = hn::Mul(value, hn::Mul(off, hn::Set(d, stats[row].scale)));
          }
          sum = hn::Add(sum, value);
        }
      };
      if (width - j >= lanes)
        add(Whole{});
      else
        add(Part{width - j});
      hn::Store(sum, d, block + j);
    }
    for (int64_t j = 0; j < width; ++j) totals[j] += static_cast<double>(block[j]);
  }
  for (int64_t j = 0; j < width; ++j) out[j] = static_cast<T>(totals[j]);
}

template <class T>
void sum_columns(const Columns& columns, const T* gradient, const T* x, const RowStats<T>* stats, T* out) {
  const int64_t step = kColumns * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  for (int64_t j = columns.begin; j < columns.end; j += step)
    sum_column_block({columns.rows, columns.n, j, std::min(columns.end, j + step)}, gradient, x, stats,
                     out + (j - columns.begin));
}

template <class T>
const RowKernels<T>* table() {
  static constexpr RowKernels<T> kTable{
      softmax<T>,   log_softmax<T>,        softmax_gradient<T>, log_softmax_gradient<T>,
      normalize<T>, normalize_gradient<T>, sum_columns<T>};
  return &kTable;
}

// HWY_EXPORT takes no templates.
const RowKernels<float>* table_f32() { return table<float>(); }
const RowKernels<double>* table_f64() { return table<double>(); }

}  // namespace sm::kernels::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sm::kernels::simd {

HWY_EXPORT(table_f32);
HWY_EXPORT(table_f64);

template <>
const RowKernels<float>& row_kernels() {
  static const RowKernels<float>& kernels = *HWY_DYNAMIC_DISPATCH(table_f32)();
  return kernels;
}

template <>
const RowKernels<double>& row_kernels() {
  static const RowKernels<double>& kernels = *HWY_DYNAMIC_DISPATCH(table_f64)();
  return kernels;
}

}  // namespace sm::kernels::simd
#endif
