#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>
#include <queue>
#include <unordered_map>

#include "autograd/function.hpp"
#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm {
namespace {

namespace asio = boost::asio;

// One backward pass. Every node waits until all that it feeds have delivered,
// then runs once; nodes that are ready run in the reverse of the order in
// which they were made. Gradients that meet are added in a fixed order, so
// the result doesn't depend on which branch of an async pass came first.
class Walk {
 public:
  Walk(const Tensor& root, const Tensor& jacobian, BackwardOptions options) : options_(options) {
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

  // True while there is a node to run. An async one isn't run but returned.
  FunctionNode* step_until_async() {
    std::optional<NoGrad> guard;
    if (!options_.create_graph) guard.emplace();
    while (!ready_.empty()) {
      Node* node = ready_.top();
      ready_.pop();
      if (node->is_async()) return static_cast<FunctionNode*>(node);
      std::vector<Tensor> gradients(node->edges().size());
      if (const Tensor incoming = take(node); incoming.defined()) node->backward(incoming, gradients);
      finish(node, gradients);
    }
    return nullptr;
  }

  // The gradient that has gathered at `node`; undefined when none came.
  Tensor take(Node* node) {
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

  void finish(Node* node, const std::vector<Tensor>& gradients) {
    const auto edges = node->edges();
    for (size_t i = 0; i < edges.size(); ++i) {
      if (!edges[i].needed()) continue;
      if (gradients[i].defined()) deliver(edges[i], gradients[i], node->sequence(), i);
      if (edges[i].node && --states_.at(edges[i].node.get()).waiting == 0) ready_.push(edges[i].node.get());
    }
  }

  Gradients result() {
    for (auto& [leaf, arrived] : leaves_) std::sort(arrived.begin(), arrived.end());
    std::sort(leaves_.begin(), leaves_.end(), [](const Leaf& a, const Leaf& b) { return a.second[0] < b.second[0]; });
    std::vector<Gradients::Entry> entries;
    for (auto& [leaf, arrived] : leaves_) {
      Tensor total = tagged_gradient(sum_of(arrived), leaf->tag);
      leaf->grad = to_ref(total);
      entries.push_back({to_tensor(leaf), total});
    }
    for (auto& [output, gradient] : outputs_) output->grad = to_ref(gradient);
    outputs_.clear();
    if (!options_.retain_graph && !options_.create_graph)
      for (const util::Ref<Node>& node : nodes_) node->consume();
    return Gradients(std::move(entries));
  }

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

  static Tensor starting_gradient(const Tensor& root, const Tensor& jacobian) {
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

  // Finds every node below `root` and counts what each waits for.
  void collect(Node* root) {
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

  void deliver(const Node::Edge& edge, const Tensor& gradient, uint64_t from, size_t index) {
    if (edge.node) {
      states_.at(edge.node.get()).arrived.push_back({from, index, gradient});
      return;
    }
    const auto [at, fresh] = leaf_index_.try_emplace(edge.leaf.get(), leaves_.size());
    if (fresh) leaves_.emplace_back(edge.leaf, std::vector<Arrival>());
    leaves_[at->second].second.push_back({from, index, gradient});
  }

  static Tensor sum_of(std::vector<Arrival>& arrived) {
    std::sort(arrived.begin(), arrived.end());
    Tensor total;
    for (const Arrival& one : arrived) total = total.defined() ? total + one.gradient : one.gradient;
    return total;
  }

  BackwardOptions options_;
  std::vector<util::Ref<Node>> nodes_;
  std::unordered_map<Node*, State> states_;
  std::priority_queue<Node*, std::vector<Node*>, Later> ready_;
  std::vector<Leaf> leaves_;
  std::unordered_map<TensorImpl*, size_t> leaf_index_;
  std::vector<std::pair<ImplRef, Tensor>> outputs_;
};

// Awaits the branches that cross the network while it goes on with the rest.
class AsyncWalk {
 public:
  AsyncWalk(Walk& walk, asio::any_io_executor executor)
      : walk_(walk), executor_(executor), wake_(executor, asio::steady_timer::time_point::max()) {}

  Task<> run() {
    // Branches refer to this frame, so it stays until the last one has ended.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (true) {
      while (FunctionNode* node = failure_ ? nullptr : next()) launch(node);
      if (running_ == 0) break;
      boost::system::error_code ignored;
      if (!advanced_) co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      advanced_ = false;
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  FunctionNode* next() {
    try {
      return walk_.step_until_async();
    } catch (...) {
      failure_ = std::current_exception();
      return nullptr;
    }
  }

  void launch(FunctionNode* node) {
    const Tensor incoming = walk_.take(node);
    if (!incoming.defined()) return walk_.finish(node, std::vector<Tensor>(node->edges().size()));
    ++running_;
    asio::co_spawn(executor_, node->backward_async(incoming),
                   [this, node](std::exception_ptr error, std::vector<Tensor> gradients) {
                     --running_;
                     advanced_ = true;
                     if (!error) walk_.finish(node, gradients);
                     else if (!failure_) failure_ = error;
                     wake_.cancel();
                   });
  }

  Walk& walk_;
  asio::any_io_executor executor_;
  asio::steady_timer wake_;
  int running_ = 0;
  bool advanced_ = false;
  std::exception_ptr failure_;
};

// Takes the root by value: a task may outlive the handle that made it.
Task<Gradients> backward_from(Tensor root, Tensor jacobian, BackwardOptions options) {
  Walk walk(root, jacobian, options);
  AsyncWalk branches(walk, co_await asio::this_coro::executor);
  co_await branches.run();
  co_return walk.result();
}

}  // namespace

Gradients Tensor::backward(const Tensor& jacobian, BackwardOptions options) const {
  Walk walk(*this, jacobian, options);
  if (walk.step_until_async())
    throw Error(ErrorCode::kInvalidArgument, "backward: the graph crosses the network, await backward_async instead");
  return walk.result();
}

Task<Gradients> Tensor::backward_async(Tensor jacobian, BackwardOptions options) const {
  return backward_from(*this, std::move(jacobian), options);
}

}  // namespace sm
