#include <array>
#include <cassert>
#include <memory>

#include "ops/measure.hpp"
#include "ops/op.hpp"
#include "ops/part.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"
#include "tensor/recording.hpp"

namespace sm::ops {

// An input, or the output, as it was when the graph was made.
//
// A leaf may be updated before backward. Holding its storage is enough for the
// value of now to stay (copy on write); only where the leaf has another value
// by then, or its gradient is to be differentiated, a tensor is made of it.
class Saved {
 public:
  Saved() = default;

  void save(const Tensor& input, const Node::Edge& edge) {
    TensorImpl& impl = *input.impl();
    if (!impl.node &&
        (!impl.is_contiguous || impl.stands_for || impl.pending() || impl.requires_grad != edge.needed())) {
      tensor_ = as_leaf(make_alias(input), edge_to(input));
      return;
    }
    tensor_ = input;
    if (impl.node) return;
    storage_ = impl.storage();
    offset_ = impl.offset;
  }

  bool defined() const { return tensor_.defined(); }
  // The tensor for a rule to read, which leads to `edge` when a graph is recorded.
  const Tensor& get(const Node::Edge& edge) {
    if (storage_ && (detail::recording || !is_as_saved())) restore(edge);
    return tensor_;
  }
  void visit(const Node::Edge& edge, const std::function<void(TensorImpl&)>& visit) const {
    if (!defined()) return;
    Saved copy = *this;
    if (copy.storage_) copy.restore(edge);
    visit(*copy.tensor_.impl());
  }

 private:
  static Tensor as_leaf(Tensor alias, const Node::Edge& edge) {
    alias.impl()->stands_for = edge.leaf;
    alias.impl()->requires_grad = bool(edge.leaf);
    return alias;
  }

  bool is_as_saved() const {
    const TensorImpl& impl = *tensor_.impl();
    return impl.has_storage(storage_) && impl.offset == offset_ && impl.is_contiguous;
  }

  void restore(const Node::Edge& edge) {
    const TensorImpl& impl = *tensor_.impl();
    Tensor alias = make_from_buffer(std::move(storage_), static_cast<size_t>(offset_) * size_of(impl.dtype), impl.shape,
                                    impl.dtype);
    alias.impl()->is_number = impl.is_number;
    storage_ = nullptr;
    tensor_ = as_leaf(std::move(alias), edge);
  }

  Tensor tensor_;
  util::BufferRef storage_;  // of a leaf; null once the tensor is one that nobody else updates
  int64_t offset_ = 0;       // in elements
};

// The graph node of an op: saves what the gradient rules of the needed inputs read.
class OpNode final : public Node {
 public:
  OpNode(const Op& op, Inputs inputs, Attrs attrs, const Tensor& output) : op_(op), attrs_(attrs.begin(), attrs.end()) {
    calls_out_ = false;
    count_ = inputs.size();
    if (count_ > kInline) many_ = std::make_unique<Slots>(count_);
    const std::span<Edge> edges = this->edges();
    const std::span<Slot> slots = this->slots();
    uint32_t reads = 0;
    for (size_t i = 0; i < count_; ++i) {
      if (!inputs[i]->defined()) continue;
      const InputRule& rule = op.gradient.rule(i);
      if (rule.function) edges[i] = edge_to(*inputs[i]);
      if (edges[i].needed()) reads |= rule.reads;
      const TensorImpl& impl = *inputs[i]->impl();
      slots[i].shape = impl.shape;
      slots[i].dtype = impl.dtype;
      slots[i].transposed = lies_transposed(impl);
    }
    for (size_t i = 0; i < count_; ++i)
      if (inputs[i]->defined() && i < 16 && (reads >> i & 1)) slots[i].saved.save(*inputs[i], edges[i]);
    if (reads & kOut) output_ = make_alias(output);
  }

  static void* operator new(size_t size) { return util::allocate_object(size); }
  static void operator delete(void* block) noexcept { util::free_object(block, sizeof(OpNode)); }

  std::string_view name() const noexcept override { return op_.name; }
  std::span<Edge> edges() noexcept override {
    return many_ ? std::span<Edge>(many_->edges) : std::span<Edge>(edges_.data(), count_);
  }

  void backward(const Tensor& gradient, std::span<Tensor> input_gradients) override {
    const std::span<Edge> edges = this->edges();
    const std::span<Slot> slots = this->slots();
    const JointRule rule = detail::recording ? nullptr : op_.gradient.joint();
    const bool joint = rule && rule(GradientCall(*this, gradient, 0), input_gradients);
    for (size_t i = 0; i < count_; ++i) {
      if (!edges[i].needed()) continue;
      Tensor result = joint ? std::move(input_gradients[i])
                            : op_.gradient.rule(i).function(GradientCall(*this, gradient, static_cast<int>(i)));
      if (!result.defined()) continue;
      const Slot& slot = slots[i];
      if (result.shape() != slot.shape) result = sum_to(result, slot.shape);
      if (result.dtype() != slot.dtype) result = astype(result, slot.dtype);
      input_gradients[i] = std::move(result);
    }
  }

