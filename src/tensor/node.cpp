#include "tensor/node.hpp"

#include <atomic>
#include <utility>

#include "tensor/impl.hpp"

namespace sm {
namespace {

// Numbers are given out in blocks. A thread goes on with its own for as long as
// no other was given out: then all that was made before has smaller ones.
constexpr uint64_t kBlock = 1024;
std::atomic<uint64_t> last_end{1};

struct Numbers {
  uint64_t next = 0;
  uint64_t end = 0;
};
// Reached directly, as what util/block_cache.hpp says.
[[gnu::tls_model("initial-exec")]] constinit thread_local Numbers numbers;

uint64_t next_sequence() noexcept {
  Numbers& mine = numbers;
  if (mine.next == mine.end || last_end.load(std::memory_order_relaxed) != mine.end) [[unlikely]] {
    mine.next = last_end.fetch_add(kBlock, std::memory_order_relaxed);
    mine.end = mine.next + kBlock;
  }
  return mine.next++;
}

// Where nodes wait whose last reference went while another was being destroyed
// on this thread; null while none is.
constinit thread_local Node** doomed = nullptr;

}  // namespace

Node::Node() noexcept : sequence_(next_sequence()) {}

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
