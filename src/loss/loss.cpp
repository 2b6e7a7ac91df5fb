#include "shumai/loss.hpp"

#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::loss {

Tensor mse(const Tensor& output, const Tensor& reference) { return mean(square(output - reference)); }

Tensor mae(const Tensor& output, const Tensor& reference) { return mean(absolute(output - reference)); }

Tensor huber(const Tensor& output, const Tensor& reference, double delta) {
  if (!(delta > 0))
    throw Error(ErrorCode::kInvalidArgument, "huber: delta must be above 0, got " + std::to_string(delta));
  const Tensor distance = absolute(output - reference);
  return mean(where(distance <= delta, square(distance) * 0.5, (distance - 0.5 * delta) * delta));
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target) {
  if (logits.ndim() != 2)
    throw Error(ErrorCode::kShapeMismatch,
                "cross_entropy: logits must be [samples, classes], got " + logits.shape().to_string());
  const bool labels = is_integral(target.dtype());
  const Shape expected = labels ? Shape(logits.shape()[0]) : logits.shape();
  if (target.shape() != expected)
    throw Error(ErrorCode::kShapeMismatch, "cross_entropy: logits of shape " + logits.shape().to_string() + " need " +
                                               (labels ? "labels" : "probabilities") + " of shape " +
                                               expected.to_string() + ", got " + target.shape().to_string());
  const Tensor logs = log_softmax(logits, 1);
  // Not a product: a class that is masked with -inf would give 0 * -inf.
  return -mean(sum(labels ? where(one_hot(target, logits.shape()[1]), logs, 0.0) : target * logs, 1));
}

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target) {
  return mean(softplus(logits) - target * logits);
}

}  // namespace sm::loss
