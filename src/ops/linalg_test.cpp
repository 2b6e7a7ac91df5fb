#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Norm, NeitherOverflowsNorVanishes) {
  EXPECT_NEAR(norm(tensor({3e30f, 4e30f})).item<double>() / 5e30, 1, 1e-6);
  EXPECT_NEAR(norm(tensor({3e-30f, 4e-30f})).item<double>() / 5e-30, 1, 1e-6);
  EXPECT_NEAR(norm(tensor({300.f, 400.f}).astype(DType::f16)).item<double>(), 500, 1e-9);
  EXPECT_EQ(norm(tensor({1.f, float(kInfinity)})).item<double>(), kInfinity);
  EXPECT_TRUE(std::isnan(norm(tensor({1.f, NAN})).item<double>()));
}

TEST(Norm, AtZeroHasAGradientOfZero) {
  for (double p : {0.0, 1.0, 1.5, 2.0, 3.0, kInfinity}) {
    const Tensor x = zeros({3}).requires_grad(true);
    EXPECT_EQ(norm(x, p).backward().of(x).to_vector<float>(), std::vector<float>(3, 0.f)) << p;
  }
}

TEST(Norm, OfInfinitySharesItsGradientAmongTies) {
  const Tensor x = tensor({2.f, -2.f, 1.f}).requires_grad(true);
  EXPECT_EQ(norm(x, kInfinity).backward().of(x).to_vector<float>(), (std::vector<float>{0.5, -0.5, 0}));
}

TEST(Normalize, OfZerosIsZeroInEveryDType) {
  for (DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64})
    EXPECT_EQ(normalize(zeros({1, 3}, dtype)).to_vector<float>(), std::vector<float>(3, 0.f));
}

TEST(Conv1d, NamesWhatDoesNotFit) {
  try {
    conv1d(zeros({1, 3, 5}), zeros({2, 2, 3}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "conv1d: a filter [O, C / groups, k], got [2, 2, 3], doesn't fit the tensor [N, C, L], got [1, 3, 5], "
                 "in 1 groups");
  }
  EXPECT_THROW(max_pool1d(zeros({1, 3}), 2), Error);
}

}  // namespace
}  // namespace sm
