#include "optim/guard.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <vector>

#include <fmt/core.h>

#include "kernels/copy.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::optim {
namespace {

// Several sums at once, so that additions needn't wait for each other.
template <class T>
double sum_of_squares(const T* data, int64_t n) {
  constexpr int kLanes = 8;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) {
      const double x = static_cast<double>(data[i + lane]);
      sums[lane] += x * x;
    }
  for (; i < n; ++i) sums[0] += static_cast<double>(data[i]) * static_cast<double>(data[i]);
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

double norm_of_doubles(const double* data, int64_t n) {
  const double plain = sum_of_squares(data, n);
  if (std::isfinite(plain)) return std::sqrt(plain);
  // A square overflows long before its element does.
  double largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(data[i])) return std::abs(data[i]);
    largest = std::max(largest, std::abs(data[i]));
  }
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += (data[i] / largest) * (data[i] / largest);
  return largest * std::sqrt(sum);
}

double norm_of(const Tensor& tensor) {
  if (tensor.dtype() == DType::f32) {
    const Tensor flat = kernels::contiguous(tensor);
    return std::sqrt(sum_of_squares(flat.impl()->as<float>(), flat.elements()));
  }
  const Tensor flat = kernels::contiguous(kernels::cast(tensor, DType::f64));
  return norm_of_doubles(flat.impl()->as<double>(), flat.elements());
}

struct Limits {
  std::mutex mutex;
  std::multiset<double> all;                                         // guarded by mutex
  std::atomic<double> lowest{std::numeric_limits<double>::quiet_NaN()};  // NaN: no guard

  void update() { lowest = all.empty() ? std::numeric_limits<double>::quiet_NaN() : *all.begin(); }
};

Limits& limits() {
  static Limits instance;
  return instance;
}

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
    throw Error(ErrorCode::kUnprocessable, "the gradient isn't finite (it has NaN or infinite elements), so no weight "
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
  check_norm(norm_of(all), limit);
}

}  // namespace sm::optim
