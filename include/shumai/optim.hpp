#pragma once

#include "shumai/gradients.hpp"

// Optimizers. Each updates the weights that a backward pass reached and clears
// their .grad. Weights that a saved graph still holds get fresh storage, so
// that graph keeps the value it saw. The caller keeps other threads away.
namespace sm::optim {

// weight -= learning_rate * gradient (Robbins and Monro, 1951).
void sgd(const Gradients& gradients, double learning_rate = 1e-3);

}  // namespace sm::optim
