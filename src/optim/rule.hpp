#pragma once

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernels/copy.hpp"
#include "kernels/optimizer.hpp"
#include "shumai/optim.hpp"
#include "tensor/impl.hpp"

namespace sm::optim {

// What every Optimizer points to: a formula, and what it remembers.
class Optimizer::Rule {
 public:
  // What is remembered of a weight besides how often it was updated.
  static constexpr int kSlots = 3;
  using Names = std::array<std::string_view, kSlots>;  // empty: not used
  using Slots = std::array<Tensor, kSlots>;            // undefined: not used

  Rule(std::string_view name, double learning_rate, Names names);
  virtual ~Rule() = default;

  void update(const Gradients& gradients, double learning_rate);
  Tensors state(const Tensors& weights) const;
  void load_state(const Tensors& state, const Tensors& weights);

  std::string_view name() const { return name_; }
  int64_t steps() const { return steps_; }
  double learning_rate() const { return schedule_ ? schedule_(steps_, learning_rate_) : learning_rate_; }
  void set_learning_rate(double learning_rate);
  bool is_additive() const { return !schedule_ && adds(); }
  void set_schedule(Schedule schedule) { schedule_ = std::move(schedule); }

 protected:
  // Moves a weight for the `t`-th time, from 1.
  virtual void step(const kernels::Descent& descent, const Slots& slots, int64_t t, double learning_rate) const = 0;

  // Whether a step is a multiple of the gradient, whatever came before.
  virtual bool adds() const { return false; }

 private:
  struct Memory {
    Tensor weight;  // held, so that its address stays its own
    int64_t steps = 0;
    Slots slots;
  };
  struct Loading;

  bool remembers() const { return names_ != Names{}; }
  Memory& memory_of(const Tensor& weight);
  void forget_abandoned();

  const std::string_view name_;
  const Names names_;
  double learning_rate_;
  Schedule schedule_;
  int64_t steps_ = 0;
  std::unordered_map<const TensorImpl*, Memory> memories_;
  size_t sweep_at_ = 64;
};

// Throw Error (kInvalidArgument) that names the optimizer. NaN doesn't pass either.
void check_not_negative(std::string_view optimizer, const char* name, double value);
void check_below_one(std::string_view optimizer, const char* name, double value);

// Throws Error unless each gradient fits its weight, and passes the Guards that live.
void check_gradients(std::string_view optimizer, const Gradients& gradients);

// Gives `weight` what `step`, called with a kernels::Descent, computes: in
// place when nobody else holds the storage. Clears its .grad.
template <class Step>
void move_weight(const Tensor& weight, const Tensor& gradient, const Step& step) {
  TensorImpl& impl = *weight.impl();
  const bool fits = gradient.impl()->dtype == impl.dtype && gradient.impl()->is_contiguous;
  const Tensor converted = fits ? Tensor() : kernels::contiguous(kernels::cast(gradient, impl.dtype));
  const Tensor& direction = fits ? gradient : converted;
  impl.grad = nullptr;
  if (impl.is_contiguous && impl.storage()->unique() && impl.storage()->writable()) {
    step(kernels::Descent{weight, direction, weight});
    ++impl.version;
  } else {
    const Tensor next = make_tensor(impl.shape, impl.dtype);
    step(kernels::Descent{kernels::contiguous(weight), direction, next});
    weight.update(next);
  }
}

}  // namespace sm::optim
