#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "shumai/gradients.hpp"
#include "shumai/task.hpp"
#include "shumai/tensor.hpp"

namespace sm {

// What a custom gradient function gets.
struct GradContext {
  Tensor grad_in;              // the gradient of the output
  Tensor output;               // what forward gave, without its graph
  std::vector<Tensor> inputs;  // what forward took, without their graphs
  Tensor root = {};            // what backward_async was called on, without its graph; undefined for backward
};

namespace detail {

// Holds a T inside an aggregate that may be a temporary in an expression with
// co_await. g++ 12 copies the bytes of such temporaries and destroys both
// copies; this one notices that it was moved behind its back and lets the
// original die alone (docs/decisions.md).
template <class T>
class FrameSafe {
 public:
  FrameSafe() : self_(this) { new (&value_) T(); }
  template <class U>
  requires(!std::is_same_v<std::remove_cvref_t<U>, FrameSafe> && std::is_constructible_v<T, U&&>) FrameSafe(U&& value)
      : self_(this) {
    new (&value_) T(std::forward<U>(value));
  }
  FrameSafe(const FrameSafe& other) : self_(this) { new (&value_) T(other.value_); }
  // Takes from `other` only what it surely owns; a copy may throw.
  FrameSafe(FrameSafe&& other)  // NOLINT(performance-noexcept-move-constructor)
      : self_(this) {
    if (other.self_ == &other)
      new (&value_) T(std::move(other.value_));
    else
      new (&value_) T(std::as_const(other.value_));
  }
  FrameSafe& operator=(const FrameSafe& other) {
    value_ = other.value_;
    return *this;
  }
  ~FrameSafe() {
    if (self_ == this) value_.~T();
  }

  const T& get() const noexcept { return value_; }
  const T& operator*() const noexcept { return value_; }
  const T* operator->() const noexcept { return &value_; }

 private:
  const void* self_;
  union {
    T value_;
  };
};

template <class T>
struct TaskOf : std::false_type {};
template <class T>
struct TaskOf<Task<T>> : std::true_type {
  using Value = T;
};

template <class R>
std::vector<Tensor> as_gradients(R&& result) {
  if constexpr (std::is_same_v<std::remove_cvref_t<R>, Tensor>)
    return {std::forward<R>(result)};
  else
    return std::forward<R>(result);
}

template <class R>
inline constexpr bool is_gradient_result =
    std::is_void_v<R> || std::is_same_v<R, Tensor> || std::is_same_v<R, std::vector<Tensor>>;

}  // namespace detail

// How the gradient of a tensor that a function of yours made goes on to its
// inputs: any callable on GradContext that returns nothing, the gradient of
// the only input, a vector with one per input, or a Task of one of these. An
// undefined tensor, or nothing, is no gradient.
class GradFn {
 public:
  using Sync = std::function<std::vector<Tensor>(GradContext)>;
  using Async = std::function<Task<std::vector<Tensor>>(GradContext)>;

  GradFn() = default;
  GradFn(std::nullptr_t) {}
  template <class F, class R = std::invoke_result_t<F&, GradContext>>
  requires(!std::is_same_v<std::remove_cvref_t<F>, GradFn>) GradFn(F function) {
    if constexpr (detail::TaskOf<R>::value) {
      using Value = typename detail::TaskOf<R>::Value;
      static_assert(detail::is_gradient_result<Value>,
                    "grad_fn's task must give nothing, a Tensor or a vector of them");
      async_ = [function = std::move(function)](GradContext context) -> Task<std::vector<Tensor>> {
        // A copy of its own, so that the callable outlives every suspension.
        auto own = function;
        if constexpr (std::is_void_v<Value>) {
          co_await own(std::move(context));
          co_return std::vector<Tensor>();
        } else {
          auto result = co_await own(std::move(context));
          co_return detail::as_gradients(std::move(result));
        }
      };
    } else {
      static_assert(detail::is_gradient_result<R>, "grad_fn must return nothing, a Tensor or a vector of them");
      sync_ = [function = std::move(function)](GradContext context) mutable -> std::vector<Tensor> {
        if constexpr (std::is_void_v<R>) {
          function(std::move(context));
          return {};
        } else {
          return detail::as_gradients(function(std::move(context)));
        }
      };
    }
  }

  explicit operator bool() const { return sync_ || async_; }
  bool is_async() const { return static_cast<bool>(async_); }
  const Sync& sync() const { return sync_; }
  const Async& async() const { return async_; }

 private:
  Sync sync_;
  Async async_;
};

// `value` as the result of a function of `inputs` whose gradient is `gradient`.
// The result requires gradients even when no input does, so that `gradient` runs.
Tensor with_grad_fn(const Tensor& value, std::vector<Tensor> inputs, GradFn gradient);

struct GradcheckOptions {
  double step = 1e-6;       // of the central difference
  double tolerance = 1e-5;  // relative to the larger of 1 and the derivative
  uint64_t seed = 1;
};

// Compares backward with finite differences along random directions, in
// float64: <u, J v> from differences against <J' u, v> from backward, for
// independent random u and v. `function` takes the inputs, all float64, and
// returns one tensor. Throws Error (kInvalidArgument) that names both numbers
// when they differ.
void gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& function, const std::vector<Tensor>& inputs,
               GradcheckOptions options = {});

}  // namespace sm