  bool is_part(Part& part) const {
    static const Op& slice = find("slice");
    return &op_ == &slice && part_of_slice(slots_[0].shape, attrs_, part);
  }

  void visit_saved(const std::function<void(TensorImpl&)>& visit) const override {
    for (size_t i = 0; i < count_; ++i)
      (many_ ? many_->slots[i] : slots_[i]).saved.visit(many_ ? many_->edges[i] : edges_[i], visit);
    if (output_.defined()) visit(*output_.impl());
  }

 private:
  friend class GradientCall;
  static constexpr size_t kInline = 3;

  struct Slot {
    Saved saved;
    Shape shape;
    DType dtype = DType::f32;
    bool transposed = false;
  };
  struct Slots {
    explicit Slots(size_t count) : edges(count), slots(count) {}
    std::vector<Edge> edges;
    std::vector<Slot> slots;
  };

  static bool lies_transposed(const TensorImpl& impl) {
    return !impl.is_contiguous && impl.shape.size() == 2 && impl.strides[0] == 1;
  }

  std::span<Slot> slots() noexcept {
    return many_ ? std::span<Slot>(many_->slots) : std::span<Slot>(slots_.data(), count_);
  }

  void release_saved() noexcept override {
    for (Slot& slot : slots()) slot.saved = {};
    output_ = {};
  }

  const Op& op_;
  size_t count_ = 0;
  std::array<Edge, kInline> edges_;
  std::array<Slot, kInline> slots_;
  std::unique_ptr<Slots> many_;
  Tensor output_;
  std::vector<Attr> attrs_;
};

bool part_of_node(Node& node, Part& part) {
  const auto* const known = dynamic_cast<const OpNode*>(&node);
  return known && known->is_part(part);
}

const Tensor& GradientCall::in(int i) const {
  Saved& saved = node_.slots()[i].saved;
  assert(saved.defined() && "a gradient rule reads an input that its row doesn't name in `reads`");
  return saved.get(node_.edges()[i]);
}

Tensor GradientCall::out() const {
  assert(node_.output_.defined() && "a gradient rule reads the output without kOut in `reads`");
  Tensor alias = make_alias(node_.output_);
  alias.impl()->node = util::Ref<Node>(&node_);
  alias.impl()->requires_grad = true;
  return alias;
}

const Shape& GradientCall::shape(int i) const { return node_.slots()[i].shape; }
DType GradientCall::dtype(int i) const { return node_.slots()[i].dtype; }
bool GradientCall::has(int i) const { return i < count() && node_.slots()[i].saved.defined(); }
bool GradientCall::wants(int i) const { return node_.edges()[static_cast<size_t>(i)].needed(); }
bool GradientCall::is_transposed(int i) const { return node_.slots()[i].transposed; }
int GradientCall::count() const { return static_cast<int>(node_.count_); }
const Attr& GradientCall::attr(int i) const { return node_.attrs_[i]; }

namespace {

Tensor compute(const Op& op, Inputs inputs, Attrs attrs) {
  const Call call{op, inputs, attrs};
  bool record = false;
  if (op.gradient.has_rules() && detail::recording)
    for (size_t i = 0; i < inputs.size() && !record; ++i)
      record = inputs[i]->defined() && inputs[i]->impl()->requires_grad && op.gradient.rule(i).function;
  if (!record) return op.forward(call);

  Tensor out = [&] {
    const Recording off(false);
    return op.forward(call);
  }();
  // Integer results (a cast, say) have no gradient to pass on.
  if (is_floating(out.dtype())) attach(out, util::Ref<Node>::first(new OpNode(op, inputs, attrs, out)));
  return out;
}

// Apart, so that the usual path has no room to make for it.
[[gnu::noinline]] Tensor compute_measured(const Op& op, Inputs inputs, Attrs attrs) {
  Measure measure(op, inputs);
  Tensor out = compute(op, inputs, attrs);
  out.impl()->storage();  // what it costs shall count as its own
  measure.finish({&out, 1});
  return out;
}

}  // namespace

Tensor run(const Op& op, Inputs inputs, Attrs attrs) {
  if (collecting()) [[unlikely]]
    return compute_measured(op, inputs, attrs);
  return compute(op, inputs, attrs);
}

std::vector<Tensor> run_many(const Op& op, Inputs inputs, Attrs attrs) {
  if (!collecting()) return op.forward_many({op, inputs, attrs});
  Measure measure(op, inputs);
  std::vector<Tensor> outputs = op.forward_many({op, inputs, attrs});
  measure.finish(outputs);
  return outputs;
}

}  // namespace sm::ops
