#pragma once

#include "shumai/tensor.hpp"

// Losses: each a rank-0 tensor, the mean over all elements or samples. The two
// tensors broadcast unless said otherwise. Safe from several threads at once.
namespace sm::loss {

// mean((a - b)^2)
Tensor mse(const Tensor& output, const Tensor& reference);

// mean(|a - b|)
Tensor mae(const Tensor& output, const Tensor& reference);

// Quadratic within `delta` of the reference, linear beyond (Huber, 1964), as
// PyTorch's HuberLoss.
Tensor huber(const Tensor& output, const Tensor& reference, double delta = 1.0);

// Softmax cross-entropy of `logits` [n, classes] against integer labels [n] or
// probabilities [n, classes]: the mean over the n samples of
// logsumexp(logits) - sum(target * logits). Stable for logits of any size.
// Throws Error (kShapeMismatch, kOutOfRange) for labels that don't fit.
Tensor cross_entropy(const Tensor& logits, const Tensor& target);

// -mean(target * log(p) + (1 - target) * log(1 - p)) with p = sigmoid(logits), stable.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target);

}  // namespace sm::loss
