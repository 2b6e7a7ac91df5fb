#pragma once

#include <cstdint>

#include "shumai/tensor.hpp"

namespace sm::kernels {

enum class Unary : uint8_t {
  kNegative,
  kAbsolute,
  kSign,
  kExp,
  kLog,
  kLog1p,
  kSqrt,
  kSin,
  kCos,
  kTanh,
  kSigmoid,
  kErf,
  kFloor,
  kCeil,
  kRint,
  kRelu,
  kSquare,
  kReciprocal,
  kSoftplus,
  kExpm1,
  kRsqrt,
  kLog2,
  kLog10,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kTrunc,
  kBitwiseNot,
};

enum class Predicate : uint8_t { kIsNan, kIsInf, kIsFinite, kLogicalNot };

enum class Binary : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPower,
  kMaximum,
  kMinimum,
  kFloorDivide,  // of integers, rounded down; the caller sees to it that `b` holds no zero
  kAtan2,
  kBitwiseAnd,
  kBitwiseOr,
  kBitwiseXor,
  kLShift,
  kRShift,
};

enum class Compare : uint8_t { kEq, kNeq, kLt, kLte, kGt, kGte, kLogicalAnd, kLogicalOr, kLogicalXor };

// The operands broadcast to `out`, which is contiguous. Their dtypes are equal
// to `out`'s; for predicates and comparisons `out` is boolean. Ops on a dtype
// they aren't defined for (exp of an integer) are the caller's mistake.
void unary(Unary kind, const Tensor& x, const Tensor& out);
void predicate(Predicate kind, const Tensor& x, const Tensor& out);
void binary(Binary kind, const Tensor& a, const Tensor& b, const Tensor& out);
void compare(Compare kind, const Tensor& a, const Tensor& b, const Tensor& out);

// out = condition ? a : b, with a boolean condition.
void where(const Tensor& condition, const Tensor& a, const Tensor& b, const Tensor& out);

// Every element of contiguous `out` becomes `value`, converted.
void fill(const Tensor& out, double value);

}  // namespace sm::kernels
