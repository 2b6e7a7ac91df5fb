#pragma once

#include <optional>
#include <span>

#include "shumai/gradients.hpp"
#include "shumai/tensor.hpp"

namespace sm::optim {

// The Euclidean norm of all elements together, in float64; NaN or infinite
// only when some element is, whatever their size. Integers count as they are.
double norm_of(std::span<const Tensor> tensors);

// While one lives, optimizers refuse gradients that aren't finite, or whose
// norm over one step is above `max_norm`, before any weight changes. It holds
// for the whole process, since a handler may be anywhere when it updates; the
// lowest limit counts. Thread-safe.
class Guard {
 public:
  explicit Guard(double max_norm);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  const double max_norm_;
};

// Throws Error (kUnprocessable) that says what is wrong with the gradients.
void check_norm(double norm, double max_norm);

// What every optimizer calls before it touches a weight: check_norm when a Guard lives.
void check_guarded(const Gradients& gradients);

// The norm that check_guarded() found last on this thread, once.
std::optional<double> take_gradient_norm() noexcept;

}  // namespace sm::optim
