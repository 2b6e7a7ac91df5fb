#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/elementwise.hpp"

// Pointwise functions over runs of float or double, in the widest vectors of
// the machine that runs them. An element's result doesn't depend on where in
// a run it stands. Thread-safe.
namespace sm::kernels {

// out[i] = f(in[0][i], in[1][i], ...) for i below n. `out` may be one of `in`.
// A condition is 1 or 0 of the same type.
template <class T>
using Map = void (*)(const T* const* in, T* out, size_t n);

// Which operand of a function of two is one element for the whole run.
enum class Fixed : uint8_t { kNone, kFirst, kSecond };

// Null for a function that isn't one of real numbers.
template <class T>
Map<T> map_of(Unary kind);
template <class T>
Map<T> map_of(Binary kind, Fixed fixed);
template <class T>
Map<T> map_of(Compare kind, Fixed fixed);
template <class T>
Map<T> map_of(Predicate kind);
// in[0] ? in[1] : in[2]
template <class T>
Map<T> map_of_where();

}  // namespace sm::kernels
