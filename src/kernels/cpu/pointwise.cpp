#include "kernels/pointwise.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/cpu/expression.hpp"
#include "kernels/cpu/vector.hpp"
#include "kernels/loop.hpp"

namespace sm::kernels {
namespace {

// Below, recording costs more than the passes over memory that it saves.
std::atomic<int64_t> threshold{8192};
thread_local bool long_chains = false;

bool is_real(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// The expression behind a tensor that is still to be computed, else null.
ExpressionRef expression_of(const Tensor& tensor) {
  const PendingRef pending = tensor.impl()->pending();
  return ExpressionRef(dynamic_cast<Expression*>(pending.get()));
}

Expression::Operand stored_operand(const Tensor& tensor, const Shape& shape) {
  TensorImpl& impl = *tensor.impl();
  Expression::Operand operand;
  operand.storage = impl.storage();
  operand.data = impl.bytes();
  operand.dtype = impl.dtype;
  operand.fixed = impl.elements == 1;
  operand.plain = impl.is_contiguous && impl.shape == shape;
  if (operand.fixed || operand.plain) return operand;
  operand.strides = Dims(shape.size(), 0);
  const Operand view = kernels::operand(tensor);
  bool repeats = true;
  for (int axis = 0; axis < shape.size(); ++axis) {
    operand.strides[axis] = broadcast_stride(view, shape, axis);
    repeats = repeats && (operand.strides[axis] == 0 || shape[axis] == 1);
  }
  operand.fixed = repeats;
  return operand;
}

// Collects the operands of an operation; none when it can't be recorded.
class Recorder {
 public:
  Recorder(const Shape& shape, DType arithmetic) : shape_(shape), arithmetic_(arithmetic) {}

  bool add(const Tensor& tensor) {
    if (tensor.dtype() != arithmetic_ && tensor.dtype() != DType::boolean) return false;
    Expression::Operand& operand = operands_[count_++];
    const ExpressionRef expression = expression_of(tensor);
    if (expression && !expression->computed() && expression->arithmetic == arithmetic_ && expression->shape == shape_ &&
        nodes_ + expression->nodes() <= Expression::kMostNodes) {
      nodes_ += expression->nodes();
      operand.expression = expression;
      operand.dtype = expression->dtype;
      return true;
    }
    operand = stored_operand(tensor, shape_);
    return !operand.storage->foreign();
  }

  Tensor finish(Function function, DType dtype) {
    util::Ref<Expression> expression(
        new Expression(function, arithmetic_, dtype, shape_, std::span(operands_).first(count_)));
    return make_pending(PendingRef(expression.get()), shape_, dtype);
  }

 private:
  const Shape& shape_;
  DType arithmetic_;
  std::array<Expression::Operand, 3> operands_;
  size_t count_ = 0;
  int nodes_ = 1;
};

bool is_large(const Shape& shape) {
  const int64_t least = recording_threshold(), elements = elements_of(shape);
  if (least == INT64_MAX || elements < std::max<int64_t>(least / 4, 1)) return false;
  return elements >= least || long_chains;
}

// Undefined when it isn't worth recording, or can't be.
template <class... Tensors>
Tensor recorded(Function function, DType arithmetic, DType dtype, const Shape& shape, const Tensors&... inputs) {
  if (!is_real(arithmetic) || !is_large(shape)) return {};
  Recorder recorder(shape, arithmetic);
  return (recorder.add(inputs) && ...) ? recorder.finish(function, dtype) : Tensor();
}

// What a boolean operand still to be computed is computed in, else its own dtype.
DType arithmetic_of(const Tensor& tensor) {
  if (tensor.dtype() != DType::boolean) return tensor.dtype();
  const ExpressionRef expression = expression_of(tensor);
  return expression && !expression->computed() ? expression->arithmetic : DType::boolean;
}

// Few elements in a row, which need no plan.
Tensor quick(Unary kind, const Tensor& x) {
  constexpr int64_t kFew = 1024;
  TensorImpl& impl = *x.impl();
  if (impl.dtype != DType::f32 || !impl.is_contiguous || impl.elements > kFew || impl.elements >= recording_threshold())
    return {};
  const Map<float> map = map_of<float>(kind);
  if (!map) return {};
  Tensor out = make_tensor(impl.shape, DType::f32);
  const float* const in[] = {impl.as<float>()};
  if (impl.elements > 0) map(in, out.impl()->as<float>(), static_cast<size_t>(impl.elements));
  return out;
}

bool has_map(Unary kind) { return map_of<float>(kind) != nullptr; }
bool has_map(Binary kind) { return map_of<float>(kind, Fixed::kNone) != nullptr; }

}  // namespace

Tensor pointwise(Unary kind, const Tensor& x) {
  if (Tensor out = quick(kind, x); out.defined()) return out;
  if (Tensor out = has_map(kind) ? recorded(kind, x.dtype(), x.dtype(), x.shape(), x) : Tensor(); out.defined())
    return out;
  Tensor out = make_tensor(x.shape(), x.dtype());
  unary(kind, x, out);
  return out;
}

Tensor pointwise(Predicate kind, const Tensor& x) {
  if (Tensor out = recorded(kind, arithmetic_of(x), DType::boolean, x.shape(), x); out.defined()) return out;
  Tensor out = make_tensor(x.shape(), DType::boolean);
  predicate(kind, x, out);
  return out;
}

Tensor pointwise(Binary kind, const Tensor& a, const Tensor& b, const Shape& shape) {
  if (Tensor out = has_map(kind) ? recorded(kind, a.dtype(), a.dtype(), shape, a, b) : Tensor(); out.defined())
    return out;
  Tensor out = make_tensor(shape, a.dtype());
  binary(kind, a, b, out);
  return out;
}

Tensor pointwise(Compare kind, const Tensor& a, const Tensor& b, const Shape& shape) {
  const DType left = arithmetic_of(a), arithmetic = is_real(left) ? left : arithmetic_of(b);
  if (Tensor out = recorded(kind, arithmetic, DType::boolean, shape, a, b); out.defined()) return out;
  Tensor out = make_tensor(shape, DType::boolean);
  compare(kind, a, b, out);
  return out;
}

Tensor pointwise_where(const Tensor& condition, const Tensor& a, const Tensor& b, const Shape& shape) {
  if (Tensor out = recorded(Function(Function::Family::kWhere), a.dtype(), a.dtype(), shape, condition, a, b);
      out.defined())
    return out;
  Tensor out = make_tensor(shape, a.dtype());
  where(condition, a, b, out);
  return out;
}

Tensor recorded_cast(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() != DType::boolean || arithmetic_of(tensor) != dtype) return {};
  return recorded(Function(Function::Family::kMove), dtype, dtype, tensor.shape(), tensor);
}

void compute_all(std::span<const Tensor> tensors) {
  std::vector<ExpressionRef> left;
  for (const Tensor& tensor : tensors)
    if (tensor.defined())
      if (ExpressionRef expression = expression_of(tensor)) left.push_back(std::move(expression));
  while (!left.empty()) {
    std::vector<Expression*> group;
    const Expression& first = *left[0];
    for (const ExpressionRef& one : left)
      if (one->arithmetic == first.arithmetic && one->shape == first.shape) group.push_back(one.get());
    compute_together(group);
    std::erase_if(left, [](const ExpressionRef& one) { return one->computed(); });
  }
  for (const Tensor& tensor : tensors)
    if (tensor.defined()) tensor.impl()->storage();
}

LongChains::LongChains() noexcept : before_(std::exchange(long_chains, true)) {}
LongChains::~LongChains() { long_chains = before_; }

int64_t recording_threshold() noexcept { return threshold.load(std::memory_order_relaxed); }
void set_recording_threshold(int64_t elements) noexcept { threshold.store(elements, std::memory_order_relaxed); }

}  // namespace sm::kernels
