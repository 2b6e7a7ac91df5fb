#include "tensor/node.hpp"

#include <atomic>
#include <vector>

#include "tensor/impl.hpp"

namespace sm {
namespace {

std::atomic<uint64_t> next_sequence{1};

// Nodes whose last reference went while another node was being destroyed on this thread.
thread_local std::vector<Node*>* pending = nullptr;

}  // namespace

Node::Node() noexcept : sequence_(next_sequence.fetch_add(1, std::memory_order_relaxed)) {}

void Node::consume() noexcept {
  consumed_ = true;
  release_saved();
  for (Edge& edge : edges()) edge = {};
}

void Node::destroy(Node* node) noexcept {
  if (pending) {
    pending->push_back(node);
    return;
  }
  std::vector<Node*> doomed{node};
  pending = &doomed;
  while (!doomed.empty()) {
    Node* next = doomed.back();
    doomed.pop_back();
    delete next;
  }
  pending = nullptr;
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
