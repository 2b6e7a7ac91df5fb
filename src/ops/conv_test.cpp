#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

Tensor ramp(const Shape& shape, DType dtype, int64_t seed = 37) {
  std::vector<double> values(static_cast<size_t>(elements_of(shape)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = 0.1 * static_cast<double>((static_cast<int64_t>(i) * seed + seed) % 101 % 23) - 1;
  return astype(tensor(values, shape), dtype);
}

std::string message(ErrorCode code, const std::function<void()>& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "no error";
}

TEST(Conv2dOp, OneNumberStandsForBothAxes) {
  const Tensor x = ramp({2, 2, 7, 7}, DType::f32), f = ramp({4, 2, 3, 3}, DType::f32, 41);
  EXPECT_EQ(conv2d(x, f, {}, {2}, {1}, {2}).to_vector<float>(),
            conv2d(x, f, {}, {2, 2}, {1, 1}, {2, 2}).to_vector<float>());
  EXPECT_EQ(max_pool2d(x, 2).to_vector<float>(), max_pool2d(x, {2, 2}, {2, 2}).to_vector<float>());
  EXPECT_EQ(message(ErrorCode::kInvalidArgument,
                    [&] {
                      conv2d(x, f, {}, {1, 1, 1});
                    }),
            "conv2d: stride must be one number or two, got [1, 1, 1]");
}

TEST(Conv2dOp, EveryOperandGetsItsGradient) {
  const std::vector<Tensor> inputs = {ramp({2, 4, 5, 4}, DType::f64), ramp({6, 2, 3, 2}, DType::f64, 41),
                                      ramp({6}, DType::f64, 43)};
  gradcheck([](const std::vector<Tensor>& in) { return conv2d(in[0], in[1], in[2], {2, 1}, {1}, {1, 2}, 2); }, inputs);
}

TEST(Conv2dOp, GradientsOfGradientsAreRight) {
  gradcheck(
      [](const std::vector<Tensor>& in) {
        std::vector<Tensor> x;
        for (const Tensor& tensor : in)
          x.push_back(tensor.requires_grad() ? tensor : tensor.detach().requires_grad(true));
        const Tensor y = conv2d(x[0], x[1], {}, {1}, {1});
        const Gradients found = square(max_pool2d(y, 2)).sum().backward({}, {.create_graph = true});
        return square(found.of(x[0])).sum() + square(found.of(x[1])).sum();
      },
      {ramp({1, 2, 4, 4}, DType::f64), ramp({2, 2, 3, 3}, DType::f64, 41)});
}

TEST(Conv2dOp, Float32AgreesWithFloat64) {
  const Tensor x = ramp({9, 3, 12, 11}, DType::f64), f = ramp({20, 3, 5, 3}, DType::f64, 41);
  const std::vector<double> narrow =
      conv2d(astype(x, DType::f32), astype(f, DType::f32), {}, {1}, {2}).to_vector<double>();
  const std::vector<double> wide = conv2d(x, f, {}, {1}, {2}).to_vector<double>();
  ASSERT_EQ(narrow.size(), wide.size());
  for (size_t i = 0; i < wide.size(); ++i) ASSERT_NEAR(narrow[i], wide[i], 1e-4);
}

TEST(Conv2dOp, IntegersAreRefused) {
  const Tensor x = ramp({1, 1, 4, 4}, DType::i32), f = ramp({1, 1, 2, 2}, DType::i32);
  EXPECT_EQ(message(ErrorCode::kDTypeMismatch, [&] { conv2d(x, f); }),
            "conv2d: expects floating-point tensors, got int32");
  EXPECT_EQ(message(ErrorCode::kDTypeMismatch, [&] { max_pool2d(x, 2); }),
            "max_pool2d: expects floating-point tensors, got int32");
}

TEST(PoolOps, GradientsAreRight) {
  const Tensor x = ramp({2, 2, 5, 6}, DType::f64);
  gradcheck([](const std::vector<Tensor>& in) { return avg_pool2d(in[0], {3, 2}, {1, 2}, {1, 1}); }, {x});
  // Values far enough apart for the differences not to change who wins.
  std::vector<double> apart(60);
  for (size_t i = 0; i < apart.size(); ++i) apart[i] = static_cast<double>(i * 37 % 61);
  gradcheck(
      [](const std::vector<Tensor>& in) {
        return max_pool2d(in[0], {3, 2}, {1, 2}, {1, 1});
      },
      {tensor(apart, {1, 2, 5, 6})});
}

TEST(PoolOps, SixteenBitFloatsStaySo) {
  const Tensor x = ramp({1, 1, 4, 4}, DType::bf16).requires_grad(true);
  const Tensor y = max_pool2d(x, 2);
  EXPECT_EQ(y.dtype(), DType::bf16);
  sum(y).backward();
  EXPECT_EQ(x.grad().dtype(), DType::bf16);
}

}  // namespace
}  // namespace sm
