#include "kernels/reduce.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/loop.hpp"
#include "kernels/parallel.hpp"
#include "kernels/rows.hpp"
#include "kernels/types.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

// x's axes, split into those that remain and those that are summed over; strides in bytes.
struct Split {
  Dims kept_sizes, kept_strides;
  Dims reduced_sizes, reduced_strides;
};

void append(Dims& sizes, Dims& strides, int64_t size, int64_t stride) {
  if (size == 1) return;
  const int last = sizes.size() - 1;
  if (last >= 0 && strides[last] == stride * size) {
    sizes[last] *= size;
    strides[last] = stride;
    return;
  }
  sizes.push_back(size);
  strides.push_back(stride);
}

Split split_axes(const Tensor& x, const Dims& axes) {
  Split split;
  const int64_t size = static_cast<int64_t>(size_of(x.dtype()));
  for (int axis = 0; axis < x.ndim(); ++axis) {
    const int64_t stride = x.strides()[axis] * size;
    if (axes.contains(axis))
      append(split.reduced_sizes, split.reduced_strides, x.shape()[axis], stride);
    else
      append(split.kept_sizes, split.kept_strides, x.shape()[axis], stride);
  }
  for (auto [sizes, strides] :
       {std::pair{&split.kept_sizes, &split.kept_strides}, std::pair{&split.reduced_sizes, &split.reduced_strides}})
    if (sizes->empty()) {
      sizes->push_back(1);
      strides->push_back(0);
    }
  return split;
}

template <class T>
struct Sum {
  using C = Compute<T>;
  using Acc = std::conditional_t<std::is_floating_point_v<C>, double,
                                 std::conditional_t<std::is_signed_v<C>, int64_t, uint64_t>>;
  static Acc start() { return 0; }
  static void add(Acc& acc, T value) {
    if constexpr (std::is_same_v<Acc, double>)
      acc += static_cast<double>(convert<C>(value));
    else
      acc = static_cast<Acc>(static_cast<uint64_t>(acc) + static_cast<uint64_t>(value));
  }
  static T finish(Acc acc) { return convert<T>(acc); }

  static void run(Acc& acc, const char* at, int64_t step, int64_t n) {
    if constexpr (std::is_floating_point_v<T>) {
      if (step == sizeof(T)) {
        acc += sum_of(reinterpret_cast<const T*>(at), n);
        return;
      }
    }
    for (int64_t i = 0; i < n; ++i, at += step) add(acc, *reinterpret_cast<const T*>(at));
  }

  // Sixteen independent lanes vectorise; 512 elements a block keep each lane's error small.
  static Acc sum_of(const T* x, int64_t n) {
    constexpr int kLanes = 16;
    constexpr int64_t kBlock = 512;
    Acc acc = 0;
    while (n >= kLanes) {
      const int64_t rounds = std::min(n, kBlock) / kLanes;
      T lane[kLanes] = {};
      for (int64_t r = 0; r < rounds; ++r, x += kLanes)
        for (int i = 0; i < kLanes; ++i) lane[i] += x[i];
      for (int i = 0; i < kLanes / 2; ++i) acc += static_cast<Acc>(lane[i]) + static_cast<Acc>(lane[i + kLanes / 2]);
      n -= rounds * kLanes;
    }
    for (; n > 0; --n) acc += static_cast<Acc>(*x++);
    return acc;
  }
};

template <class T>
struct Product {
  using Acc = typename Sum<T>::Acc;
  static Acc start() { return 1; }
  static void multiply(Acc& acc, Acc value) {
    if constexpr (std::is_same_v<Acc, double>)
      acc *= value;
    else
      acc = static_cast<Acc>(static_cast<uint64_t>(acc) * static_cast<uint64_t>(value));
  }
  static void add(Acc& acc, T value) { multiply(acc, convert<Acc>(value)); }
  static T finish(Acc acc) { return convert<T>(acc); }
  static void run(Acc& acc, const char* at, int64_t step, int64_t n) {
    // Independent lanes: one product after another would wait for each.
    constexpr int kLanes = 8;
    Acc lane[kLanes];
    for (Acc& value : lane) value = start();
    for (; n >= kLanes; n -= kLanes)
      for (int i = 0; i < kLanes; ++i, at += step) add(lane[i], *reinterpret_cast<const T*>(at));
    for (int64_t i = 0; i < n; ++i, at += step) add(acc, *reinterpret_cast<const T*>(at));
    for (Acc value : lane) multiply(acc, value);
  }
};

