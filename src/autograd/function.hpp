#pragma once

#include <memory>
#include <vector>

#include "shumai/autograd.hpp"
#include "tensor/impl.hpp"

namespace sm {

// A step of the graph whose gradient is a function of the user's, which may
// have to be awaited. The gradient that it gets carries `tag`.
class FunctionNode final : public Node {
 public:
  FunctionNode(const Tensor& value, const std::vector<Tensor>& inputs, GradFn function);

  std::string_view name() const noexcept override { return "grad_fn"; }
  std::span<Edge> edges() noexcept override { return edges_; }
  bool is_async() const noexcept override { return function_.is_async(); }

  void backward(const Tensor& gradient, std::span<Tensor> input_gradients) override;
  void visit_saved(const std::function<void(TensorImpl&)>& visit) const override;
  // What to await instead when is_async(), in a pass that began at `root`.
  Task<std::vector<Tensor>> backward_async(Tensor gradient, Tensor root);

  std::shared_ptr<const TicketTag> tag;

 private:
  GradContext context(const Tensor& gradient, const Tensor& root) const;
  // One gradient per input, checked against its shape.
  std::vector<Tensor> checked(std::vector<Tensor> gradients) const;
  void release_saved() noexcept override;

  std::vector<Edge> edges_;
  std::vector<Tensor> inputs_;
  Tensor output_;
  GradFn function_;
};

// `gradient` marked as the gradient of what `tag` names; unmarked when there is no tag.
Tensor tagged_gradient(const Tensor& gradient, const std::shared_ptr<const TicketTag>& tag);

}  // namespace sm
