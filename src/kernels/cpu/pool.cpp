#include <algorithm>
#include <cassert>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/conv.hpp"
#include "kernels/copy.hpp"
#include "kernels/cpu/pool_simd.hpp"
#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

// The outputs along W whose tap at one place of the kernel falls inside the
// row: [begin, end), and the place in the row of the first one's.
struct Taps {
  int64_t begin, end, first;
};

// `planes` planes of height x width, each pooled to `out`.
struct PoolSizes {
  Shape result;
  int64_t planes, height, width;
  Pair out, kernel, stride, padding;
  std::vector<Taps> taps;  // one for each place along the kernel's width

  int64_t input_elements() const { return height * width; }    // of a plane
  int64_t output_elements() const { return out[0] * out[1]; }  // of a plane
};

Taps make_taps(const PoolSizes& s, int64_t kw) {
  const int64_t shift = kw - s.padding[1];
  const int64_t begin = shift < 0 ? (-shift + s.stride[1] - 1) / s.stride[1] : 0;
  const int64_t room = s.width - 1 - shift;
  const int64_t end = room < 0 ? 0 : std::min(s.out[1], room / s.stride[1] + 1);
  return {begin, std::max(begin, end), begin * s.stride[1] + shift};
}

PoolSizes check_sizes(const char* op, const Shape& input, const PoolParameters& p) {
  for (int i = 0; i < 2; ++i)
    if (p.kernel[i] < 1 || p.stride[i] < 1 || p.padding[i] < 0 || p.padding[i] > p.kernel[i] / 2)
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(op) +
                      ": kernel and stride must be 1 or more and padding at most half of the kernel, got kernel " +
                      Dims(p.kernel).to_string() + ", stride " + Dims(p.stride).to_string() + ", padding " +
                      Dims(p.padding).to_string());
  if (input.size() != 4)
    throw Error(ErrorCode::kShapeMismatch,
                std::string(op) + ": expects an input [N, C, H, W], got " + input.to_string());
  PoolSizes s{{}, input[0] * input[1], input[2], input[3], {}, p.kernel, p.stride, p.padding, {}};
  for (int i = 0; i < 2; ++i) {
    const int64_t room = input[2 + i] + 2 * p.padding[i] - p.kernel[i];
    if (room < 0 || input[2 + i] == 0)
      throw Error(ErrorCode::kShapeMismatch, std::string(op) + ": kernel " + Dims(p.kernel).to_string() +
                                                 " doesn't fit into " + input.to_string() + " with padding " +
                                                 Dims(p.padding).to_string());
    // A longer stride than there is room for is the same as that one.
    s.stride[i] = std::min(s.stride[i], room + 1);
    s.out[i] = room / s.stride[i] + 1;
  }
  if (s.input_elements() > std::numeric_limits<int32_t>::max())
    throw Error(ErrorCode::kTooLarge,
                std::string(op) + ": a plane of more than 2^31 elements, got " + input.to_string());
  s.result = {input[0], input[1], s.out[0], s.out[1]};
  for (int64_t kw = 0; kw < p.kernel[1]; ++kw) s.taps.push_back(make_taps(s, kw));
  return s;
}

void check_same(const char* op, const char* what, const Shape& got, const Shape& expected) {
  if (got != expected)
    throw Error(ErrorCode::kShapeMismatch, std::string(op) + ": expects " + what + " of shape " + expected.to_string() +
                                               ", got " + got.to_string());
}

// Calls visit(row of the input, taps) for every tap of the windows of output row `oh`, in reading order.
template <class Visit>
void for_each_tap(const PoolSizes& s, int64_t oh, Visit&& visit) {
  for (int64_t kh = 0; kh < s.kernel[0]; ++kh) {
    const int64_t h = oh * s.stride[0] + kh - s.padding[0];
    if (h < 0 || h >= s.height) continue;
    for (const Taps& taps : s.taps) visit(h, taps);
  }
}

// Calls visit(plane) for all planes, on several threads where that pays.
template <class Visit>
void for_each_plane(const PoolSizes& s, Visit&& visit) {
  constexpr int64_t kGrain = 1 << 15;  // taps that are worth waking a thread for
  const int64_t work = std::max<int64_t>(1, s.output_elements() * s.kernel[0] * s.kernel[1]);
  parallel_for(s.planes, kGrain / work, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) visit(plane);
  });
}

// Calls f with the stride along W: as a constant where it is a usual one, so that the loops over rows vectorise.
template <class F>
void with_stride(const PoolSizes& s, F&& f) {
  if (s.stride[1] == 1)
    f(std::integral_constant<int64_t, 1>{});
  else if (s.stride[1] == 2)
    f(std::integral_constant<int64_t, 2>{});
  else
    f(s.stride[1]);
}

