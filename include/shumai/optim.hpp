#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "shumai/gradients.hpp"
#include "shumai/schedule.hpp"

// Optimizers. Each updates the weights that a backward pass reached and clears
// their .grad. Weights that a saved graph still holds get fresh storage, so
// that graph keeps the value it saw. A weight that a pass didn't reach keeps
// its value and what is remembered of it. The caller keeps other threads away.
//
// Below, t counts the updates of one weight from 1, and names, formulas and
// defaults are those of torch.optim.
namespace sm::optim {

// weight -= learning_rate * gradient (Robbins and Monro, 1951).
void sgd(const Gradients& gradients, double learning_rate = 1e-3);

// Any of the optimizers below: SGD, Adam and the others are Optimizers, made
// with their own options and used alike, so that one can stand in for another.
//
// A handle: copies share what is remembered and the learning rate, so that one
// can be given away as a function (serve_model takes it as its update) and
// still be tuned. What is remembered of a weight lives as long as the weight.
class Optimizer {
 public:
  // One update. Throws Error (kShapeMismatch) for a gradient of another shape
  // than its weight; no weight has moved then.
  void operator()(const Gradients& gradients) const;
  // The same at a learning rate of its own, for this update only.
  void operator()(const Gradients& gradients, double learning_rate) const;

  // Of the next update.
  double learning_rate() const;
  // Throws Error (kInvalidArgument) for a negative one. Under a schedule this
  // is the rate that the schedule starts from.
  void set_learning_rate(double learning_rate) const;
  // From now on each update runs at schedule(steps(), the rate that was set).
  // An empty one ends that.
  void set_schedule(Schedule schedule) const;
  // Updates made so far.
  int64_t steps() const;
  // "SGD", "Adam", "AdamW" or "RMSprop".
  std::string_view name() const;
  // Whether one update with a sum of gradients moves weights as one update with
  // each of them does: SGD without momentum, weight decay and schedule.
  bool is_additive() const;

  // What is remembered, for a checkpoint, of weights by their names, as in
  // model.named_parameters(): "learning_rate" (as it was set), "steps", and for
  // each of `weights` that was updated "step/<name>" and, say, "exp_avg/<name>".
  // Others are left out. A snapshot without a copy: later updates don't reach it.
  Tensors state(const Tensors& weights) const;
  // Continues exactly where state() was taken, with the weights of the same
  // names: the same gradients then give the same bits. Options and schedule
  // aren't part of it. Throws Error, and changes nothing, for an entry that
  // this optimizer doesn't keep or that is incomplete (kInvalidArgument), that
  // belongs to none of `weights` (kNotFound), or of another shape or dtype
  // (kShapeMismatch, kDTypeMismatch).
  void load_state(const Tensors& state, const Tensors& weights) const;

  // For the library itself.
  class Rule;

 protected:
  explicit Optimizer(std::shared_ptr<Rule> rule) : rule_(std::move(rule)) {}

 private:
  std::shared_ptr<Rule> rule_;
};

struct SGDOptions {
  double learning_rate = 1e-3;
  double momentum = 0;
  double dampening = 0;
  bool nesterov = false;
  double weight_decay = 0;
};

// Gradient descent that remembers. For each weight
//
//   step     = gradient + weight_decay * weight
//   velocity = momentum * velocity + (1 - dampening) * step   (the first velocity is the step)
//   weight  -= learning_rate * velocity                       (with nesterov: step + momentum * velocity)
//
// Polyak, 1964; Nesterov's form as in Sutskever et al., "On the importance of
// initialization and momentum in deep learning", 2013. Remembers
// "momentum_buffer", the velocity, when there is momentum.
class SGD : public Optimizer {
 public:
  // Throws Error (kInvalidArgument) for a negative number, or nesterov without
  // momentum or with dampening.
  explicit SGD(SGDOptions options = {});
};

struct AdamOptions {
  double learning_rate = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 0;
  bool amsgrad = false;
};

// Kingma and Ba, "Adam: a method for stochastic optimization", 2015. For each weight
//
//   step       = gradient + weight_decay * weight
//   exp_avg    = betas[0] * exp_avg    + (1 - betas[0]) * step
//   exp_avg_sq = betas[1] * exp_avg_sq + (1 - betas[1]) * step^2
//   mean       = exp_avg    / (1 - betas[0]^t)
//   scale      = exp_avg_sq / (1 - betas[1]^t)
//   weight    -= learning_rate * mean / (sqrt(scale) + eps)
//
// With amsgrad the largest exp_avg_sq so far, "max_exp_avg_sq", takes its place
// in `scale` (Reddi et al., "On the convergence of Adam and beyond", 2018).
// float16 and bfloat16 weights keep their averages in float32.
class Adam : public Optimizer {
 public:
  // Throws Error (kInvalidArgument) for a negative number, or a beta outside [0, 1).
  explicit Adam(AdamOptions options = {});
};

struct AdamWOptions {
  double learning_rate = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
};

// Adam with weight decay apart from the gradient: weight *= 1 - learning_rate *
// weight_decay comes first, then Adam's update without weight decay. Loshchilov
// and Hutter, "Decoupled weight decay regularization", 2019.
class AdamW : public Optimizer {
 public:
  // Throws Error (kInvalidArgument) as Adam does.
  explicit AdamW(AdamWOptions options = {});
};

struct RMSpropOptions {
  double learning_rate = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
};

// Tieleman and Hinton, "Lecture 6.5 - rmsprop", 2012. For each weight
//
//   step       = gradient + weight_decay * weight
//   square_avg = alpha * square_avg + (1 - alpha) * step^2
//   move       = step / (sqrt(square_avg) + eps)
//   velocity   = momentum * velocity + move
//   weight    -= learning_rate * velocity
//
// With `centered`, square_avg - grad_avg^2 takes square_avg's place in `move`,
// where grad_avg = alpha * grad_avg + (1 - alpha) * step (Graves, "Generating
// sequences with recurrent neural networks", 2013). Remembers "square_avg", and
// "grad_avg" and "momentum_buffer" where they are used.
class RMSprop : public Optimizer {
 public:
  // Throws Error (kInvalidArgument) for a negative number, or an alpha above 1.
  explicit RMSprop(RMSpropOptions options = {});
};

struct ClippedGradients {  // what clip_grad_norm returns
  Gradients gradients;
  double total_norm;  // before
};

// The gradients times min(1, max_norm / (total_norm + 1e-6)), where total_norm
// is the norm_type-norm of all of them as one vector (infinity: the largest
// absolute value), as torch.nn.utils.clip_grad_norm_. Pascanu et al., "On the
// difficulty of training recurrent neural networks", 2013. The tensors' .grad
// stays. A non-finite norm makes gradients of NaN, or throws Error
// (kUnprocessable) when asked to.
ClippedGradients clip_grad_norm(const Gradients& gradients, double max_norm, double norm_type = 2,
                                bool error_if_nonfinite = false);

// The gradients with every element held between -clip_value and clip_value.
Gradients clip_grad_value(const Gradients& gradients, double clip_value);

}  // namespace sm::optim
