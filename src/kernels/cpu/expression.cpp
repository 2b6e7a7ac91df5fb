#include "kernels/cpu/expression.hpp"

#include <algorithm>
#include <limits>
#include <mutex>
#include <type_traits>

#include "kernels/cpu/program.hpp"
#include "kernels/parallel.hpp"

namespace sm::kernels {
namespace {

// Guards the operands and the values of all expressions, while graphs are walked; not while they are computed.
std::mutex graphs_mutex;
uint64_t visits = 0;  // guarded by graphs_mutex

int cost_of(Unary kind) {
  switch (kind) {
    case Unary::kNegative:
    case Unary::kAbsolute:
    case Unary::kSign:
    case Unary::kRelu:
    case Unary::kSquare:
    case Unary::kFloor:
    case Unary::kCeil:
    case Unary::kRint:
    case Unary::kTrunc:
      return 1;
    case Unary::kSqrt:
    case Unary::kReciprocal:
    case Unary::kRsqrt:
      return 4;
    default:
      return 12;
  }
}

// A result that somebody else holds is stored on the way when computing it again would cost more than that does.
constexpr int kWorthKeeping = 30;

}  // namespace

int Function::cost() const {
  if (family == Family::kUnary) return cost_of(static_cast<Unary>(kind));
  return family == Family::kBinary && static_cast<Binary>(kind) == Binary::kDiv ? 3 : 1;
}

Expression::Expression(Function function, DType arithmetic, DType dtype, const Shape& shape,
                       std::span<Operand> operands)
    : function(function),
      arithmetic(arithmetic),
      dtype(dtype),
      shape(shape),
      elements(elements_of(shape)),
      count_(static_cast<int>(operands.size())),
      cost_(function.cost()) {
  for (int i = 0; i < count_; ++i) {
    Operand& operand = operands_[i] = std::move(operands[i]);
    if (!operand.expression) continue;
    nodes_ += operand.expression->nodes_;
    cost_ += operand.expression->cost_;
  }
}

util::BufferRef Expression::value() {
  if (!computed()) {
    Expression* const root = this;
    compute_together({&root, 1});
  }
  const std::lock_guard lock(graphs_mutex);
  return value_;
}

void Expression::visit_held(const std::function<void(const util::Buffer&)>& visit) {
  const std::lock_guard lock(graphs_mutex);
  if (value_) return visit(*value_);
  const uint64_t walk = ++visits;
  std::vector<Expression*> todo{this};
  visit_ = walk;
  while (!todo.empty()) {
    Expression* node = todo.back();
    todo.pop_back();
    if (node->value_) visit(*node->value_);
    for (const Operand& operand : std::span(node->operands_).first(static_cast<size_t>(node->count_))) {
      if (operand.storage) visit(*operand.storage);
      if (!operand.expression || operand.expression->visit_ == walk) continue;
      operand.expression->visit_ = walk;
      todo.push_back(operand.expression.get());
    }
  }
}

// Turns graphs of expressions into a program. Used under graphs_mutex.
class Builder {
 public:
  struct Output {
    ExpressionRef node;
    util::BufferRef value;
    Place place;  // in registers until the outputs are placed
  };

  void collect(std::span<Expression* const> roots) {
    walk_ = ++visits;
    for (Expression* root : roots) visit(root);
    std::vector<uint32_t> uses(order_.size(), 0);
    for (Expression* node : order_)
      for (const Expression::Operand& operand : operands(node))
        if (operand.expression && !operand.expression->value_) ++uses[number(operand.expression.get())];
    for (Expression* node : order_) {
      const bool root = std::find(roots.begin(), roots.end(), node) != roots.end();
      if (root || (node->cost_ >= kWorthKeeping && node->refs() > uses[number(node)]))
        outputs.push_back({ExpressionRef(node), nullptr, {}});
    }
  }

  template <class T>
  Program<T> build() {
    Program<T> program;
    places_.resize(order_.size());
    for (Expression* node : order_) {
      places_[number(node)] = emit(program, node);
      program.cost += node->function.cost();
    }
    for (Output& output : outputs) output.place = places_[number(output.node.get())];
    return program;
  }

  std::vector<Output> outputs;
  std::vector<util::BufferRef> read;  // by the program

 private:
  static std::span<const Expression::Operand> operands(const Expression* node) {
    return std::span(node->operands_).first(static_cast<size_t>(node->count_));
  }
  static size_t number(const Expression* node) { return static_cast<size_t>(node->number_); }

  // Operands before what reads them. As deep as a graph has nodes, at most.
  void visit(Expression* node) {
    if (node->value_ || node->visit_ == walk_) return;
    node->visit_ = walk_;
    for (const Expression::Operand& operand : operands(node))
      if (operand.expression) visit(operand.expression.get());
    node->number_ = static_cast<int>(order_.size());
    order_.push_back(node);
  }

  template <class T>
  Place emit(Program<T>& program, const Expression* node) {
    const auto inputs = operands(node);
    const Function& function = node->function;
    if (function.family == Function::Family::kMove) return place_of(program, inputs[0], false);
    typename Program<T>::Step step;
    const bool two = function.family == Function::Family::kBinary || function.family == Function::Family::kCompare;
    Fixed fixed = Fixed::kNone;
    for (size_t i = 0; i < inputs.size(); ++i) {
      step.in[i] = place_of(program, inputs[i], two && fixed == Fixed::kNone);
      if (step.in[i].kind == Place::Kind::kFixed) fixed = i == 0 ? Fixed::kFirst : Fixed::kSecond;
    }
    step.map = map_for<T>(function, fixed);
    step.out = {Place::Kind::kRegister, program.registers++, nullptr};
    program.steps.push_back(step);
    return step.out;
  }

