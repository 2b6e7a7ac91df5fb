#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm::replicate {

// All floating weights of a model one after the other in one tensor of rank 1:
// float64 when one of them is, else float32. Weights of other dtypes are no
// part of it. Immutable, thread-safe.
class Layout {
 public:
  // Throws Error (kInvalidArgument) when there is no floating weight.
  explicit Layout(const Tensors& weights);

  DType dtype() const { return dtype_; }
  int64_t elements() const { return elements_; }
  size_t size() const { return parts_.size(); }
  // The weights that belong to it, in its order; handles of the given ones.
  std::vector<Tensor> select(const Tensors& weights) const;
  // The same for models of the same names, shapes and dtypes; 32 hexadecimal digits.
  std::string digest() const;

  Tensor flatten(const std::vector<Tensor>& values) const;
  // Weight `i` within `flat`, of its own shape and dtype; shares the storage where it can.
  Tensor weight(const Tensor& flat, size_t i) const;

 private:
  friend struct Outer;
  struct Part {
    std::string name;
    Shape shape;
    DType dtype;
    bool trained;  // not a running average, say
    int64_t offset, elements;
  };
  std::vector<Part> parts_;
  DType dtype_ = DType::f32;
  int64_t elements_ = 0;
};

// a - b, and the sum of squares; of flat tensors of one dtype.
Tensor difference(const Tensor& a, const Tensor& b);
double squared_norm(const Tensor& flat);
// The same bits, the same number.
int64_t digest(const Tensor& flat);
// Zeros like `flat`.
Tensor zeros_like(const Tensor& flat);

// The optimizer that takes what the replicas learned as its gradient: Nesterov's
// momentum (Douillard et al., "DiLoCo: Distributed Low-Communication Training of
// Language Models", 2023, algorithm 1). With rate 1 and momentum 0 it is the mean
// of the weights. What isn't trained becomes its mean.
//
// The arithmetic is IEEE's, element by element and never contracted: replicas on
// different processors get the same bits.
struct Outer {
  double rate = 0.7;
  double momentum = 0.9;

  struct Result {
    Tensor base, velocity;
  };
  // `sum`: over the `replicas` that learned something, of what each is away from `base`: base - weights.
  Result step(const Layout& layout, const Tensor& base, const Tensor& velocity, const Tensor& sum,
              int64_t replicas) const;
};

}  // namespace sm::replicate