template <class T, class Stride>
void average_row(const PoolSizes& s, const T* in, int64_t oh, Stride stride, T* __restrict out) {
  const T scale = T{1} / static_cast<T>(s.kernel[0] * s.kernel[1]);
  std::fill_n(out, s.out[1], T{});
  for_each_tap(s, oh, [&](int64_t h, const Taps& t) {
    const T* from = in + h * s.width + t.first;
    for (int64_t i = 0; i < t.end - t.begin; ++i) out[t.begin + i] += from[i * stride];
  });
  for (int64_t ow = 0; ow < s.out[1]; ++ow) out[ow] *= scale;
}

template <class T>
void average(const PoolSizes& s, const T* x, T* y) {
  with_stride(s, [&](auto stride) {
    for_each_plane(s, [&](int64_t plane) {
      for (int64_t oh = 0; oh < s.out[0]; ++oh)
        average_row(s, x + plane * s.input_elements(), oh, stride, y + plane * s.output_elements() + oh * s.out[1]);
    });
  });
}

template <class T>
void average_gradient(const PoolSizes& s, const T* gradient, T* x) {
  const T scale = T{1} / static_cast<T>(s.kernel[0] * s.kernel[1]);
  for_each_plane(s, [&](int64_t plane) {
    T* in = x + plane * s.input_elements();
    std::fill_n(in, s.input_elements(), T{});
    for (int64_t oh = 0; oh < s.out[0]; ++oh) {
      const T* out = gradient + plane * s.output_elements() + oh * s.out[1];
      for_each_tap(s, oh, [&](int64_t h, const Taps& t) {
        T* to = in + h * s.width + t.first;
        for (int64_t ow = t.begin; ow < t.end; ++ow, to += s.stride[1]) *to += out[ow] * scale;
      });
    }
  });
}

// Whether `value` takes the place of the largest so far: larger, or the first NaN.
template <class T>
bool wins(T value, T best) {
  return !(value <= best) & (best == best);
}

template <class T, class Stride>
void maximum_row(const PoolSizes& s, const T* in, int64_t oh, Stride stride, T* __restrict out) {
  std::fill_n(out, s.out[1], -std::numeric_limits<T>::infinity());
  for_each_tap(s, oh, [&](int64_t h, const Taps& t) {
    const T* from = in + h * s.width + t.first;
    for (int64_t i = 0; i < t.end - t.begin; ++i) {
      const T value = from[i * stride], best = out[t.begin + i];
      out[t.begin + i] = wins(value, best) ? value : best;
    }
  });
}

// Windows of 2x2 side by side, which have kernels of their own.
bool halves(const PoolSizes& s) {
  constexpr Pair kTwo{2, 2}, kNone{0, 0};
  return s.kernel == kTwo && s.stride == kTwo && s.padding == kNone;
}

template <class T>
void maximum(const PoolSizes& s, const T* x, T* y) {
  if (halves(s))
    return for_each_plane(s, [&](int64_t plane) {
      max_of_windows({s.height, s.width}, x + plane * s.input_elements(), y + plane * s.output_elements());
    });
  with_stride(s, [&](auto stride) {
    for_each_plane(s, [&](int64_t plane) {
      for (int64_t oh = 0; oh < s.out[0]; ++oh)
        maximum_row(s, x + plane * s.input_elements(), oh, stride, y + plane * s.output_elements() + oh * s.out[1]);
    });
  });
}

// An integer as wide as T, so that one mask selects both.
template <class T>
using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The places in the plane of the first maxima of the windows of output row `oh`.
template <class T, class Stride>
void find_maxima(const PoolSizes& s, const T* in, int64_t oh, Stride stride, T* __restrict best,
                 Place<T>* __restrict place) {
  const int64_t top = std::max<int64_t>(0, oh * s.stride[0] - s.padding[0]);
  for (int64_t ow = 0; ow < s.out[1]; ++ow) {
    // Where all are minus infinity the first one counts.
    place[ow] = static_cast<Place<T>>(top * s.width + std::max<int64_t>(0, ow * s.stride[1] - s.padding[1]));
    best[ow] = -std::numeric_limits<T>::infinity();
  }
  for_each_tap(s, oh, [&](int64_t h, const Taps& t) {
    const auto start = static_cast<Place<T>>(h * s.width + t.first);
    const auto step = static_cast<Place<T>>(stride);
    const T* from = in + start;
    for (Place<T> i = 0; i < static_cast<Place<T>>(t.end - t.begin); ++i) {
      const T value = from[i * step], before = best[t.begin + i];
      const bool better = wins(value, before);
      best[t.begin + i] = better ? value : before;
      place[t.begin + i] = better ? start + i * step : place[t.begin + i];
    }
  });
}

