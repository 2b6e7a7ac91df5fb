#include "shumai/checkpoint.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>

#include "autograd/walk.hpp"
#include "shumai/error.hpp"
#include "shumai/random.hpp"
#include "tensor/impl.hpp"
#include "tensor/recording.hpp"

namespace sm {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kInvalidArgument, "checkpoint: " + what); }

// A leaf that the function uses, and the value that it had.
struct Weight {
  ImplRef leaf;
  Tensor value;
};

// Gives a leaf an earlier value for a while.
class Earlier {
 public:
  explicit Earlier(const Weight& weight) : leaf_(weight.leaf), now_(make_alias(to_tensor(leaf_))) {
    leaf_->share_elements(*weight.value.impl());
  }
  Earlier(Earlier&& other) noexcept = default;
  ~Earlier() {
    if (leaf_) leaf_->share_elements(*now_.impl());
  }

 private:
  ImplRef leaf_;
  Tensor now_;
};

// Rewinds the random stream for a while.
class Rewound {
 public:
  explicit Rewound(RandomState state) : now_(random_state()) { set_random_state(state); }
  Rewound(const Rewound&) = delete;
  Rewound& operator=(const Rewound&) = delete;
  ~Rewound() { set_random_state(now_); }

 private:
  RandomState now_;
};

// A backward pass inside another shouldn't leave gradients on the leaves.
class KeptGradient {
 public:
  explicit KeptGradient(ImplRef leaf) : leaf_(std::move(leaf)), gradient_(leaf_->grad) {}
  KeptGradient(KeptGradient&& other) noexcept = default;
  ~KeptGradient() {
    if (leaf_) leaf_->grad = std::move(gradient_);
  }

 private:
  ImplRef leaf_;
  ImplRef gradient_;
};

// The inputs as leaves, for a graph that ends at them.
std::vector<Tensor> leaves_of(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(make_alias(input));
    leaves.back().impl()->requires_grad = input.requires_grad();
  }
  return leaves;
}

class CheckpointNode final : public Node {
 public:
  CheckpointNode(Function function, const std::vector<Tensor>& inputs, std::vector<Weight> weights, RandomState random)
      : function_(std::move(function)), weights_(std::move(weights)), random_(random) {
    for (const Tensor& input : inputs) {
      edges_.push_back(edge_to(input));
      inputs_.push_back(make_alias(input));
      inputs_.back().impl()->requires_grad = input.requires_grad();
    }
    for (const Weight& weight : weights_) edges_.push_back({nullptr, weight.leaf});
  }

  std::string_view name() const noexcept override { return "checkpoint"; }
  std::span<Edge> edges() noexcept override { return edges_; }

  void backward(const Tensor& gradient, std::span<Tensor> input_gradients) override {
    if (grad_enabled()) fail("its result can be differentiated only once, create_graph isn't supported");
    std::vector<KeptGradient> kept;
    for (const Weight& weight : weights_) kept.emplace_back(weight.leaf);
    const std::vector<Tensor> inputs = leaves_of(inputs_);
    const Tensor output = run_again(inputs);
    if (output.shape() != gradient.shape())
      fail("the function gave shape " + gradient.shape().to_string() + " at first, and " + output.shape().to_string() +
           " in backward");
    const Gradients found = output.backward(gradient);
    for (size_t i = 0; i < inputs.size(); ++i) input_gradients[i] = found.of(inputs[i]);
    for (size_t i = 0; i < weights_.size(); ++i)
      input_gradients[inputs.size() + i] = found.of(to_tensor(weights_[i].leaf));
  }

  void visit_saved(const std::function<void(TensorImpl&)>& visit) const override {
    for (const Tensor& input : inputs_) visit(*input.impl());
    for (const Weight& weight : weights_) visit(*weight.value.impl());
  }

 private:
  Tensor run_again(const std::vector<Tensor>& inputs) const {
    std::vector<Earlier> values;
    values.reserve(weights_.size());
    for (const Weight& weight : weights_) values.emplace_back(weight);
    const Rewound random(random_);
    const Recording on(true);
    return function_(inputs);
  }

  void release_saved() noexcept override {
    function_ = {};
    inputs_.clear();
    weights_.clear();
  }

  Function function_;
  std::vector<Edge> edges_;
  std::vector<Tensor> inputs_;
  std::vector<Weight> weights_;
  RandomState random_;
};

// Numbers of nodes made from now on are larger.
class Marker final : public Node {
 public:
  std::string_view name() const noexcept override { return "marker"; }
  std::span<Edge> edges() noexcept override { return {}; }
  void backward(const Tensor&, std::span<Tensor>) override {}
  void visit_saved(const std::function<void(TensorImpl&)>&) const override {}

 private:
  void release_saved() noexcept override {}
};

// The leaves that the graph of `output` ends at, but the function's inputs; in the order of the graph.
class LeafSearch {
 public:
  LeafSearch(const std::vector<Tensor>& inputs, uint64_t since) : since_(since) {
    for (const Tensor& input : inputs) seen_.insert(input.impl());
  }

  std::vector<Weight> below(const Tensor& output) {
    visit(edge_to(output));
    while (!todo_.empty()) {
      Node* node = todo_.back();
      todo_.pop_back();
      for (const Node::Edge& edge : node->edges()) visit(edge);
    }
    return std::move(found_);
  }

 private:
  void visit(const Node::Edge& edge) {
    if (edge.leaf && seen_.insert(edge.leaf.get()).second)
      found_.push_back({edge.leaf, make_alias(to_tensor(edge.leaf))});
    Node* node = edge.node.get();
    if (!node || !seen_.insert(node).second) return;
    if (node->sequence() < since_)
      fail("the function uses a result of " + std::string(node->name()) +
           " from outside; pass it as an input, so that its gradient can go on");
    if (node->is_async()) fail("the function crosses the network, which can't be done again in backward");
    todo_.push_back(node);
  }

  uint64_t since_;
  std::unordered_set<const void*> seen_;
  std::vector<Node*> todo_;
  std::vector<Weight> found_;
};

}  // namespace

Tensor checkpoint(Function function, std::vector<Tensor> inputs) {
  if (!function) fail("the function is empty");
  if (!grad_enabled()) return function(inputs);
  for (const Tensor& input : inputs) input.checked_impl();
  const RandomState random = random_state();
  const util::Ref<Marker> start(new Marker);
  const std::vector<Tensor> leaves = leaves_of(inputs);
  Tensor computed = function(leaves);
  if (!computed.requires_grad()) return computed;
  std::vector<Weight> weights = LeafSearch(leaves, start->sequence()).below(computed);
  Tensor out = make_alias(computed);
  attach(out, util::Ref<Node>(new CheckpointNode(std::move(function), inputs, std::move(weights), random)));
  return out;
}

}  // namespace sm