template <class T, bool Largest>
struct Extreme {
  using C = Compute<T>;
  using Acc = C;
  static Acc start() {
    if constexpr (std::is_floating_point_v<C>)
      return Largest ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::infinity();
    else
      return Largest ? std::numeric_limits<C>::lowest() : std::numeric_limits<C>::max();
  }
  static void add(Acc& acc, T raw) {
    const C value = convert<C>(raw);
    const bool better = Largest ? value > acc : value < acc;
    if (better || value != value) acc = value;
  }
  static T finish(Acc acc) { return convert<T>(acc); }
  static void run(Acc& acc, const char* at, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; ++i, at += step) add(acc, *reinterpret_cast<const T*>(at));
  }
};

template <class T, bool Every>
struct Logic {
  using Acc = bool;
  static Acc start() { return Every; }
  static void add(Acc& acc, T value) {
    const bool truth = convert<bool>(value);
    acc = Every ? acc && truth : acc || truth;
  }
  static bool finish(Acc acc) { return acc; }
  static void run(Acc& acc, const char* at, int64_t step, int64_t n) {
    for (int64_t i = 0; i < n; ++i, at += step) add(acc, *reinterpret_cast<const T*>(at));
  }
};

// NaN that is already in acc must stay: `value > NaN` is false, so it does.
template <class T, class R, class Rule>
void reduce_rows(const Split& s, const char* base, char* bytes) {
  R* out = reinterpret_cast<R*>(bytes);
  const int inner = s.kept_sizes.size() - 1;
  const int last = s.reduced_sizes.size() - 1;
  for (Positions kept(base, s.kept_sizes, s.kept_strides); kept.at(); kept.advance()) {
    const char* row = kept.at();
    for (int64_t j = 0; j < s.kept_sizes[inner]; ++j, row += s.kept_strides[inner]) {
      typename Rule::Acc acc = Rule::start();
      for (Positions reduced(row, s.reduced_sizes, s.reduced_strides); reduced.at(); reduced.advance())
        Rule::run(acc, reduced.at(), s.reduced_strides[last], s.reduced_sizes[last]);
      *out++ = Rule::finish(acc);
    }
  }
}

// The kept axis is the contiguous one: a block of its columns is reduced together.
template <class T, class R, class Rule>
void reduce_columns(const Split& s, const char* base, char* bytes) {
  R* out = reinterpret_cast<R*>(bytes);
  constexpr int64_t kColumns = 64;
  const int inner = s.kept_sizes.size() - 1;
  const int last = s.reduced_sizes.size() - 1;
  for (Positions kept(base, s.kept_sizes, s.kept_strides); kept.at(); kept.advance()) {
    const char* row = kept.at();
    for (int64_t j = 0; j < s.kept_sizes[inner]; j += kColumns, row += kColumns * sizeof(T)) {
      const int64_t columns = std::min(kColumns, s.kept_sizes[inner] - j);
      typename Rule::Acc acc[kColumns];
      for (auto& value : acc) value = Rule::start();
      for (Positions reduced(row, s.reduced_sizes, s.reduced_strides); reduced.at(); reduced.advance()) {
        const char* at = reduced.at();
        for (int64_t i = 0; i < s.reduced_sizes[last]; ++i, at += s.reduced_strides[last])
          for (int64_t c = 0; c < columns; ++c) Rule::add(acc[c], reinterpret_cast<const T*>(at)[c]);
      }
      for (int64_t c = 0; c < columns; ++c) *out++ = Rule::finish(acc[c]);
    }
  }
}

int64_t product(const Dims& sizes) {
  int64_t count = 1;
  for (int64_t size : sizes) count *= size;
  return count;
}

// A rule's two ways through memory.
struct Ways {
  int64_t in_size, out_size;  // of an element
  void (*rows)(const Split& s, const char* base, char* out);
  void (*columns)(const Split& s, const char* base, char* out);
};

void reduce_in_parallel(const Ways& way, const Split& s, const char* base, char* out) {
  constexpr int64_t kGrain = 1 << 15;  // elements that are worth waking a thread for
  const int inner = s.kept_sizes.size() - 1;
  const bool columns = s.kept_strides[inner] == way.in_size && s.kept_sizes[inner] >= 4 &&
                       s.reduced_strides[s.reduced_sizes.size() - 1] != way.in_size;
  const int64_t kept = product(s.kept_sizes) / s.kept_sizes[0];
  const int64_t work = std::max<int64_t>(1, kept * product(s.reduced_sizes));
  parallel_for(s.kept_sizes[0], kGrain / work, [&](int64_t begin, int64_t end) {
    Split part = s;
    part.kept_sizes[0] = end - begin;
    (columns ? way.columns : way.rows)(part, base + begin * s.kept_strides[0], out + begin * kept * way.out_size);
  });
}

