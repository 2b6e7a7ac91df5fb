#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ops/op.hpp"

// What the sweep tests of the op table share: inputs for a row's sample cases,
// in any dtype and memory layout, and the comparison with the reference.
namespace sm::sweep {

// One sample case of one row, with dtype attributes as they should be tried.
struct Case {
  const ops::Op& op;
  std::vector<Shape> shapes;
  std::vector<ops::Attr> attrs;
  size_t number = 0;
  size_t output = 0;  // the one that is compared, of an op with several

  std::string to_string() const;  // "sum #2 [2, 3, 4] ([1], false)"
};

std::vector<Case> cases_of(const ops::Op& op);

// Every dtype that the row says it takes.
std::vector<DType> admitted(const ops::Op& op);

// True for an input that selects (an index, a condition) among others that are
// values: it stays int64 whatever the dtype of the others.
bool is_index(const ops::Op& op, size_t input);

// Changes what draw and draw_differentiable give.
void seed_draws(uint64_t seed);

// Inputs of one case, the same each time. Left-out optional tensors are
// undefined. Nothing when the row's ranges hold no value of `dtype`.
std::optional<std::vector<Tensor>> draw(const Case& one, DType dtype);

// Float64 inputs. Where the row isn't smooth they stay clear of its kinks:
// halves, float attributes, and ties among all inputs or their quotients.
std::vector<Tensor> draw_differentiable(const Case& one);

// A float64 tensor with values in [-1, 1).
Tensor direction(const Shape& shape, uint64_t seed);

Tensor run(const Case& one, const std::vector<Tensor>& inputs);
ops::RefArray reference(const Case& one, const std::vector<Tensor>& inputs);

// The dtype of the result as the row's documentation has it: what its dtype
// argument says, "; boolean", "; int64", "Integers ... float32", "give int64",
// or else what the inputs promote to.
DType documented_dtype(const Case& one, const std::vector<Tensor>& inputs);

// Adds a failure that names the first element which isn't within rounding of `dtype`.
void expect_close(const Tensor& got, const ops::RefArray& expected, bool low_bit_of_booleans = false);

// The same for a result that was computed in another way; integers must be equal.
void expect_same(const Tensor& got, const Tensor& expected);

enum class Layout { kTransposed, kEverySecond, kReversed, kOffset, kBroadcastFirst, kBroadcastLast };
inline constexpr Layout kLayouts[] = {Layout::kTransposed, Layout::kEverySecond,    Layout::kReversed,
                                      Layout::kOffset,     Layout::kBroadcastFirst, Layout::kBroadcastLast};

// A view with the values of contiguous `x` in another layout, made without any
// op. A broadcast one repeats the values at index 0 of that axis.
Tensor relaid(const Tensor& x, Layout layout);

}  // namespace sm::sweep
