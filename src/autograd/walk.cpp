#include "autograd/walk.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "autograd/function.hpp"
#include "kernels/pointwise.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/recording.hpp"

namespace sm {
namespace {

Tensor starting_gradient(const Tensor& root, const Tensor& jacobian) {
  if (!jacobian.defined()) {
    if (root.elements() != 1)
      throw Error(ErrorCode::kShapeMismatch,
                  "backward: a tensor of shape " + root.shape().to_string() +
                      " needs a jacobian of that shape; without one, only a tensor of one element, such as a loss, has "
                      "a gradient");
    Tensor one = make_tensor(root.shape(), root.dtype());
    if (root.dtype() == DType::f32)
      *one.impl()->as<float>() = 1;
    else
      kernels::fill(one, 1);
    return one;
  }
  if (jacobian.shape() != root.shape())
    throw Error(ErrorCode::kShapeMismatch, "backward: expected a jacobian of the output's shape " +
                                               root.shape().to_string() + ", got " + jacobian.shape().to_string());
  return jacobian.dtype() == root.dtype() ? jacobian : astype(jacobian, root.dtype());
}

// The reference that `tensor` has, without counting where nobody else has one.
ImplRef take_ref(Tensor tensor) {
  if (!tensor.impl()->unique()) return to_ref(tensor);
  TensorImpl* impl = tensor.impl();
  alignas(Tensor) std::byte held[sizeof(Tensor)];
  new (held) Tensor(std::move(tensor));  // never destroyed
  return ImplRef::first(impl);
}

bool made_earlier(const Node* a, const Node* b) { return a->sequence() < b->sequence(); }

}  // namespace

Walk::Walk(const Tensor& root, const Tensor& jacobian, BackwardOptions options) : options_(options) {
  TensorImpl& impl = root.checked_impl();
  if (!impl.requires_grad)
    throw Error(ErrorCode::kInvalidArgument,
                "backward: nothing that this tensor was computed from requires gradients; set requires_grad on the "
                "weights before computing with them");
  Tensor start = starting_gradient(root, jacobian);
  states_.reserve(8);
  arrivals_.reserve(8);
  ready_.reserve(8);
  leaves_.reserve(4);
  outputs_.reserve(4);
  if (!impl.node) {
    Leaf& leaf = leaves_.emplace_back(&impl, nullptr);
    leaf.held = ImplRef(&impl);
    enqueue(leaf.arrived, without_graph(std::move(start)), UINT64_MAX, 0);
    return;
  }
  collect(impl.node.get());
  enqueue(states_[0].arrived, without_graph(std::move(start)), UINT64_MAX, 0);
  ready_.push_back(impl.node.get());
}

Node* Walk::next_async() {
  const Recording recording(options_.create_graph && detail::recording);
  const kernels::LongChains guard;
  while (!ready_.empty()) {
    std::pop_heap(ready_.begin(), ready_.end(), made_earlier);
    Node* node = ready_.back();
    ready_.pop_back();
    if (node->is_async()) return node;
    run(node);
  }
  return nullptr;
}

void Walk::run(Node* node) {
  std::array<Tensor, 4> few;
  std::vector<Tensor> many;
  const size_t count = node->edges().size();
  if (count > few.size()) many.resize(count);
  const std::span<Tensor> gradients = count > few.size() ? std::span(many) : std::span(few.data(), count);
  Tensor incoming = arrived_at(node);
  if (incoming.defined() && !defer(node, incoming)) node->backward(incoming, gradients);
  finish(node, gradients);
  note_output(node, std::move(incoming));
}

// Passes the gradient of a slice on as it is, to be put in its place together with others.
bool Walk::defer(Node* node, const Tensor& incoming) {
  ops::Part part;
  if (incoming.impl()->shape.empty() || !node->edges()[0].needed() || !ops::part_of_node(*node, part)) return false;
  parts_.push_back(std::move(part));
  deliver(node->edges()[0], incoming, node->sequence(), 0);
  arrivals_.back().part = static_cast<int32_t>(parts_.size()) - 1;
  return true;
}

Tensor Walk::take(Node* node) {
  Tensor total = arrived_at(node);
  note_output(node, total);
  return total;
}

Tensor Walk::arrived_at(Node* node) {
  State& state = state_of(node);
  Tensor total = sum_of(state.arrived);
  state.arrived = {};
  return total;
}

void Walk::note_output(Node* node, Tensor gradient) {
  // Held only if somebody still does: the saved graph goes when it is consumed.
  TensorImpl* output = node->output;
  if (!output || !gradient.defined()) return;
  if (output->tag) gradient = tagged_gradient(gradient, output->tag);
  outputs_.push_back({output, kept_.empty() ? ImplRef() : ImplRef(output), std::move(gradient)});
}

void Walk::finish(Node* node, std::span<Tensor> gradients) {
  const auto edges = node->edges();
  for (size_t i = 0; i < edges.size(); ++i) {
    if (!edges[i].needed()) continue;
    if (gradients[i].defined()) deliver(edges[i], std::move(gradients[i]), node->sequence(), i);
    Node* next = edges[i].node.get();
    if (!next || --state_of(next).waiting > 0) continue;
    ready_.push_back(next);
    std::push_heap(ready_.begin(), ready_.end(), made_earlier);
  }
}

Gradients Walk::result() {
  std::sort(leaves_.begin(), leaves_.end(), [&](const Leaf& a, const Leaf& b) {
    return arrivals_[a.arrived.first].before(arrivals_[b.arrived.first]);
  });
  std::vector<Gradients::Entry> entries;
  set_gradients(entries);
  leaves_.clear();
  outputs_.clear();
  if (consumes()) {
    // From the leaves up, so that each is still held by what it feeds.
    std::sort(states_.begin(), states_.end(),
              [](const State& a, const State& b) { return made_earlier(a.node, b.node); });
    for (const State& state : states_) state.node->consume();
  }
  states_.clear();
  return Gradients(std::move(entries));
}

void Walk::set_gradients(std::vector<Gradients::Entry>& entries) {
  // A gradient with a graph refers to the tensors that it was computed from. In
  // their .grad it would keep them alive for ever, so that has the values alone.
  const auto values = [](Tensor gradient, const TensorImpl& of) {
    if (gradient.requires_grad()) gradient = tagged_gradient(gradient.detach(), of.tag);
    return take_ref(std::move(gradient));
  };
  List<Tensor> totals{&arena_};
  totals.reserve(leaves_.size());
  for (const Leaf& found : leaves_) totals.push_back(sum_of(found.arrived));
  kernels::compute_all(totals);
  // One that is replaced may be the last to hold an output, so it stays until all are set.
  List<ImplRef> replaced{&arena_};
  replaced.reserve(leaves_.size() + outputs_.size());
  const auto set = [&](TensorImpl& of, Tensor gradient) {
    replaced.push_back(std::exchange(of.grad, values(std::move(gradient), of)));
  };
  entries.reserve(leaves_.size());
  for (size_t i = 0; i < leaves_.size(); ++i) {
    Leaf& found = leaves_[i];
    Tensor total = std::move(totals[i]);
    if (found.leaf->tag) total = tagged_gradient(total, found.leaf->tag);
    set(*found.leaf, total);
    ImplRef& reference = found.held ? found.held : *found.edge;
    entries.push_back({Tensor(reference.leak(), Tensor::Adopt()), std::move(total)});
  }
  for (Output& each : outputs_) set(*each.output, std::move(each.gradient));
}

// Finds every node below `root`, which gets the first state, and counts what each waits for.
void Walk::collect(Node* root) {
  bool calls_out = false;
  List<Node*>& frontier = ready_;
  meet(root);
  frontier.push_back(root);
  while (!frontier.empty()) {
    Node* node = frontier.back();
    frontier.pop_back();
    if (node->consumed())
      throw Error(ErrorCode::kGone, "backward: the graph through " + std::string(node->name()) +
                                        " was consumed by an earlier backward; compute it again, or have that backward "
                                        "keep it (C++: retain_graph, JavaScript: retainGraph)");
    calls_out |= node->calls_out();
    for (const Node::Edge& edge : node->edges()) {
      Node* next = edge.node.get();
      if (!next) continue;
      if (meet(next)) frontier.push_back(next);
      ++states_[next->place].waiting;
    }
  }
  if (calls_out)
    for (const State& state : states_) kept_.emplace_back(state.node);
}

// True when `node` is new. Nothing but this walk moves while it collects.
bool Walk::meet(Node* node) {
  if (node->place < states_.size() && states_[node->place].node == node) return false;
  node->place = static_cast<uint32_t>(states_.size());
  states_.push_back({node, 0, {}});
  return true;
}

Walk::State& Walk::state_of(Node* node) {
  if (node->place >= states_.size() || states_[node->place].node != node) {
    // Another walk was here meanwhile.
    const auto found = std::find_if(states_.begin(), states_.end(), [&](const State& s) { return s.node == node; });
    node->place = static_cast<uint32_t>(found - states_.begin());
  }
  return states_[node->place];
}

Walk::Leaf& Walk::leaf_of(ImplRef& leaf) {
  constexpr size_t kFew = 16;
  if (leaves_.size() <= kFew) {
    const auto found =
        std::find_if(leaves_.begin(), leaves_.end(), [&](const Leaf& l) { return l.leaf == leaf.get(); });
    if (found != leaves_.end()) return *found;
    if (leaves_.size() == kFew)
      for (size_t i = 0; i < kFew; ++i) leaf_index_.emplace(leaves_[i].leaf, i);
  } else if (const auto found = leaf_index_.find(leaf.get()); found != leaf_index_.end()) {
    return leaves_[found->second];
  }
  if (leaves_.size() >= kFew) leaf_index_.emplace(leaf.get(), leaves_.size());
  Leaf& added = leaves_.emplace_back(leaf.get(), &leaf);
  if (!consumes() || !kept_.empty()) added.held = leaf;
  return added;
}

void Walk::deliver(Node::Edge& edge, Tensor gradient, uint64_t from, size_t index) {
  Queue& queue = edge.node ? state_of(edge.node.get()).arrived : leaf_of(edge.leaf).arrived;
  enqueue(queue, without_graph(std::move(gradient)), from, index);
}

// What the caller or an awaited function gave may have a graph of its own.
Tensor Walk::without_graph(Tensor gradient) const {
  const bool keep = options_.create_graph || !gradient.impl()->requires_grad;
  return keep ? std::move(gradient) : gradient.detach();
}

void Walk::enqueue(Queue& queue, Tensor gradient, uint64_t from, size_t index) {
  const auto at = static_cast<int32_t>(arrivals_.size());
  Arrival& added = arrivals_.emplace_back(std::move(gradient), from, index);
  int32_t* link = &queue.first;
  if (queue.last >= 0 && arrivals_[queue.last].before(added)) link = &arrivals_[queue.last].next;
  while (*link >= 0 && arrivals_[*link].before(added)) link = &arrivals_[*link].next;
  added.next = *link;
  *link = at;
  if (added.next < 0) queue.last = at;
}

Tensor Walk::sum_of(const Queue& queue) {
  Tensor total;
  std::vector<int32_t> parts;
  for (int32_t i = queue.first; i >= 0; i = arrivals_[i].next) {
    if (arrivals_[i].part >= 0) {
      parts.push_back(i);
      continue;
    }
    Tensor gradient = std::move(arrivals_[i].gradient);
    total = total.defined() ? total + gradient : std::move(gradient);
  }
  if (parts.empty()) return total;
  const Tensor joined = join(parts);
  return total.defined() ? total + joined : joined;
}

// The sum of parts: those that don't overlap are put side by side, others begin a new row.
Tensor Walk::join(std::span<const int32_t> arrivals) {
  const auto part_of = [&](int32_t i) -> const ops::Part& { return parts_[static_cast<size_t>(arrivals_[i].part)]; };
  std::vector<int32_t> left(arrivals.begin(), arrivals.end());
  std::stable_sort(left.begin(), left.end(), [&](int32_t a, int32_t b) { return part_of(a).start < part_of(b).start; });
  Tensor total;
  while (!left.empty()) {
    const Shape& whole = part_of(left[0]).whole;
    const int axis = part_of(left[0]).axis;
    const DType dtype = arrivals_[left[0]].gradient.dtype();
    std::vector<Tensor> row;
    std::vector<int32_t> later;
    int64_t end = 0;
    const auto fill_to = [&](int64_t start) {
      Shape gap = whole;
      gap[axis] = start - end;
      if (start > end) row.push_back(zeros(gap, dtype));
    };
    for (const int32_t i : left) {
      const ops::Part& part = part_of(i);
      if (part.axis != axis || part.start < end) {
        later.push_back(i);
        continue;
      }
      fill_to(part.start);
      row.push_back(std::move(arrivals_[i].gradient));
      end = part.start + part.count;
    }
    fill_to(whole[axis]);
    const Tensor joined = row.size() == 1 ? row[0] : concatenate(row, axis);
    total = total.defined() ? total + joined : joined;
    left = std::move(later);
  }
  return total;
}

}  // namespace sm
