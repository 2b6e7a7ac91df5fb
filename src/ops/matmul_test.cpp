#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

Tensor ramp(const Shape& shape, DType dtype, double scale = 0.1) {
  std::vector<double> values(static_cast<size_t>(elements_of(shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = scale * static_cast<double>(i * 37 % 23) - 1;
  return astype(tensor(values, shape), dtype);
}

TEST(MatmulOp, GradientsHaveTheInputsShapesAndValues) {
  const auto product = [](const std::vector<Tensor>& x) { return matmul(x[0], x[1]); };
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{{2, 3}, {3, 4}},
                                                                 {{3}, {3}},
                                                                 {{3}, {3, 2}},
                                                                 {{2, 3}, {3}},
                                                                 {{4, 2, 3}, {3, 5}},
                                                                 {{4, 2, 3}, {3}},
                                                                 {{3}, {4, 3, 2}},
                                                                 {{2, 1, 2, 3}, {3, 3, 2}}}) {
    SCOPED_TRACE(a.to_string() + " " + b.to_string());
    gradcheck(product, {ramp(a, DType::f64), ramp(b, DType::f64, 0.2)});
    const Tensor x = ramp(a, DType::f64).requires_grad(true), y = ramp(b, DType::f64).requires_grad(true);
    sum(matmul(x, y)).backward();
    EXPECT_EQ(x.grad().shape(), a);
    EXPECT_EQ(y.grad().shape(), b);
  }
}

TEST(MatmulOp, GradientsOfGradientsAreRight) {
  const Tensor b = ramp({3, 2}, DType::f64);
  gradcheck(
      [&](const std::vector<Tensor>& in) {
        const Tensor x = in[0].requires_grad() ? in[0] : in[0].detach().requires_grad(true);
        return square(matmul(x, b)).sum().backward({}, {.create_graph = true}).of(x);
      },
      {ramp({4, 3}, DType::f64)});
}

TEST(MatmulOp, DTypesArePromotedAndGradientsKeepTheInputs) {
  const Tensor x = ramp({2, 3}, DType::f32).requires_grad(true), y = ramp({3, 2}, DType::f64).requires_grad(true);
  const Tensor out = matmul(x, y);
  EXPECT_EQ(out.dtype(), DType::f64);
  sum(out).backward();
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(y.grad().dtype(), DType::f64);
  EXPECT_EQ(matmul(ramp({2, 3}, DType::i8), ramp({3, 2}, DType::i32)).dtype(), DType::i32);
}

TEST(MatmulOp, ATransposedOperandGivesTheSame) {
  const Tensor a = ramp({5, 7}, DType::f32), b = ramp({7, 9}, DType::f32, 0.2);
  const Tensor swapped = transpose(contiguous(transpose(b, {1, 0})), {1, 0});
  const std::vector<float> got = matmul(a, swapped).to_vector<float>(), expected = matmul(a, b).to_vector<float>();
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5);
}

TEST(MatmulOp, PlainNumbersAreRefused) {
  try {
    matmul(ramp({2, 3}, DType::f32), 2.0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kShapeMismatch);
    EXPECT_STREQ(error.what(), "matmul: needs tensors of 1 or more dimensions, got [2, 3] and []");
  }
}

}  // namespace
}  // namespace sm
