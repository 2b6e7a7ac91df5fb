#include <gtest/gtest.h>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

std::vector<double> slopes(Tensor (*f)(const Tensor&), std::vector<double> at) {
  const Tensor x = tensor(at).requires_grad(true);
  return sum(f(x)).backward().of(x).to_vector<double>();
}

TEST(Activations, HaveTheGradientsOfPyTorchAtTheirKinks) {
  using Slopes = std::vector<double>;
  EXPECT_EQ(slopes(relu6, {0, 6}), (Slopes{0, 0}));
  EXPECT_EQ(slopes([](const Tensor& x) { return hard_tanh(x); }, {-1, 1}), (Slopes{0, 0}));
  EXPECT_EQ(slopes([](const Tensor& x) { return leaky_relu(x, 0.25); }, {0}), (Slopes{0.25}));
  EXPECT_EQ(slopes(hard_sigmoid, {-3, 3}), (Slopes{0, 0}));
}

TEST(Activations, StayFiniteFarFromZero) {
  for (double far : {-1e4, 1e4})
    for (auto f : {+[](const Tensor& x) { return elu(x); }, +[](const Tensor& x) { return gelu(x); },
                   +[](const Tensor& x) { return silu(x); }, +[](const Tensor& x) { return gelu(x, "tanh"); },
                   &log_sigmoid, &softsign}) {
      const Tensor x = tensor({static_cast<float>(far)}).requires_grad(true);
      const Tensor out = f(x);
      EXPECT_TRUE(all(isfinite(out)).item<bool>());
      const Tensor slope = sum(out).backward({}, {.create_graph = true}).of(x);
      EXPECT_TRUE(all(isfinite(slope)).item<bool>());
      if (!slope.requires_grad()) continue;
      EXPECT_TRUE(all(isfinite(sum(slope).backward().of(x))).item<bool>());
    }
}

TEST(Gelu, KnowsTwoForms) {
  EXPECT_NEAR(gelu(scalar(1.0)).item<double>(), 0.8413447, 1e-7);
  EXPECT_NEAR(gelu(scalar(1.0), "tanh").item<double>(), 0.8411920, 1e-7);
  EXPECT_THROW(gelu(scalar(1.0), "sigmoid"), Error);
}

TEST(Aliases, AreFunctionsAndMethods) {
  const Tensor x = tensor({-1.5f, 2.f});
  EXPECT_EQ(abs(x).to_vector<float>(), x.absolute().to_vector<float>());
  EXPECT_EQ(x.less_than(0).to_vector<float>(), lt(x, 0).to_vector<float>());
  EXPECT_EQ(swish(x).to_vector<float>(), silu(x).to_vector<float>());
}

}  // namespace
}  // namespace sm