// A row of maxima and where they are; of this thread, which keeps the memory.
template <class T>
struct Maxima {
  std::vector<T> best;
  std::vector<Place<T>> place;
};
template <class T>
Maxima<T>& maxima_of_thread() {
  thread_local Maxima<T> maxima;
  return maxima;
}

// Calls visit(index in the output, index of the window's first maximum in the input).
template <class T, class Visit>
void for_each_maximum(const PoolSizes& s, const T* x, Visit&& visit) {
  with_stride(s, [&](auto stride) {
    for_each_plane(s, [&](int64_t plane) {
      auto& [best, place] = maxima_of_thread<T>();
      best.resize(static_cast<size_t>(s.out[1]));
      place.resize(static_cast<size_t>(s.out[1]));
      const int64_t offset = plane * s.input_elements();
      for (int64_t oh = 0; oh < s.out[0]; ++oh) {
        find_maxima(s, x + offset, oh, stride, best.data(), place.data());
        const int64_t row = plane * s.output_elements() + oh * s.out[1];
        for (int64_t ow = 0; ow < s.out[1]; ++ow) visit(row + ow, offset + place[static_cast<size_t>(ow)]);
      }
    });
  });
}

// Calls f(Type<T>{}) for the dtypes that are computed in: float32 and float64.
template <class F>
void with_wide(DType dtype, F&& f) {
  if (dtype == DType::f64) return f(Type<double>{});
  assert(dtype == DType::f32);
  f(Type<float>{});
}

// The dtype that a pool of `x` is computed in.
DType wide(const Tensor& x) { return x.dtype() == DType::f64 ? DType::f64 : DType::f32; }

Tensor prepare(const Tensor& x) { return contiguous(cast(x, wide(x))); }

}  // namespace

Tensor avg_pool2d(const char* op, const Tensor& x, const PoolParameters& parameters) {
  const PoolSizes sizes = check_sizes(op, x.shape(), parameters);
  const Tensor in = prepare(x), out = make_tensor(sizes.result, in.dtype());
  with_wide(in.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    average(sizes, in.impl()->as<T>(), out.impl()->as<T>());
  });
  return cast(out, x.dtype());
}

Tensor avg_pool2d_gradient(const char* op, const Tensor& gradient, const Shape& input,
                           const PoolParameters& parameters) {
  const PoolSizes sizes = check_sizes(op, input, parameters);
  check_same(op, "a gradient", gradient.shape(), sizes.result);
  const Tensor from = prepare(gradient), out = make_tensor(input, from.dtype());
  with_wide(from.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    average_gradient(sizes, from.impl()->as<T>(), out.impl()->as<T>());
  });
  return cast(out, gradient.dtype());
}

Tensor max_pool2d(const char* op, const Tensor& x, const PoolParameters& parameters) {
  const PoolSizes sizes = check_sizes(op, x.shape(), parameters);
  const Tensor in = prepare(x), out = make_tensor(sizes.result, in.dtype());
  with_wide(in.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    maximum(sizes, in.impl()->as<T>(), out.impl()->as<T>());
  });
  return cast(out, x.dtype());
}

Tensor max_pool2d_gradient(const char* op, const Tensor& gradient, const Tensor& x, const PoolParameters& parameters) {
  const PoolSizes sizes = check_sizes(op, x.shape(), parameters);
  check_same(op, "a gradient", gradient.shape(), sizes.result);
  const Tensor in = prepare(x), from = prepare(gradient), out = make_tensor(x.shape(), in.dtype());
  with_wide(in.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T* source = from.impl()->as<T>();
    T* to = out.impl()->as<T>();
    if (halves(sizes)) {
      const T* x_data = in.impl()->as<T>();
      return for_each_plane(sizes, [&](int64_t plane) {
        const int64_t input = plane * sizes.input_elements();
        spread_to_maxima({sizes.height, sizes.width}, x_data + input, source + plane * sizes.output_elements(),
                         to + input);
      });
    }
    std::fill_n(to, out.elements(), T{});
    for_each_maximum(sizes, in.impl()->as<T>(), [=](int64_t i, int64_t place) { to[place] += source[i]; });
  });
  return cast(out, gradient.dtype());
}

Tensor max_pool2d_gather(const char* op, const Tensor& values, const Tensor& x, const PoolParameters& parameters) {
  const PoolSizes sizes = check_sizes(op, x.shape(), parameters);
  check_same(op, "values", values.shape(), x.shape());
  const Tensor in = prepare(x), from = prepare(values), out = make_tensor(sizes.result, in.dtype());
  with_wide(in.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    const T* source = from.impl()->as<T>();
    T* to = out.impl()->as<T>();
    for_each_maximum(sizes, in.impl()->as<T>(), [=](int64_t i, int64_t place) { to[i] = source[place]; });
  });
  return cast(out, values.dtype());
}

}  // namespace sm::kernels
