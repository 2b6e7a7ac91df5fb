#include <array>
#include <cassert>
#include <memory>

#include "ops/measure.hpp"
#include "ops/op.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"
#include "tensor/recording.hpp"

namespace sm::ops {

// The graph node of an op: saves what the gradient rules of the needed inputs read.
class OpNode final : public Node {
 public:
  OpNode(const Op& op, Inputs inputs, Attrs attrs, const Tensor& output) : op_(op), attrs_(attrs.begin(), attrs.end()) {
    if (inputs.size() > kInline) many_ = std::make_unique<Slots>(inputs.size());
    count_ = inputs.size();
    uint32_t reads = 0;
    for (size_t i = 0; i < count_; ++i) {
      if (!inputs[i]->defined()) continue;
      const InputRule& rule = op.gradient.rule(i);
      if (rule.function) edges()[i] = edge_to(*inputs[i]);
      if (edges()[i].needed()) reads |= rule.reads;
      slots()[i].shape = inputs[i]->shape();
      slots()[i].dtype = inputs[i]->dtype();
      slots()[i].transposed = lies_transposed(*inputs[i]->impl());
    }
    for (size_t i = 0; i < count_; ++i)
      if (inputs[i]->defined() && i < 16 && (reads >> i & 1)) slots()[i].saved = save(*inputs[i]);
    if (reads & kOut) output_ = to_ref(make_alias(output));
  }

  static void* operator new(size_t size) { return util::allocate_object(size); }
  static void operator delete(void* block) noexcept { util::free_object(block, sizeof(OpNode)); }

  std::string_view name() const noexcept override { return op_.name; }
  std::span<Edge> edges() noexcept override {
    return many_ ? std::span<Edge>(many_->edges) : std::span<Edge>(edges_.data(), count_);
  }

  void backward(const Tensor& gradient, std::span<Tensor> input_gradients) override {
    const JointRule rule = grad_enabled() ? nullptr : op_.gradient.joint();
    const bool joint = rule && rule(GradientCall(*this, gradient, 0), input_gradients);
    for (size_t i = 0; i < count_; ++i) {
      if (!edges()[i].needed()) continue;
      Tensor result = joint ? std::move(input_gradients[i])
                            : op_.gradient.rule(i).function(GradientCall(*this, gradient, static_cast<int>(i)));
      if (!result.defined()) continue;
      const Slot& slot = slots()[i];
      if (result.shape() != slot.shape) result = sum_to(result, slot.shape);
      if (result.dtype() != slot.dtype) result = astype(result, slot.dtype);
      input_gradients[i] = std::move(result);
    }
  }

  void visit_saved(const std::function<void(TensorImpl&)>& visit) const override {
    for (size_t i = 0; i < count_; ++i)
      if (const ImplRef& saved = slot(i).saved) visit(*saved);
    if (output_) visit(*output_);
  }

 private:
  friend class GradientCall;
  static constexpr size_t kInline = 3;

  struct Slot {
    ImplRef saved;
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

  // A leaf may be updated before backward, so the graph keeps the value of now.
  static ImplRef save(const Tensor& input) {
    TensorImpl* impl = input.impl();
    if (impl->node) return ImplRef(impl);
    ImplRef alias = to_ref(make_alias(input));
    alias->stands_for = edge_to(input).leaf;
    alias->requires_grad = impl->requires_grad;
    return alias;
  }

  std::span<Slot> slots() noexcept {
    return many_ ? std::span<Slot>(many_->slots) : std::span<Slot>(slots_.data(), count_);
  }

  const Slot& slot(size_t i) const noexcept { return many_ ? many_->slots[i] : slots_[i]; }

  void release_saved() noexcept override {
    for (Slot& slot : slots()) slot.saved = {};
    output_ = {};
  }

  const Op& op_;
  size_t count_ = 0;
  std::array<Edge, kInline> edges_;
  std::array<Slot, kInline> slots_;
  std::unique_ptr<Slots> many_;
  ImplRef output_;
  std::vector<Attr> attrs_;
};

Tensor GradientCall::in(int i) const {
  const ImplRef& saved = node_.slots()[i].saved;
  assert(saved && "a gradient rule reads an input that its row doesn't name in `reads`");
  return to_tensor(saved);
}

Tensor GradientCall::out() const {
  assert(node_.output_ && "a gradient rule reads the output without kOut in `reads`");
  Tensor alias = make_alias(to_tensor(node_.output_));
  alias.impl()->node = util::Ref<Node>(&node_);
  alias.impl()->requires_grad = true;
  return alias;
}

const Shape& GradientCall::shape(int i) const { return node_.slots()[i].shape; }
DType GradientCall::dtype(int i) const { return node_.slots()[i].dtype; }
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
  if (is_floating(out.dtype())) attach(out, util::Ref<Node>(new OpNode(op, inputs, attrs, out)));
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
