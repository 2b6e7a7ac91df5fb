#include <gtest/gtest.h>

#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"
#include "tensor/impl.hpp"

namespace sm::optim {
namespace {

using Floats = std::vector<float>;

Tensor weight() { return tensor({1.f, 2.f}).requires_grad(true); }

Gradients along(const Tensor& w, const Tensor& gradient) { return Gradients({{w, gradient}}); }

TEST(PlainSgd, StepsAgainstTheGradientAndClearsIt) {
  const Tensor w = weight();
  const Gradients gradients = sum(w * tensor({3.f, -4.f})).backward();
  EXPECT_TRUE(w.grad().defined());
  sgd(gradients, 0.5);
  EXPECT_EQ(w.to_vector<float>(), (Floats{-0.5f, 4}));
  EXPECT_FALSE(w.grad().defined());
  EXPECT_TRUE(w.requires_grad());
  EXPECT_EQ(w.version(), 1u);
}

TEST(PlainSgd, WritesInPlaceWhenNobodyElseHoldsTheStorage) {
  const Tensor w = weight();
  const float* place = w.data<float>();
  sgd(along(w, ones({2})), 1);
  EXPECT_EQ(w.data<float>(), place);
  EXPECT_EQ(w.to_vector<float>(), (Floats{0, 1}));
}

TEST(PlainSgd, LeavesViewsAlone) {
  const Tensor w = weight();
  const Tensor view = w.detach();
  sgd(along(w, ones({2})), 1);
  EXPECT_EQ(view.to_vector<float>(), (Floats{1, 2}));
  EXPECT_EQ(w.to_vector<float>(), (Floats{0, 1}));
}

// Several trainers of one model: each backward sees the weight its forward saw.
TEST(PlainSgd, LeavesSavedGraphsAlone) {
  const Tensor w = scalar(2.f).requires_grad(true), x = scalar(3.f).requires_grad(true);
  const Tensor first = x * w, second = x * w;
  sgd(first.backward(), 0.1);
  const float after = w.item<float>();
  EXPECT_FLOAT_EQ(after, 2 - 0.1f * 3);
  EXPECT_EQ(second.backward().of(x).item<float>(), 2);
}

TEST(PlainSgd, TakesGradientsOfAnyLayoutAndDType) {
  const Tensor w = weight();
  sgd(along(w, scalar(1.0).expand({2})), 1);
  EXPECT_EQ(w.to_vector<float>(), (Floats{0, 1}));
  const Tensor matrix = zeros({2, 2}).requires_grad(true);
  sgd(along(matrix, tensor({{1.f, 2.f}, {3.f, 4.f}}).transpose()), -1);
  EXPECT_EQ(matrix.to_vector<float>(), (Floats{1, 3, 2, 4}));
}

TEST(PlainSgd, UpdatesAWeightOfAnyLayout) {
  const Tensor w = tensor({{1.f, 2.f}, {3.f, 4.f}}).transpose().requires_grad(true);
  sgd(along(w, ones({2, 2})), 1);
  EXPECT_EQ(w.to_vector<float>(), (Floats{0, 2, 1, 3}));
}

TEST(PlainSgd, NeverWritesToForeignMemory) {
  const float file[] = {1, 2};
  const auto storage = util::Buffer::wrap(const_cast<float*>(file), sizeof file, nullptr, false);
  const Tensor w = make_from_buffer(storage, 0, Shape{2}, DType::f32).requires_grad(true);
  sgd(along(w, ones({2})), 1);
  EXPECT_EQ(w.to_vector<float>(), (Floats{0, 1}));
  EXPECT_EQ(file[0], 1);
}

TEST(PlainSgd, StepsInEveryFloatingPointType) {
  for (DType dtype : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
    const Tensor w = full({3}, 1, dtype).requires_grad(true);
    sgd(along(w, full({3}, 2, dtype)), 0.25);
    EXPECT_EQ(w.dtype(), dtype);
    EXPECT_EQ(w.to_vector<float>(), Floats(3, 0.5f));
  }
}

TEST(PlainSgd, FindsTheMinimumOfAParabola) {
  const Tensor w = tensor({5.f, -3.f}).requires_grad(true);
  for (int i = 0; i < 100; ++i) sgd(sum(square(w - tensor({1.f, 2.f}))).backward(), 0.1);
  EXPECT_NEAR(w.to_vector<float>()[0], 1, 1e-5);
  EXPECT_NEAR(w.to_vector<float>()[1], 2, 1e-5);
}

}  // namespace
}  // namespace sm::optim