template <class T, class R, class Rule>
void reduce_with(const Split& s, const char* base, char* out) {
  reduce_in_parallel({sizeof(T), sizeof(R), reduce_rows<T, R, Rule>, reduce_columns<T, R, Rule>}, s, base, out);
}

// Whether the rows of a plain matrix are summed, which has a kernel of its own.
bool sums_rows(Reduce kind, const Split& s, DType dtype) {
  const int64_t size = static_cast<int64_t>(size_of(dtype));
  return kind == Reduce::kSum && has_row_kernels(dtype) && s.kept_sizes.size() == 1 && s.reduced_sizes.size() == 1 &&
         s.kept_strides[0] == size && s.reduced_strides[0] == size * s.kept_sizes[0];
}

// The sum over all elements where they lie together: of parts that don't depend on the threads.
template <class T>
bool sum_whole(const Tensor& x, const Dims& axes, const Tensor& out) {
  constexpr int64_t kPart = int64_t{1} << 16;  // elements: about 10 microseconds
  TensorImpl& impl = *x.impl();
  if (impl.dtype != dtype_of<T> || !impl.is_contiguous || axes.size() != impl.shape.size()) return false;
  const int64_t n = impl.elements, parts = std::max<int64_t>(1, n / kPart);
  const T* from = impl.as<T>();
  const auto sum_of_part = [&](int64_t part) {
    return Sum<T>::sum_of(from + part * kPart, part + 1 < parts ? kPart : n - part * kPart);
  };
  if (parts == 1) {
    *out.impl()->as<T>() = Sum<T>::finish(sum_of_part(0));
    return true;
  }
  std::vector<double> sums(static_cast<size_t>(parts));
  parallel_for(parts, 0, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) sums[static_cast<size_t>(part)] = sum_of_part(part);
  });
  *out.impl()->as<T>() = Sum<T>::finish(std::accumulate(sums.begin(), sums.end(), 0.0));
  return true;
}

}  // namespace

void reduce(Reduce kind, const Tensor& x, const Dims& axes, const Tensor& out) {
  if (out.elements() == 0) return;
  if (kind == Reduce::kSum && (sum_whole<float>(x, axes, out) || sum_whole<double>(x, axes, out))) return;
  const Split split = split_axes(x, axes);
  if (sums_rows(kind, split, x.dtype()))
    return sum_of_rows(x.dtype(), x.impl()->bytes(), split.reduced_sizes[0], split.kept_sizes[0], out.impl()->bytes());
  with_type(x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    using U = Bits<T>;
    const char* base = reinterpret_cast<const char*>(x.impl()->bytes());
    char* to = reinterpret_cast<char*>(out.impl()->bytes());
    switch (kind) {
      case Reduce::kSum:
        if constexpr (!std::is_same_v<T, bool>) reduce_with<U, U, Sum<U>>(split, base, to);
        return;
      case Reduce::kProd:
        if constexpr (!std::is_same_v<T, bool>) reduce_with<U, U, Product<U>>(split, base, to);
        return;
      case Reduce::kMax:
        return reduce_with<T, T, Extreme<T, true>>(split, base, to);
      case Reduce::kMin:
        return reduce_with<T, T, Extreme<T, false>>(split, base, to);
      case Reduce::kAll:
        return reduce_with<U, bool, Logic<U, true>>(split, base, to);
      case Reduce::kAny:
        return reduce_with<U, bool, Logic<U, false>>(split, base, to);
    }
  });
}

void arg_reduce(bool largest, const Tensor& x, int axis, const Tensor& out) {
  if (out.elements() == 0) return;
  const Split split = split_axes(x, Dims(axis));
  const int64_t n = x.ndim() ? x.shape()[axis] : 1;
  const int64_t step = x.ndim() ? x.strides()[axis] * static_cast<int64_t>(size_of(x.dtype())) : 0;
  const int inner = split.kept_sizes.size() - 1;
  with_type(x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    using C = Compute<T>;
    int64_t* to = out.impl()->as<int64_t>();
    const char* base = reinterpret_cast<const char*>(x.impl()->bytes());
    for (Positions kept(base, split.kept_sizes, split.kept_strides); kept.at(); kept.advance()) {
      const char* row = kept.at();
      for (int64_t j = 0; j < split.kept_sizes[inner]; ++j, row += split.kept_strides[inner]) {
        int64_t best = 0;
        C value = convert<C>(*reinterpret_cast<const T*>(row));
        for (int64_t i = 1; i < n && value == value; ++i) {
          const C next = convert<C>(*reinterpret_cast<const T*>(row + i * step));
          if ((largest ? next > value : next < value) || next != next) {
            best = i;
            value = next;
          }
        }
        *to++ = best;
      }
    }
  });
}

}  // namespace sm::kernels
