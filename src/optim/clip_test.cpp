#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"

namespace sm::optim {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Gradients gradients() { return Gradients({{zeros({2}), tensor({3.f, 0.f})}, {zeros({1, 1}), tensor({{-4.f}})}}); }

std::vector<float> flat(const Gradients& all) {
  std::vector<float> out;
  for (const auto& [tensor, gradient] : all)
    for (float value : gradient.to_vector<float>()) out.push_back(value);
  return out;
}

auto are(std::vector<float> expected) { return testing::Pointwise(testing::FloatNear(1e-5f), expected); }

TEST(ClipGradNorm, ScalesAllGradientsAlike) {
  const auto [clipped, total_norm] = clip_grad_norm(gradients(), 1);
  EXPECT_DOUBLE_EQ(total_norm, 5);
  EXPECT_THAT(flat(clipped), are({0.6f, 0, -0.8f}));
}

TEST(ClipGradNorm, LeavesSmallGradientsAndTheOriginalsAlone) {
  const Gradients before = gradients();
  EXPECT_THAT(flat(clip_grad_norm(before, 5.1).gradients), are({3, 0, -4}));
  clip_grad_norm(before, 1);
  EXPECT_THAT(flat(before), are({3, 0, -4}));
  EXPECT_TRUE(clip_grad_norm(before, 1).gradients.begin()->tensor.same_as(before.begin()->tensor));
}

TEST(ClipGradNorm, TakesOtherNorms) {
  EXPECT_DOUBLE_EQ(clip_grad_norm(gradients(), 1, 1).total_norm, 7);
  EXPECT_NEAR(clip_grad_norm(gradients(), 1, 3).total_norm, std::cbrt(27. + 64), 1e-12);
  const auto [clipped, total_norm] = clip_grad_norm(gradients(), 2, kInf);
  EXPECT_DOUBLE_EQ(total_norm, 4);
  EXPECT_THAT(flat(clipped), are({1.5f, 0, -2}));
}

TEST(ClipGradNorm, CountsEveryElementOfAnyLayout) {
  const Tensor strided = full({7, 3}, 2).transpose();
  EXPECT_NEAR(clip_grad_norm(Gradients({{zeros({3, 7}), strided}}), 1).total_norm, 2 * std::sqrt(21.), 1e-12);
  const Tensor half = full({1000}, 300, DType::f16);  // its squares are above float16's largest
  EXPECT_NEAR(clip_grad_norm(Gradients({{half, half}}), 1).total_norm, 300 * std::sqrt(1000.), 1e-6);
}

TEST(ClipGradNorm, OfNoGradientsIsZero) { EXPECT_EQ(clip_grad_norm(Gradients(), 1).total_norm, 0); }

TEST(ClipGradNorm, ReportsOrRefusesANonFiniteNorm) {
  for (double bad : {kInf, std::nan("")})
    for (double p : {1., 2., kInf}) {
      const Tensor weight = zeros({9});
      Tensor gradient = concatenate({ones({8}), full({1}, bad)});
      const Gradients found({{weight, gradient}, {weight, ones({9})}});
      EXPECT_FALSE(std::isfinite(clip_grad_norm(found, 1, p).total_norm)) << bad << " " << p;
      try {
        clip_grad_norm(found, 1, p, true);
        ADD_FAILURE() << bad;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnprocessable);
        EXPECT_THAT(error.what(), testing::HasSubstr("clip_grad_norm: the gradients' norm must be finite"));
      }
    }
}

TEST(ClipGradNorm, RefusesNumbersThatMakeNoSense) {
  EXPECT_THROW(clip_grad_norm(gradients(), -1), Error);
  EXPECT_THROW(clip_grad_norm(gradients(), 1, 0), Error);
  EXPECT_THROW(clip_grad_norm(gradients(), std::nan("")), Error);
  EXPECT_THROW(clip_grad_norm(Gradients({{ones({1}), Tensor()}}), 1), Error);
}

TEST(ClipGradValue, HoldsEveryElement) {
  EXPECT_THAT(flat(clip_grad_value(gradients(), 3.5)), are({3, 0, -3.5f}));
  EXPECT_THROW(clip_grad_value(gradients(), -1), Error);
}

}  // namespace
}  // namespace sm::optim
