#pragma once

#include <array>
#include <cstdint>
#include <memory_resource>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ops/part.hpp"
#include "shumai/gradients.hpp"
#include "tensor/impl.hpp"

namespace sm {

// One backward pass. Every node waits until all that it feeds have delivered,
// then runs once; nodes that are ready run in the reverse of the order in
// which they were made. Gradients that meet are added in a fixed order, so
// the result doesn't depend on which branch of an async pass came first.
// Gradients of slices of one tensor are put side by side instead.
//
//   Walk walk(root, jacobian, options);
//   while (Node* node = walk.next_async()) { ... take(node) ... finish(node, gradients) ... }
//   Gradients found = walk.result();   // once every async node has been finished
//
// Use it from the graph's own thread. The root must live as long. Several walks
// may be under way in one graph.
class Walk {
 public:
  // Throws Error as Tensor::backward does.
  Walk(const Tensor& root, const Tensor& jacobian, BackwardOptions options);
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  // Runs every node that is ready, up to the first one that has to be awaited,
  // and returns that. Null when none is ready, for now or for good.
  Node* next_async();

  // The gradient that has gathered at `node`; undefined when none came.
  Tensor take(Node* node);

  // Passes on what `node`'s inputs get, one for each edge; undefined counts as zero. The tensors are moved from.
  void finish(Node* node, std::span<Tensor> gradients);

  // Sets .grad, and consumes the graph unless told otherwise.
  Gradients result();

 private:
  template <class T>
  using List = std::pmr::vector<T>;

  struct Arrival {
    Arrival(Tensor gradient, uint64_t from, size_t index) noexcept
        : gradient(std::move(gradient)), from(from), index(static_cast<uint32_t>(index)) {}
    Tensor gradient;
    uint64_t from;  // the sequence of the node that sent it
    uint32_t index;
    int32_t next = -1;  // in the same queue; -1 at its end
    int32_t part = -1;  // what it is the gradient of, in parts_; -1: of the whole
    bool before(const Arrival& other) const { return from != other.from ? from > other.from : index < other.index; }
  };
  // Arrivals in the order in which they are added up.
  struct Queue {
    int32_t first = -1;
    int32_t last = -1;
  };
  struct State {
    Node* node;
    int waiting = 0;
    Queue arrived;
  };
  struct Leaf {
    Leaf(TensorImpl* leaf, ImplRef* edge) noexcept : leaf(leaf), edge(edge) {}
    TensorImpl* leaf;
    ImplRef* edge;  // which refers to it, and gives that up where the graph is consumed
    ImplRef held;   // where the edge can't
    Queue arrived;
  };
  // What a node computed, while somebody holds it, and its gradient.
  struct Output {
    TensorImpl* output;
    ImplRef held;  // where others than this walk may run, and let go of it
    Tensor gradient;
  };

  void collect(Node* root);
  bool meet(Node* node);
  State& state_of(Node* node);
  Leaf& leaf_of(ImplRef& leaf);
  void run(Node* node);
  bool defer(Node* node, const Tensor& incoming);
  Tensor arrived_at(Node* node);
  void note_output(Node* node, Tensor gradient);
  bool consumes() const { return !options_.retain_graph && !options_.create_graph; }
  void set_gradients(std::vector<Gradients::Entry>& entries);
  void deliver(Node::Edge& edge, Tensor gradient, uint64_t from, size_t index);
  Tensor without_graph(Tensor gradient) const;
  void enqueue(Queue& queue, Tensor gradient, uint64_t from, size_t index);
  Tensor sum_of(const Queue& queue);
  Tensor join(std::span<const int32_t> arrivals);

  BackwardOptions options_;
  // What follows lives here while it is small, which saves a dozen allocations a pass.
  std::array<std::byte, 1536> memory_;
  std::pmr::monotonic_buffer_resource arena_{memory_.data(), memory_.size()};
  List<State> states_{&arena_};
  List<Arrival> arrivals_{&arena_};
  List<Node*> ready_{&arena_};  // a heap
  List<Leaf> leaves_{&arena_};
  List<Output> outputs_{&arena_};
  std::vector<ops::Part> parts_;
  std::unordered_map<TensorImpl*, size_t> leaf_index_;  // once there are many
  std::vector<util::Ref<Node>> kept_;                   // where a node may let go of others in its backward
};

}  // namespace sm
