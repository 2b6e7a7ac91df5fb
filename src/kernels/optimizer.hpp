#pragma once

#include "shumai/tensor.hpp"

namespace sm::kernels {

// One weight in one update. `weight` and `next`, which may be the same tensor,
// and `gradient` are contiguous, of one shape and floating-point dtype.
struct Descent {
  const Tensor& weight;
  const Tensor& gradient;
  const Tensor& next;
};

// What an optimizer remembers is contiguous, of the weight's shape, writable,
// and float32 for the 16-bit floats, else of the weight's dtype. What isn't
// used is undefined. The formulas are in shumai/optim.hpp.

struct SgdStep {
  double learning_rate;
  double weight_decay;
  double decay;     // of the old velocity
  double gain;      // of the step in the new one
  double momentum;  // of the velocity, looking ahead
  bool nesterov;
};
void sgd_step(const Descent& descent, const SgdStep& step, const Tensor& velocity);

struct AdamStep {
  double shrink;  // of the weight, before all else
  double weight_decay;
  double beta1;
  double beta2;
  double rate;   // learning_rate / (1 - beta1^t)
  double scale;  // sqrt(1 - beta2^t)
  double eps;
};
void adam_step(const Descent& descent, const AdamStep& step, const Tensor& exp_avg, const Tensor& exp_avg_sq,
               const Tensor& max_exp_avg_sq);

struct RmspropStep {
  double learning_rate;
  double weight_decay;
  double alpha;
  double eps;
  double momentum;
};
void rmsprop_step(const Descent& descent, const RmspropStep& step, const Tensor& square_avg, const Tensor& grad_avg,
                  const Tensor& velocity);

// The sum of |x|^p over a floating-point tensor, in double; the largest |x| for
// an infinite p. NaN where there is one.
double sum_of_powers(const Tensor& x, double p);

}  // namespace sm::kernels
