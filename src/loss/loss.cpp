#include "shumai/loss.hpp"

#include <fmt/core.h>

#include "loss/reduction.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::loss {

Tensor reduce(const char* op, const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::kMean:
      return mean(losses);
    case Reduction::kSum:
      return sum(losses);
    case Reduction::kNone:
      return losses;
    case Reduction::kBatchMean:
      break;
  }
  throw Error(ErrorCode::kInvalidArgument, std::string(op) + ": reduction must be mean, sum or none, got batchmean");
}

Tensor mse(const Tensor& output, const Tensor& reference, Reduction reduction) {
  return reduce("mse", square(output - reference), reduction);
}

Tensor mae(const Tensor& output, const Tensor& reference, Reduction reduction) {
  return reduce("mae", absolute(output - reference), reduction);
}

Tensor huber(const Tensor& output, const Tensor& reference, double delta, Reduction reduction) {
  if (!(delta > 0))
    throw Error(ErrorCode::kInvalidArgument, "huber: delta must be above 0, got " + fmt::format("{}", delta));
  const Tensor distance = absolute(output - reference);
  return reduce("huber", where(distance <= delta, square(distance) * 0.5, (distance - 0.5 * delta) * delta), reduction);
}

Tensor smooth_l1(const Tensor& output, const Tensor& reference, double beta, Reduction reduction) {
  if (!(beta >= 0))
    throw Error(ErrorCode::kInvalidArgument, "smooth_l1: beta must be 0 or more, got " + fmt::format("{}", beta));
  const Tensor distance = absolute(output - reference);
  // Near 0 a beta of 0 would divide by itself.
  if (beta == 0) return reduce("smooth_l1", distance, reduction);
  return reduce("smooth_l1", where(distance < beta, square(distance) * (0.5 / beta), distance - 0.5 * beta), reduction);
}

Tensor kl_div(const Tensor& log_probabilities, const Tensor& target, KlDivOptions options) {
  Tensor losses;
  if (options.log_target) {
    losses = exp(target) * (target - log_probabilities);
  } else {
    const Tensor present = target > 0.0;
    losses = where(present, target * log(where(present, target, 1.0)), 0.0) - target * log_probabilities;
  }
  if (options.reduction != Reduction::kBatchMean) return reduce("kl_div", losses, options.reduction);
  if (losses.ndim() == 0) throw Error(ErrorCode::kShapeMismatch, "kl_div: batchmean needs a first axis, got shape []");
  return sum(losses) / static_cast<double>(losses.shape()[0]);
}

}  // namespace sm::loss
