#include "autograd/held.hpp"

#include <unordered_set>

#include "tensor/impl.hpp"

namespace sm {

std::vector<HeldBlock> held_by(const Tensor& output) {
  std::vector<HeldBlock> held;
  std::unordered_set<const void*> blocks;
  const auto keep = [&](TensorImpl& saved) {
    const auto add = [&](const util::Buffer& buffer) {
      if (blocks.insert(&buffer).second) held.push_back({&buffer, buffer.size(), bool(saved.stands_for)});
    };
    if (const PendingRef pending = saved.pending())
      pending->visit_held(add);
    else
      add(*saved.storage());
  };
  keep(*output.impl());
  std::vector<Node*> todo;
  std::unordered_set<const Node*> seen;
  const auto reach = [&](Node* node) {
    if (node && !node->consumed() && seen.insert(node).second) todo.push_back(node);
  };
  reach(output.impl()->node.get());
  while (!todo.empty()) {
    Node* node = todo.back();
    todo.pop_back();
    node->visit_saved(keep);
    for (const Node::Edge& edge : node->edges()) reach(edge.node.get());
  }
  return held;
}

}  // namespace sm
