#pragma once

#include <memory>

#include "shumai/gradients.hpp"

// Optimizers. Each updates the weights that a backward pass reached and clears
// their .grad. Weights that a saved graph still holds get fresh storage, so
// that graph keeps the value it saw. The caller keeps other threads away.
namespace sm::optim {

// weight -= learning_rate * gradient (Robbins and Monro, 1951).
void sgd(const Gradients& gradients, double learning_rate = 1e-3);

struct SGDOptions {
  double learning_rate = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
};

// Gradient descent that remembers, as PyTorch's torch.optim.SGD. For each weight
//
//   step     = gradient + weight_decay * weight
//   velocity = momentum * velocity + step          (the first velocity is the step)
//   weight  -= learning_rate * velocity            (with nesterov: step + momentum * velocity)
//
// Polyak, 1964; Nesterov's form as in Sutskever et al., "On the importance of
// initialization and momentum in deep learning", 2013. A weight that a pass
// didn't reach keeps its value and its velocity.
//
// A handle: copies share the velocities and the learning rate, so that one can
// be given away as a function and still be tuned.
class SGD {
 public:
  // Throws Error (kInvalidArgument) for a negative number, or nesterov without momentum.
  explicit SGD(SGDOptions options = {});

  void operator()(const Gradients& gradients) const;

  double learning_rate() const;
  // Throws Error (kInvalidArgument) for a negative one.
  void set_learning_rate(double learning_rate) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sm::optim
