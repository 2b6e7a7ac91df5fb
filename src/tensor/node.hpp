#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "shumai/tensor.hpp"
#include "util/ref.hpp"

namespace sm {

// One step of a recorded computation: how the gradient of its output becomes
// the gradients of its inputs. Nodes form a graph through their edges, which
// point to the nodes and leaves that made the inputs.
//
// Thread rule: one graph is built, walked and destroyed by one logical thread.
class Node : public util::RefCounted {
 public:
  // Where an input's gradient goes: to the node that made it, to a leaf, or
  // (neither set) nowhere.
  struct Edge {
    util::Ref<Node> node;
    util::Ref<TensorImpl> leaf;
    bool needed() const noexcept { return node || leaf; }
  };

  Node() noexcept;
  virtual ~Node() = default;

  virtual std::string_view name() const noexcept = 0;
  virtual std::span<Edge> edges() noexcept = 0;

  // Writes the gradient of each input whose edge is needed; an undefined one counts as zero.
  virtual void backward(const Tensor& gradient, std::span<Tensor> input_gradients) = 0;

  // True when the gradient has to be awaited: the node is then a FunctionNode (autograd/function.hpp).
  virtual bool is_async() const noexcept { return false; }

  // Calls `visit` with each tensor that the node keeps for its backward.
  virtual void visit_saved(const std::function<void(TensorImpl&)>& visit) const = 0;

  // False for the library's own operations, whose backward can't reach the graph that they are in.
  bool calls_out() const noexcept { return calls_out_; }

  // Lets go of saved tensors and of the edges. A consumed node can't run again.
  void consume() noexcept;
  bool consumed() const noexcept { return consumed_; }

  // Grows with every node made on any thread, so inputs have smaller numbers than what they feed.
  uint64_t sequence() const noexcept { return sequence_; }

  // The tensor that this node computed, while somebody holds it. Not owned.
  TensorImpl* output = nullptr;

  // Where the last Walk that met this node keeps what it knows of it: a hint, which the walk checks.
  uint32_t place = 0;

  // Destroys a chain of any length without recursion.
  static void destroy(Node* node) noexcept;

 protected:
  virtual void release_saved() noexcept = 0;
  bool calls_out_ = true;

 private:
  bool consumed_ = false;
  uint64_t sequence_;
  Node* next_doomed_ = nullptr;
};

// The edge for `input`: its node, itself when it is a leaf that requires gradients, or none.
Node::Edge edge_to(const Tensor& input) noexcept;

// Makes `output` the result of `node`.
void attach(const Tensor& output, util::Ref<Node> node) noexcept;

}  // namespace sm
