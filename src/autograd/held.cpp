#include "autograd/held.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "tensor/impl.hpp"

namespace sm {

namespace {

// What was seen before: most graphs are small enough to compare with all of it.
class Seen {
 public:
  // True the first time.
  bool insert(const void* item) {
    if (few_ < kFew) {
      if (std::find(first_.begin(), first_.begin() + few_, item) != first_.begin() + few_) return false;
      first_[few_++] = item;
      return true;
    }
    if (more_.empty()) more_.insert(first_.begin(), first_.end());
    return more_.insert(item).second;
  }

 private:
  static constexpr size_t kFew = 16;
  std::array<const void*, kFew> first_;
  size_t few_ = 0;
  std::unordered_set<const void*> more_;
};

}  // namespace

std::vector<HeldBlock> held_by(const Tensor& output) {
  constexpr size_t kUsual = 4;
  std::vector<HeldBlock> held;
  held.reserve(kUsual);
  Seen blocks;
  const auto keep = [&](TensorImpl& saved) {
    const auto add = [&](const util::Buffer& buffer) {
      if (blocks.insert(&buffer)) held.push_back({&buffer, buffer.size(), bool(saved.stands_for)});
    };
    if (const PendingRef pending = saved.pending())
      pending->visit_held(add);
    else
      add(*saved.storage());
  };
  keep(*output.impl());
  std::vector<Node*> todo;
  Seen seen;
  const auto reach = [&](Node* node) {
    if (node && !node->consumed() && seen.insert(node)) todo.push_back(node);
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
