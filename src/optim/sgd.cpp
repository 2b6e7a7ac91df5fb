#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "shumai/optim.hpp"
#include "tensor/impl.hpp"

namespace sm::optim {

void sgd(const Gradients& gradients, double learning_rate) {
  for (const auto& [weight, gradient] : gradients) {
    TensorImpl& impl = *weight.impl();
    impl.grad = nullptr;
    const Tensor step = kernels::contiguous(kernels::cast(gradient, impl.dtype));
    if (impl.is_contiguous && impl.storage->unique() && impl.storage->writable()) {
      kernels::add_scaled(weight, -learning_rate, step);
      ++impl.version;
    } else {
      const Tensor fresh = make_tensor(impl.shape, impl.dtype);
      kernels::add_scaled(kernels::contiguous(weight), -learning_rate, step, fresh);
      weight.update(fresh);
    }
  }
}

}  // namespace sm::optim
