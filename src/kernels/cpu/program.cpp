#include "kernels/cpu/program.hpp"

#include <algorithm>
#include <cstring>

#include "util/buffer.hpp"

namespace sm::kernels {
namespace {

constexpr size_t kRunBytes = 4096;

template <class T>
constexpr int64_t kRun = static_cast<int64_t>(kRunBytes / sizeof(T));

template <class T>
void read_row(const typename Program<T>::Load& load, const std::byte* at, int64_t step, int64_t n, T* out) {
  if (load.boolean) {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(*reinterpret_cast<const bool*>(at + i * step));
  } else if (step == sizeof(T)) {
    std::memcpy(out, at, static_cast<size_t>(n) * sizeof(T));
  } else if (step == 0) {
    std::fill_n(out, n, *reinterpret_cast<const T*>(at));
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = *reinterpret_cast<const T*>(at + i * step);
  }
}

// Elements begin to begin + n, row by row.
template <class T>
void read(const typename Program<T>::Load& load, int64_t begin, int64_t n, T* out) {
  const int last = load.sizes.size() - 1;
  Dims index(last + 1, 0);
  const std::byte* at = load.data;
  for (int axis = last; axis >= 0; --axis) {
    index[axis] = begin % load.sizes[axis];
    begin /= load.sizes[axis];
    at += index[axis] * load.strides[axis];
  }
  while (true) {
    const int64_t row = std::min(n, load.sizes[last] - index[last]);
    read_row<T>(load, at, load.strides[last], row, out);
    if ((n -= row) == 0) return;
    out += row;
    at -= index[last] * load.strides[last];
    index[last] = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      at += load.strides[axis];
      if (++index[axis] < load.sizes[axis]) break;
      at -= load.strides[axis] * load.sizes[axis];
      index[axis] = 0;
    }
  }
}

template <class T>
T* address(const Place& place, T* scratch, int64_t begin) {
  switch (place.kind) {
    case Place::Kind::kRegister:
      return scratch + place.number * kRun<T>;
    case Place::Kind::kMemory:
      return const_cast<T*>(reinterpret_cast<const T*>(place.data)) + begin;
    case Place::Kind::kFixed:
      return const_cast<T*>(reinterpret_cast<const T*>(place.data));
    default:
      return nullptr;
  }
}

}  // namespace

template <class T>
void Program<T>::assign_registers() {
  std::vector<size_t> last_use(static_cast<size_t>(registers), 0);
  const auto use = [&](const Place& place, size_t step) {
    if (place.kind == Place::Kind::kRegister) last_use[static_cast<size_t>(place.number)] = step;
  };
  for (size_t i = 0; i < steps.size(); ++i)
    for (const Place& place : steps[i].in) use(place, i);
  for (const Store& store : stores) use(store.from, steps.size());

  std::vector<int> given(static_cast<size_t>(registers), -1);
  std::vector<int> free;
  int count = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    Step& step = steps[i];
    std::array<int, 3> freed{-1, -1, -1};
    for (size_t k = 0; k < step.in.size(); ++k) {
      Place& place = step.in[k];
      if (place.kind != Place::Kind::kRegister) continue;
      const size_t old = static_cast<size_t>(place.number);
      place.number = given[old];
      if (last_use[old] == i && std::find(freed.begin(), freed.end(), given[old]) == freed.end()) freed[k] = given[old];
    }
    for (int one : freed)
      if (one >= 0) free.push_back(one);
    if (step.out.kind != Place::Kind::kRegister) continue;
    const size_t old = static_cast<size_t>(step.out.number);
    // What is loaded once must last to the end.
    if (!step.once && !free.empty()) {
      given[old] = free.back();
      free.pop_back();
    } else {
      given[old] = count++;
    }
    if (step.once) last_use[old] = steps.size();
    step.out.number = given[old];
  }
  for (Store& store : stores)
    if (store.from.kind == Place::Kind::kRegister) store.from.number = given[static_cast<size_t>(store.from.number)];
  registers = count;
}

template <class T>
void Program<T>::run(int64_t begin, int64_t end) const {
  const util::BufferRef block = util::Buffer::allocate(static_cast<size_t>(std::max(registers, 1)) * kRunBytes);
  T* scratch = reinterpret_cast<T*>(block->data());
  for (int64_t at = begin; at < end; at += kRun<T>) {
    const int64_t n = std::min(kRun<T>, end - at);
    for (const Step& step : steps) {
      if (!step.map) {
        if (at == begin || !step.once)
          read(loads[static_cast<size_t>(step.load)], at, step.once ? kRun<T> : n, address(step.out, scratch, at));
        continue;
      }
      const T* const in[] = {address(step.in[0], scratch, at), address(step.in[1], scratch, at),
                             address(step.in[2], scratch, at)};
      step.map(in, address(step.out, scratch, at), static_cast<size_t>(n));
    }
    for (const Store& store : stores) {
      const T* from = address(store.from, scratch, at);
      bool* to = store.to + at;
      for (int64_t i = 0; i < n; ++i) to[i] = from[i] != T(0);
    }
  }
}

template struct Program<float>;
template struct Program<double>;

}  // namespace sm::kernels
