#include "kernels/pointwise.hpp"
#include "ops/common.hpp"

namespace sm::ops {
namespace {

using kernels::Compare;

template <Compare kind>
Tensor comparing(const Call& call) {
  const DType dtype = result_type(call.inputs);
  const Tensor a = as_dtype(call.in(0), dtype), b = as_dtype(call.in(1), dtype);
  return kernels::pointwise(kind, a, b, broadcast(a.shape(), b.shape(), call.op.name.data()));
}

Op row(std::string_view name, std::string_view js, std::string_view doc, Tensor (*forward)(const Call&),
       double (*reference)(double, double)) {
  // Small whole numbers, so that equality happens.
  return {.name = name,
          .js = js,
          .args = {tensor_arg("tensor"), tensor_arg("other")},
          .doc = doc,
          .forward = forward,
          .gradient = Gradient::none("constant almost everywhere"),
          .reference = reference,
          .samples = {{{0, 3, true}}, binary_cases(), false},
          .dtypes = DTypes::kAny};
}

}  // namespace

std::span<const Op> compare_ops() {
  static const std::vector<Op> rows = {
      row("eq", "eq", "a == b; boolean.", comparing<Compare::kEq>, [](double a, double b) { return double(a == b); }),
      row("neq", "neq", "a != b; boolean.", comparing<Compare::kNeq>,
          [](double a, double b) { return double(a != b); }),
      row("lt", "lt lessThan", "a < b; boolean.", comparing<Compare::kLt>,
          [](double a, double b) { return double(a < b); }),
      row("lte", "lte lessThanEqual", "a <= b; boolean.", comparing<Compare::kLte>,
          [](double a, double b) { return double(a <= b); }),
      row("gt", "gt greaterThan", "a > b; boolean.", comparing<Compare::kGt>,
          [](double a, double b) { return double(a > b); }),
      row("gte", "gte greaterThanEqual", "a >= b; boolean.", comparing<Compare::kGte>,
          [](double a, double b) { return double(a >= b); }),
      row("logical_and", "logicalAnd", "Whether both aren't zero; boolean.", comparing<Compare::kLogicalAnd>,
          [](double a, double b) { return double(a != 0 && b != 0); }),
      row("logical_or", "logicalOr", "Whether either isn't zero; boolean.", comparing<Compare::kLogicalOr>,
          [](double a, double b) { return double(a != 0 || b != 0); }),
      row("logical_xor", "logicalXor", "Whether exactly one isn't zero; boolean.", comparing<Compare::kLogicalXor>,
          [](double a, double b) { return double((a != 0) != (b != 0)); }),
  };
  return rows;
}

}  // namespace sm::ops
