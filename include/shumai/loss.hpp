#pragma once

#include "shumai/tensor.hpp"

// Losses, with PyTorch's formulas, options and defaults. Each is differentiable
// in all its tensors that are real numbers, and a rank-0 tensor unless
// `reduction` says otherwise. The two tensors broadcast unless said otherwise.
// Safe from several threads at once.
namespace sm::loss {

// What becomes of the losses of all elements or samples.
enum class Reduction {
  kMean,
  kSum,
  kNone,       // they are returned as they are
  kBatchMean,  // the sum divided by the first size: for kl_div alone
};

// (a - b)^2
Tensor mse(const Tensor& output, const Tensor& reference, Reduction reduction = Reduction::kMean);

// |a - b|
Tensor mae(const Tensor& output, const Tensor& reference, Reduction reduction = Reduction::kMean);

// Quadratic within `delta` of the reference, linear beyond (Huber, 1964):
// d^2 / 2 for d = |a - b| <= delta, else delta * (d - delta / 2).
// Throws Error (kInvalidArgument) unless delta is above 0.
Tensor huber(const Tensor& output, const Tensor& reference, double delta = 1.0, Reduction reduction = Reduction::kMean);

// huber / beta; mae for a beta of 0 (Girshick, "Fast R-CNN", 2015).
Tensor smooth_l1(const Tensor& output, const Tensor& reference, double beta = 1.0,
                 Reduction reduction = Reduction::kMean);

struct NllOptions {
  int64_t ignore_index = -100;  // samples of this label count for nothing
  Reduction reduction = Reduction::kMean;
};

// -class_weights[label] * log_probabilities[label] of each sample; without
// weights they are 1. Log-probabilities are [n, classes], or [classes] for one
// sample, or [n, classes, ...]; integer labels have that shape without the
// classes. The mean is weighted: the sum divided by that of the samples' class
// weights, NaN when every sample is ignored. Throws Error (kShapeMismatch,
// kDTypeMismatch, kOutOfRange) for labels or weights that don't fit.
Tensor nll(const Tensor& log_probabilities, const Tensor& labels, NllOptions options = {},
           const Tensor& class_weights = {});

struct CrossEntropyOptions {
  double label_smoothing = 0;   // in [0, 1]: the part of each target that is spread evenly over the classes
  int64_t ignore_index = -100;  // of labels
  Reduction reduction = Reduction::kMean;
};

// Softmax cross-entropy: nll of log_softmax(logits), whose shapes it takes, for
// labels. A target of the logits' shape holds probabilities instead: then each
// sample's loss is -sum(class_weights * target * log_softmax(logits)), and the
// mean is that over samples. Stable for logits of any size. Label smoothing:
// Szegedy et al., "Rethinking the Inception architecture for computer vision",
// 2016. Throws Error as nll does.
Tensor cross_entropy(const Tensor& logits, const Tensor& target, CrossEntropyOptions options = {},
                     const Tensor& class_weights = {});

// -sum(target * log(probabilities)) of each sample; both are [n, classes]. Logs
// are held at -100 and above, as in binary_cross_entropy.
Tensor cross_entropy_of_probabilities(const Tensor& probabilities, const Tensor& target,
                                      Reduction reduction = Reduction::kMean);

// -weight * (target * log(p) + (1 - target) * log(1 - p)). Logs are held at
// -100 and above, and their gradients stay finite, so a probability of exactly
// 0 or 1 does no harm. With logits at hand use the next one, which loses nothing.
Tensor binary_cross_entropy(const Tensor& probabilities, const Tensor& target, Reduction reduction = Reduction::kMean,
                            const Tensor& weight = {});

// The same with p = sigmoid(logits), stable for logits of any size, and with
// `positive_weight` on the first term.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& target,
                                        Reduction reduction = Reduction::kMean, const Tensor& weight = {},
                                        const Tensor& positive_weight = {});

struct KlDivOptions {
  bool log_target = false;  // the target holds log-probabilities too
  Reduction reduction = Reduction::kMean;
};

// target * (log(target) - log_probabilities), 0 where the target is: the
// divergence of Kullback and Leibler, 1951, is their sum for each sample, whose
// mean is kBatchMean. kMean divides by all elements, as PyTorch's default.
Tensor kl_div(const Tensor& log_probabilities, const Tensor& target, KlDivOptions options = {});

}  // namespace sm::loss
