#include "autograd/function.hpp"

#include "shumai/error.hpp"

namespace sm {

FunctionNode::FunctionNode(const Tensor& value, const std::vector<Tensor>& inputs, GradFn function)
    : output_(make_alias(value)), function_(std::move(function)) {
  for (const Tensor& input : inputs) {
    edges_.push_back(edge_to(input));
    inputs_.push_back(make_alias(input));
  }
}

GradContext FunctionNode::context(const Tensor& gradient, const Tensor& root) const {
  return {tagged_gradient(gradient, tag), output_, inputs_, root};
}

std::vector<Tensor> FunctionNode::checked(std::vector<Tensor> gradients) const {
  if (gradients.size() > inputs_.size())
    throw Error(ErrorCode::kInvalidArgument, "grad_fn: returned " + std::to_string(gradients.size()) +
                                                 " gradients for " + std::to_string(inputs_.size()) + " inputs");
  gradients.resize(inputs_.size());
  for (size_t i = 0; i < gradients.size(); ++i)
    if (edges_[i].needed() && gradients[i].defined() && gradients[i].shape() != inputs_[i].shape())
      throw Error(ErrorCode::kShapeMismatch, "grad_fn: input " + std::to_string(i) + " has shape " +
                                                 inputs_[i].shape().to_string() + ", its gradient has shape " +
                                                 gradients[i].shape().to_string());
  return gradients;
}

void FunctionNode::backward(const Tensor& gradient, std::span<Tensor> input_gradients) {
  std::vector<Tensor> gradients = checked(function_.sync()(context(gradient, {})));
  std::move(gradients.begin(), gradients.end(), input_gradients.begin());
}

Task<std::vector<Tensor>> FunctionNode::backward_async(Tensor gradient, Tensor root) {
  const util::Ref<Node> alive(this);
  std::vector<Tensor> gradients = co_await function_.async()(context(gradient, root));
  co_return checked(std::move(gradients));
}

void FunctionNode::visit_saved(const std::function<void(TensorImpl&)>& visit) const {
  for (const Tensor& input : inputs_) visit(*input.impl());
  if (output_.defined()) visit(*output_.impl());
}

void FunctionNode::release_saved() noexcept {
  inputs_.clear();
  output_ = {};
  function_ = {};
}

Tensor tagged_gradient(const Tensor& gradient, const std::shared_ptr<const TicketTag>& tag) {
  if (!tag) return gradient;
  Tensor marked = make_alias(gradient);
  auto back = std::make_shared<TicketTag>(*tag);
  back->gradient = true;
  marked.impl()->tag = std::move(back);
  return marked;
}

Tensor with_grad_fn(const Tensor& value, std::vector<Tensor> inputs, GradFn gradient) {
  if (!gradient) throw Error(ErrorCode::kInvalidArgument, "with_grad_fn: the gradient function is empty");
  if (!is_floating(value.dtype()))
    throw Error(ErrorCode::kDTypeMismatch,
                "with_grad_fn: only floating-point tensors have gradients, got " + std::string(name_of(value.dtype())));
  Tensor out = make_alias(value);
  util::Ref<FunctionNode> node(new FunctionNode(value, inputs, std::move(gradient)));
  out.impl()->tag = node->tag = value.impl()->tag;
  attach(out, util::Ref<Node>(node.get()));
  return out;
}

}  // namespace sm
