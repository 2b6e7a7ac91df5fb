#include <gtest/gtest.h>

#include <functional>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;
using Longs = std::vector<int64_t>;

ErrorCode code_of(const std::function<void()>& make) {
  try {
    make();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(Gather, ChecksRankSizesAndRange) {
  const Tensor x = zeros({2, 3});
  EXPECT_EQ(code_of([&] { gather(x, zeros({2}, DType::i64)); }), ErrorCode::kShapeMismatch);
  EXPECT_EQ(code_of([&] { gather(x, zeros({2, 4}, DType::i64)); }), ErrorCode::kShapeMismatch);
  EXPECT_EQ(code_of([&] { gather(x, full({2, 3}, 2, DType::i64)); }), ErrorCode::kOutOfRange);
  EXPECT_EQ(code_of([&] { gather(x, zeros({2, 3})); }), ErrorCode::kDTypeMismatch);
  EXPECT_EQ(gather(x, zeros({5, 3}, DType::i64)).shape(), Shape({5, 3}));
}

TEST(Scatter, OfSeveralValuesTheLastStaysAndGetsTheGradient) {
  const Tensor x = ones({3}).requires_grad(true), values = tensor({5.f, 6.f, 7.f}).requires_grad(true);
  const Tensor out = scatter(x, tensor<int64_t>({1, 1, -1}), values);
  EXPECT_EQ(out.to_vector<float>(), (Floats{1, 6, 7}));
  out.backward(tensor({1.f, 2.f, 3.f}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{1, 0, 0}));
  EXPECT_EQ(values.grad().to_vector<float>(), (Floats{0, 2, 3}));
}

TEST(Scatter, LeavesTheTensorAsItWas) {
  const Tensor x = zeros({2, 2});
  scatter_add(x, zeros({1, 2}, DType::i64), 1.0);
  scatter(x, zeros({1, 2}, DType::i64), 1.0);
  EXPECT_EQ(x.to_vector<float>(), (Floats{0, 0, 0, 0}));
}

TEST(Scatter, AddsHalfFloatsInFloat32) {
  const Tensor out = scatter_add(zeros({1}, DType::f16), zeros({4096}, DType::i64), ones({4096}, DType::f16));
  EXPECT_EQ(out.item<float>(), 4096);
}

TEST(Scatter, RejectsFloatsAmongIntegersAndValuesThatDoNotFit) {
  const Tensor x = zeros({2}, DType::i32), at = zeros({2}, DType::i64);
  EXPECT_EQ(code_of([&] { scatter(x, at, tensor({0.5f, 1.f})); }), ErrorCode::kDTypeMismatch);
  EXPECT_EQ(code_of([&] { scatter(zeros({2}), zeros({3}, DType::i64), ones({2})); }), ErrorCode::kShapeMismatch);
}

TEST(MaskedSelect, TakesBooleansAndScattersItsGradientBack) {
  const Tensor x = tensor<float>({{1, 2}, {3, 4}}).requires_grad(true);
  const Tensor picked = masked_select(x, x > 1.5);
  EXPECT_EQ(picked.to_vector<float>(), (Floats{2, 3, 4}));
  picked.backward(tensor({10.f, 20.f, 30.f}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{0, 10, 20, 30}));
}

TEST(MaskedFill, KeepsTheDType) {
  const Tensor x = zeros({2}, DType::i8);
  EXPECT_EQ(masked_fill(x, tensor<bool>(std::vector<bool>{true, false}), int64_t{3}).dtype(), DType::i8);
  EXPECT_EQ(code_of([&] { masked_fill(x, ones({2}), 0.5); }), ErrorCode::kDTypeMismatch);
}

TEST(Nonzero, OfRankZeroHasNoColumns) {
  EXPECT_EQ(nonzero(scalar(2.f)).shape(), Shape({1, 0}));
  EXPECT_EQ(nonzero(scalar(0.f)).shape(), Shape({0, 0}));
  EXPECT_EQ(nonzero(tensor<float>({{0, 1}, {1, 0}})).to_vector<int64_t>(), (Longs{0, 1, 1, 0}));
}

}  // namespace
}  // namespace sm