  template <class T>
  static Map<T> map_for(const Function& function, Fixed fixed) {
    switch (function.family) {
      case Function::Family::kUnary:
        return map_of<T>(static_cast<Unary>(function.kind));
      case Function::Family::kPredicate:
        return map_of<T>(static_cast<Predicate>(function.kind));
      case Function::Family::kBinary:
        return map_of<T>(static_cast<Binary>(function.kind), fixed);
      case Function::Family::kCompare:
        return map_of<T>(static_cast<Compare>(function.kind), fixed);
      default:
        return map_of_where<T>();
    }
  }

  template <class T>
  Place place_of(Program<T>& program, const Expression::Operand& operand, bool may_be_fixed) {
    if (Expression* expression = operand.expression.get()) {
      if (!expression->value_) return places_[number(expression)];
      read.push_back(expression->value_);
      return stored(program, expression->value_->data(), expression->dtype == DType::boolean, expression->elements);
    }
    read.push_back(operand.storage);
    const bool boolean = operand.dtype == DType::boolean;
    if (operand.fixed) {
      if (may_be_fixed && !boolean) return {Place::Kind::kFixed, 0, operand.data};
      return load(program, {operand.data, boolean, Dims(std::numeric_limits<int64_t>::max()), Dims(0)}, true);
    }
    if (operand.plain) return stored(program, operand.data, boolean, order_[0]->elements);
    ++program.memory;
    return load(program, joined<T>(operand, order_[0]->shape), false);
  }

  template <class T>
  Place stored(Program<T>& program, const std::byte* data, bool boolean, int64_t elements) {
    ++program.memory;
    if (!boolean) return {Place::Kind::kMemory, 0, data};
    return load(program, {data, true, Dims(elements), Dims(1)}, false);
  }

  template <class T>
  Place load(Program<T>& program, typename Program<T>::Load what, bool once) {
    typename Program<T>::Step step;
    step.load = static_cast<int>(program.loads.size());
    step.once = once;
    step.out = {Place::Kind::kRegister, program.registers++, nullptr};
    program.loads.push_back(std::move(what));
    program.steps.push_back(step);
    program.cost += once ? 0 : 1;
    return step.out;
  }

  template <class T>
  static typename Program<T>::Load joined(const Expression::Operand& operand, const Shape& shape) {
    typename Program<T>::Load load{operand.data, operand.dtype == DType::boolean, {}, {}};
    for (int axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] == 1) continue;
      const int last = load.sizes.size() - 1;
      if (last >= 0 && load.strides[last] == operand.strides[axis] * shape[axis]) {
        load.sizes[last] *= shape[axis];
        load.strides[last] = operand.strides[axis];
      } else {
        load.sizes.push_back(shape[axis]);
        load.strides.push_back(operand.strides[axis]);
      }
    }
    return load;
  }

  uint64_t walk_ = 0;
  std::vector<Expression*> order_;
  std::vector<Place> places_;
};

namespace {

// Lets the steps that make the outputs write them where they belong.
template <class T>
void place_outputs(Program<T>& program, std::vector<Builder::Output>& outputs) {
  for (Builder::Output& output : outputs) {
    ++program.memory;
    std::byte* data = output.value->data();
    if (output.node->dtype == DType::boolean) {
      program.stores.push_back({output.place, reinterpret_cast<bool*>(data)});
      continue;
    }
    const Place memory{Place::Kind::kMemory, 0, data};
    const auto is = [&](const Place& place) {
      return place.kind == output.place.kind && place.number == output.place.number && place.data == output.place.data;
    };
    const Place old = output.place;
    for (auto& step : program.steps) {
      if (is(step.out)) step.out = memory;
      for (Place& in : step.in)
        if (is(in)) in = memory;
    }
    for (auto& store : program.stores)
      if (is(store.from)) store.from = memory;
    for (Builder::Output& other : outputs)
      if (&other != &output && other.place.kind == old.kind && other.place.number == old.number &&
          other.place.data == old.data)
        other.place = memory;
  }
}

// Elements that take some ten microseconds.
template <class T>
int64_t grain_of(const Program<T>& program) {
  const double nanoseconds = 0.03 * program.cost + 0.1 * program.memory;
  return std::max<int64_t>(4096, static_cast<int64_t>(10000 / nanoseconds) / 1024 * 1024);
}

template <class T>
void run(Builder& builder, Program<T>& program, int64_t elements) {
  place_outputs(program, builder.outputs);
  program.assign_registers();
  parallel_for(elements, grain_of(program), [&](int64_t begin, int64_t end) { program.run(begin, end); });
}

}  // namespace

void compute_together(std::span<Expression* const> roots) {
  Builder builder;
  Program<float> floats;
  Program<double> doubles;
  const bool single = roots[0]->arithmetic == DType::f32;
  {
    const std::lock_guard lock(graphs_mutex);
    builder.collect(roots);
    if (builder.outputs.empty()) return;
    if (single)
      floats = builder.build<float>();
    else
      doubles = builder.build<double>();
  }
  const int64_t elements = roots[0]->elements;
  for (Builder::Output& output : builder.outputs)
    output.value = util::Buffer::allocate(static_cast<size_t>(elements) * size_of(output.node->dtype));
  if (single)
    run(builder, floats, elements);
  else
    run(builder, doubles, elements);
  // What they held goes after the lock has.
  std::vector<std::array<Expression::Operand, 3>> freed;
  const std::lock_guard lock(graphs_mutex);
  for (Builder::Output& output : builder.outputs) {
    if (output.node->value_) continue;
    output.node->value_ = std::move(output.value);
    freed.push_back(std::move(output.node->operands_));
    output.node->count_ = 0;
    output.node->computed_.store(true, std::memory_order_release);
  }
}

}  // namespace sm::kernels
