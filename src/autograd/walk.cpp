#include "autograd/walk.hpp"

#include <algorithm>
#include <optional>

#include "autograd/function.hpp"
#include "kernels/pointwise.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

Tensor starting_gradient(const Tensor& root, const Tensor& jacobian) {
  if (!jacobian.defined()) {
    if (root.elements() != 1)
      throw Error(ErrorCode::kShapeMismatch,
                  "backward: a tensor of shape " + root.shape().to_string() + " needs a jacobian of that shape");
    return ones(root.shape(), root.dtype());
  }
  if (jacobian.shape() != root.shape())
    throw Error(ErrorCode::kShapeMismatch, "backward: tensor has shape " + root.shape().to_string() +
                                               ", jacobian has shape " + jacobian.shape().to_string());
  return jacobian.dtype() == root.dtype() ? jacobian : astype(jacobian, root.dtype());
}

}  // namespace

Walk::Walk(const Tensor& root, const Tensor& jacobian, BackwardOptions options) : options_(options) {
  TensorImpl& impl = root.checked_impl();
  if (!impl.requires_grad)
    throw Error(ErrorCode::kInvalidArgument, "backward: nothing that this tensor was computed from requires gradients");
  const Tensor start = starting_gradient(root, jacobian);
  if (!impl.node) {
    deliver({nullptr, ImplRef(&impl)}, start, UINT64_MAX, 0);
    return;
  }
  collect(impl.node.get());
  deliver({impl.node, nullptr}, start, UINT64_MAX, 0);
  ready_.push(impl.node.get());
}

Node* Walk::next_async() {
  std::optional<NoGrad> guard;
  if (!options_.create_graph) guard.emplace();
  while (!ready_.empty()) {
    Node* node = ready_.top();
    ready_.pop();
    if (node->is_async()) return node;
    std::vector<Tensor> gradients(node->edges().size());
    if (const Tensor incoming = take(node); incoming.defined()) node->backward(incoming, gradients);
    finish(node, gradients);
  }
  return nullptr;
}

Tensor Walk::take(Node* node) {
  State& state = states_.at(node);
  Tensor total = sum_of(state.arrived);
  state.arrived.clear();
  if (node->output && total.defined()) {
    // Held only if somebody still does: the saved graph goes when it is consumed.
    TensorImpl* output = node->output;
    outputs_.emplace_back(ImplRef(output), tagged_gradient(total, output->tag));
  }
  return total;
}

void Walk::finish(Node* node, const std::vector<Tensor>& gradients) {
  const auto edges = node->edges();
  for (size_t i = 0; i < edges.size(); ++i) {
    if (!edges[i].needed()) continue;
    if (gradients[i].defined()) deliver(edges[i], gradients[i], node->sequence(), i);
    if (edges[i].node && --states_.at(edges[i].node.get()).waiting == 0) ready_.push(edges[i].node.get());
  }
}

Gradients Walk::result() {
  for (auto& [leaf, arrived] : leaves_) std::sort(arrived.begin(), arrived.end());
  std::sort(leaves_.begin(), leaves_.end(), [](const Leaf& a, const Leaf& b) { return a.second[0] < b.second[0]; });
  std::vector<Gradients::Entry> entries;
  // A gradient with a graph refers to the tensors that it was computed from. In
  // their .grad it would keep them alive for ever, so that has the values alone.
  const auto values = [](const Tensor& gradient, const ImplRef& of) {
    return to_ref(gradient.requires_grad() ? tagged_gradient(gradient.detach(), of->tag) : gradient);
  };
  std::vector<Tensor> totals;
  for (auto& [leaf, arrived] : leaves_) totals.push_back(sum_of(arrived));
  kernels::compute_all(totals);
  for (size_t i = 0; i < leaves_.size(); ++i) {
    const ImplRef& leaf = leaves_[i].first;
    Tensor total = tagged_gradient(totals[i], leaf->tag);
    leaf->grad = values(total, leaf);
    entries.push_back({to_tensor(leaf), total});
  }
  for (auto& [output, gradient] : outputs_) output->grad = values(gradient, output);
  outputs_.clear();
  if (!options_.retain_graph && !options_.create_graph)
    for (const util::Ref<Node>& node : nodes_) node->consume();
  return Gradients(std::move(entries));
}

// Finds every node below `root` and counts what each waits for.
void Walk::collect(Node* root) {
  std::vector<Node*> frontier{root};
  states_.try_emplace(root);
  while (!frontier.empty()) {
    Node* node = frontier.back();
    frontier.pop_back();
    if (node->consumed())
      throw Error(ErrorCode::kGone, "backward: the graph through " + std::string(node->name()) +
                                        " was consumed by an earlier backward; pass retain_graph to keep it");
    nodes_.emplace_back(node);
    for (const Node::Edge& edge : node->edges()) {
      if (!edge.node) continue;
      const auto [state, fresh] = states_.try_emplace(edge.node.get());
      ++state->second.waiting;
      if (fresh) frontier.push_back(edge.node.get());
    }
  }
}

void Walk::deliver(const Node::Edge& edge, const Tensor& given, uint64_t from, size_t index) {
  // What the caller or an awaited function gave may have a graph of its own.
  const Tensor gradient = given.requires_grad() && !options_.create_graph ? given.detach() : given;
  if (edge.node) {
    states_.at(edge.node.get()).arrived.push_back({from, index, gradient});
    return;
  }
  const auto [at, fresh] = leaf_index_.try_emplace(edge.leaf.get(), leaves_.size());
  if (fresh) leaves_.emplace_back(edge.leaf, std::vector<Arrival>());
  leaves_[at->second].second.push_back({from, index, gradient});
}

Tensor Walk::sum_of(std::vector<Arrival>& arrived) {
  std::sort(arrived.begin(), arrived.end());
  Tensor total;
  for (const Arrival& one : arrived) total = total.defined() ? total + one.gradient : one.gradient;
  return total;
}

}  // namespace sm
