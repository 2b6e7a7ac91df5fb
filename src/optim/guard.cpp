#include "optim/guard.hpp"

#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <vector>

#include <fmt/core.h>

#include "kernels/copy.hpp"
#include "kernels/optimizer.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::optim {
namespace {

double norm_of(const Tensor& tensor) {
  const Tensor floating = is_floating(tensor.dtype()) ? tensor : kernels::cast(tensor, DType::f64);
  const double squares = kernels::sum_of_powers(floating, 2);
  if (std::isfinite(squares)) return std::sqrt(squares);
  // A square overflows long before its element does.
  const double largest = kernels::sum_of_powers(floating, std::numeric_limits<double>::infinity());
  if (!std::isfinite(largest)) return largest;
  return largest * std::sqrt(kernels::sum_of_powers(floating * (1 / largest), 2));
}

struct Limits {
  std::mutex mutex;
  std::multiset<double> all;                                             // guarded by mutex
  std::atomic<double> lowest{std::numeric_limits<double>::quiet_NaN()};  // NaN: no guard

  void update() { lowest = all.empty() ? std::numeric_limits<double>::quiet_NaN() : *all.begin(); }
};

Limits& limits() {
  static Limits instance;
  return instance;
}

thread_local std::optional<double> last_norm;

}  // namespace

double norm_of(std::span<const Tensor> tensors) {
  double norm = 0;
  for (const Tensor& tensor : tensors) {
    const double next = norm_of(tensor);
    norm = std::isnan(next) ? next : std::hypot(norm, next);
    if (std::isnan(norm)) break;
  }
  return norm;
}

Guard::Guard(double max_norm) : max_norm_(max_norm) {
  if (!(max_norm > 0))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("guard: max_norm must be above 0, got {}", max_norm));
  const std::lock_guard lock(limits().mutex);
  limits().all.insert(max_norm);
  limits().update();
}

Guard::~Guard() {
  const std::lock_guard lock(limits().mutex);
  limits().all.erase(limits().all.find(max_norm_));
  limits().update();
}

void check_norm(double norm, double max_norm) {
  if (!std::isfinite(norm))
    throw Error(ErrorCode::kUnprocessable,
                "the gradient isn't finite (it has NaN or infinite elements), so no weight "
                "was changed");
  if (norm > max_norm)
    throw Error(ErrorCode::kUnprocessable,
                fmt::format("the gradient's norm is {:.6g}, above the limit of {:.6g}, so no weight was changed", norm,
                            max_norm));
}

void check_guarded(const Gradients& gradients) {
  const double limit = limits().lowest;
  if (std::isnan(limit)) return;
  std::vector<Tensor> all;
  all.reserve(gradients.size());
  for (const Gradients::Entry& entry : gradients) all.push_back(entry.gradient);
  const double norm = norm_of(all);
  last_norm = norm;
  check_norm(norm, limit);
}

std::optional<double> take_gradient_norm() noexcept { return std::exchange(last_norm, std::nullopt); }

}  // namespace sm::optim
