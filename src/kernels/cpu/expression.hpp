#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <span>
#include <vector>

#include "kernels/elementwise.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {

// Which function a recorded operation is.
struct Function {
  enum class Family : uint8_t { kUnary, kPredicate, kBinary, kCompare, kWhere, kMove };
  Family family;
  uint8_t kind = 0;

  Function(Unary unary) : family(Family::kUnary), kind(static_cast<uint8_t>(unary)) {}
  Function(Predicate predicate) : family(Family::kPredicate), kind(static_cast<uint8_t>(predicate)) {}
  Function(Binary binary) : family(Family::kBinary), kind(static_cast<uint8_t>(binary)) {}
  Function(Compare compare) : family(Family::kCompare), kind(static_cast<uint8_t>(compare)) {}
  explicit Function(Family family) : family(family) {}

  // Roughly, in units of an addition.
  int cost() const;
};

// A recorded pointwise operation. Expressions form a graph through their
// operands, all of one shape and one type of arithmetic; a boolean one stands
// for 1 and 0. value() computes the whole graph below in one pass.
//
// Its operands don't change until it is computed; from then on it has none.
class Expression final : public Pending {
 public:
  struct Operand {
    util::Ref<Expression> expression;  // of the same shape; or, when null, elements in
    util::BufferRef storage;
    const std::byte* data = nullptr;
    DType dtype = DType::f32;
    Dims strides;        // in bytes, along the expression's shape
    bool plain = false;  // row by row without a gap
    bool fixed = false;  // one element for all
  };
  static constexpr int kMostNodes = 48;  // in a graph, counting a shared one each time

  Expression(Function function, DType arithmetic, DType dtype, const Shape& shape, std::span<Operand> operands);

  static void* operator new(size_t size) { return util::allocate_object(size); }
  static void operator delete(void* block) noexcept { util::free_object(block, sizeof(Expression)); }

  util::BufferRef value() override;
  void visit_held(const std::function<void(const util::Buffer&)>& visit) override;

  bool computed() const noexcept { return computed_.load(std::memory_order_acquire); }
  int nodes() const noexcept { return nodes_; }
  int cost() const noexcept { return cost_; }

  const Function function;
  const DType arithmetic;  // float32 or float64
  const DType dtype;       // the same, or boolean
  const Shape shape;
  const int64_t elements;

 private:
  friend class Builder;
  friend void compute_together(std::span<Expression* const> roots);

  int count_ = 0;
  std::array<Operand, 3> operands_;  // guarded by the graphs' mutex, like what follows
  util::BufferRef value_;
  uint64_t visit_ = 0;  // which walk saw it last, and what it numbered it
  int number_ = 0;
  std::atomic<bool> computed_ = false;
  int nodes_ = 1;
  int cost_ = 0;
};

using ExpressionRef = util::Ref<Expression>;

// Computes the graphs of expressions of one shape and one arithmetic in one pass.
void compute_together(std::span<Expression* const> roots);

}  // namespace sm::kernels
