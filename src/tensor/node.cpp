#include "tensor/node.hpp"

#include <atomic>
#include <utility>

#include "tensor/impl.hpp"

namespace sm {
namespace {

std::atomic<uint64_t> next_sequence{1};

// Where nodes wait whose last reference went while another was being destroyed
// on this thread; null while none is.
constinit thread_local Node** doomed = nullptr;

}  // namespace

Node::Node() noexcept : sequence_(next_sequence.fetch_add(1, std::memory_order_relaxed)) {}

void Node::consume() noexcept {
  consumed_ = true;
  release_saved();
  for (Edge& edge : edges()) edge = {};
}

void Node::destroy(Node* node) noexcept {
  // A consumed node holds no others.
  if (node->consumed_) {
    delete node;
    return;
  }
  if (doomed) {
    node->next_doomed_ = std::exchange(*doomed, node);
    return;
  }
  Node* waiting = node;
  doomed = &waiting;
  while (waiting) {
    Node* next = std::exchange(waiting, waiting->next_doomed_);
    delete next;
  }
  doomed = nullptr;
}

Node::Edge edge_to(const Tensor& input) noexcept {
  TensorImpl* impl = input.impl();
  if (impl->node) return {impl->node, nullptr};
  if (impl->stands_for) return {nullptr, impl->stands_for};
  if (impl->requires_grad) return {nullptr, ImplRef(impl)};
  return {};
}

void attach(const Tensor& output, util::Ref<Node> node) noexcept {
  TensorImpl* impl = output.impl();
  node->output = impl;
  impl->node = std::move(node);
  impl->requires_grad = true;
}

}  // namespace sm
