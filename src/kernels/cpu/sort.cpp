#include "kernels/sort.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

constexpr int64_t kGrainElements = 1 << 13;

template <class T>
using Key = std::conditional_t<sizeof(Compute<T>) <= 4, uint32_t, uint64_t>;

// An unsigned number in the order of the elements: all NaN are the largest, and -0 is 0.
template <class T>
Key<T> key_of(T element) {
  using C = Compute<T>;
  using K = Key<T>;
  constexpr K kSign = K{1} << (sizeof(K) * 8 - 1);
  if constexpr (std::is_floating_point_v<C>) {
    const C value = convert<C>(element);
    if (value != value) return std::numeric_limits<K>::max();
    const K bits = std::bit_cast<K>(value == C{} ? C{} : value);
    return bits & kSign ? static_cast<K>(~bits) : bits | kSign;
  } else if constexpr (std::is_signed_v<C>) {
    return static_cast<K>(static_cast<std::make_signed_t<K>>(element)) ^ kSign;
  } else {
    return static_cast<K>(element);
  }
}

// A key and the position that breaks its ties. Where both fit in 64 bits they are one number.
struct Packed {
  using Key = uint32_t;
  uint64_t bits = 0;
  Packed() = default;
  Packed(uint32_t key, int64_t position) : bits(uint64_t{key} << 32 | static_cast<uint32_t>(position)) {}
  uint32_t key() const { return static_cast<uint32_t>(bits >> 32); }
  int64_t position() const { return static_cast<uint32_t>(bits); }
  bool operator<(const Packed& other) const { return bits < other.bits; }
};

template <class K>
struct Pair {
  using Key = K;
  K key_ = 0;
  int64_t position_ = 0;
  Pair() = default;
  Pair(K key, int64_t position) : key_(key), position_(position) {}
  K key() const { return key_; }
  int64_t position() const { return position_; }
  bool operator<(const Pair& other) const {
    return key_ != other.key_ ? key_ < other.key_ : position_ < other.position_;
  }
};

// Writes the items of n elements that lie `step` bytes apart.
template <class T, class Item>
void make_items(const char* at, int64_t step, int64_t n, bool flip, Item* items) {
  using K = typename Item::Key;
  const K mask = flip ? std::numeric_limits<K>::max() : K{0};
  for (int64_t i = 0; i < n; ++i, at += step)
    items[i] = Item(static_cast<K>(key_of(*reinterpret_cast<const T*>(at)) ^ mask), i);
}

struct Sorted {
  const Tensor& x;
  const Along& view;
  bool flip;      // largest first
  int64_t count;  // results of a lane
  const Tensor& out;
};

// Calls visit(items of a lane, where its results go, their step) for each lane along the axis.
template <class Item, class Make, class Visit>
void for_lanes(const Sorted& s, Make* make, const Visit& visit) {
  const int64_t size = static_cast<int64_t>(size_of(s.x.dtype())), n = s.view.size, step = s.view.inner;
  const char* from = reinterpret_cast<const char*>(s.x.impl()->bytes());
  int64_t* to = s.out.impl()->as<int64_t>();
  const int64_t grain = kGrainElements / std::max<int64_t>(n, 1);
  parallel_for(s.view.outer * step, grain, [&](int64_t begin, int64_t end) {
    std::vector<Item> items(static_cast<size_t>(n));
    for (int64_t lane = begin; lane < end; ++lane) {
      const int64_t outer = lane / step, inner = lane % step;
      make(from + (outer * n * step + inner) * size, step * size, n, s.flip, items.data());
      visit(items, to + outer * s.count * step + inner, step);
    }
  });
}

template <class Visit>
void for_all_lanes(const Sorted& s, const Visit& visit) {
  const bool fits = s.view.size <= std::numeric_limits<uint32_t>::max();
  using Make = void(const char*, int64_t, int64_t, bool, Packed*);
  Make* packed = nullptr;
  with_type(s.x.dtype(), [&](auto type) {
    using T = typename decltype(type)::type;
    if constexpr (sizeof(Key<T>) == 4) packed = make_items<T, Packed>;
    if (!packed || !fits) for_lanes<Pair<Key<T>>>(s, make_items<T, Pair<Key<T>>>, visit);
  });
  if (packed && fits) for_lanes<Packed>(s, packed, visit);
}

}  // namespace

void argsort(const Tensor& x, const Along& view, bool largest_first, int64_t count, const Tensor& out) {
  if (out.elements() == 0) return;
  for_all_lanes({x, view, largest_first, count, out}, [count](auto& items, int64_t* to, int64_t step) {
    const auto last = items.begin() + count;
    if (last != items.end()) std::nth_element(items.begin(), last - 1, items.end());
    std::sort(items.begin(), last);
    for (auto item = items.begin(); item != last; ++item, to += step) *to = item->position();
  });
}

void select(const Tensor& x, const Along& view, int64_t rank, const Tensor& out) {
  if (out.elements() == 0) return;
  const bool has_nan = is_floating(x.dtype());
  for_all_lanes({x, view, false, 1, out}, [=](auto& items, int64_t* to, int64_t) {
    using Item = std::decay_t<decltype(items[0])>;
    if (has_nan) {
      for (const Item& item : items)
        if (item.key() == std::numeric_limits<typename Item::Key>::max()) {
          *to = item.position();
          return;
        }
    }
    std::nth_element(items.begin(), items.begin() + rank, items.end());
    *to = items[static_cast<size_t>(rank)].position();
  });
}

}  // namespace sm::kernels
