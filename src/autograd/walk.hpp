#pragma once

#include <cstdint>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shumai/gradients.hpp"
#include "tensor/impl.hpp"

namespace sm {

// One backward pass. Every node waits until all that it feeds have delivered,
// then runs once; nodes that are ready run in the reverse of the order in
// which they were made. Gradients that meet are added in a fixed order, so
// the result doesn't depend on which branch of an async pass came first.
//
//   Walk walk(root, jacobian, options);
//   while (Node* node = walk.next_async()) { ... take(node) ... finish(node, gradients) ... }
//   Gradients found = walk.result();   // once every async node has been finished
//
// Use it from the graph's own thread.
class Walk {
 public:
  // Throws Error as Tensor::backward does.
  Walk(const Tensor& root, const Tensor& jacobian, BackwardOptions options);

  // Runs every node that is ready, up to the first one that has to be awaited,
  // and returns that. Null when none is ready, for now or for good.
  Node* next_async();

  // The gradient that has gathered at `node`; undefined when none came.
  Tensor take(Node* node);

  // Passes on what `node`'s inputs get, one for each edge; undefined counts as zero.
  void finish(Node* node, const std::vector<Tensor>& gradients);

  // Sets .grad, and consumes the graph unless told otherwise.
  Gradients result();

 private:
  struct Arrival {
    uint64_t from;  // the sequence of the node that sent it
    size_t index;
    Tensor gradient;
    bool operator<(const Arrival& other) const { return from != other.from ? from > other.from : index < other.index; }
  };
  using Leaf = std::pair<ImplRef, std::vector<Arrival>>;
  struct State {
    int waiting = 0;
    std::vector<Arrival> arrived;
  };
  struct Later {
    bool operator()(const Node* a, const Node* b) const { return a->sequence() < b->sequence(); }
  };

  void collect(Node* root);
  void deliver(const Node::Edge& edge, const Tensor& gradient, uint64_t from, size_t index);
  static Tensor sum_of(std::vector<Arrival>& arrived);

  BackwardOptions options_;
  std::vector<util::Ref<Node>> nodes_;
  std::unordered_map<Node*, State> states_;
  std::priority_queue<Node*, std::vector<Node*>, Later> ready_;
  std::vector<Leaf> leaves_;
  std::unordered_map<TensorImpl*, size_t> leaf_index_;
  std::vector<std::pair<ImplRef, Tensor>> outputs_;
};

}  // namespace sm
