#include <gmock/gmock.h>

#include "nn/testing.hpp"
#include "shumai/layers.hpp"
#include "shumai/random.hpp"

namespace sm::nn {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr NormOptions kDouble = {.dtype = DType::f64};

std::vector<std::string> names(const Tensors& tensors) {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : tensors) out.push_back(name);
  return out;
}

double at(const Tensor& x, size_t index) { return values(x).at(index); }

TEST(LayerNorm, MakesEachRowStandard) {
  const LayerNorm norm(2, {.epsilon = 0});
  norm.named_parameters()["weight"].update(tensor({2.f, 1.f}));
  norm.named_parameters()["bias"].update(tensor({0.f, 5.f}));
  EXPECT_THAT(values(norm(tensor({{1.f, 3.f}, {8.f, 4.f}}))), ElementsAre(-2, 6, 2, 4));
}

TEST(LayerNorm, MayLeaveItsParametersOut) {
  EXPECT_THAT(names(LayerNorm(3).state()), ElementsAre("weight", "bias"));
  EXPECT_THAT(names(LayerNorm(3, {.bias = false}).state()), ElementsAre("weight"));
  EXPECT_TRUE(LayerNorm(3, {.affine = false}).state().empty());
  EXPECT_EQ(LayerNorm({2, 3}, {.affine = false})(ones({4, 2, 3})).shape(), (Shape{4, 2, 3}));
}

TEST(LayerNorm, SaysWhatDoesNotFit) {
  const LayerNorm norm({2, 3});
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [&] {
                         norm(ones({4, 3, 3}));
                       }),
              HasSubstr("LayerNorm: expects a shape that ends in [2, 3], got [4, 3, 3]"));
  error_of(ErrorCode::kShapeMismatch, [&] { norm(ones({3})); });
  error_of(ErrorCode::kInvalidArgument, [] { LayerNorm(Shape{}); });
}

TEST(LayerNorm, HasExactGradients) {
  const LayerNorm norm(4, kDouble);
  check_gradients(norm, {rand({3, 4}, DType::f64)}, [&](const auto& x) { return tanh(norm(x[0])); });
}

TEST(RMSNorm, DividesByTheRootMeanSquare) {
  const RMSNorm norm(2, {.epsilon = 0});
  norm.named_parameters()["weight"].update(tensor({1.f, 10.f}));
  EXPECT_NEAR(at(norm(tensor({3.f, 4.f})), 1), 40 / std::sqrt(12.5), 1e-5);
  EXPECT_THAT(names(norm.state()), ElementsAre("weight"));
  error_of(ErrorCode::kShapeMismatch, [&] { norm(ones({3})); });
}

TEST(RMSNorm, HasExactGradients) {
  const RMSNorm norm(4, kDouble);
  check_gradients(norm, {rand({3, 4}, DType::f64)}, [&](const auto& x) { return tanh(norm(x[0])); });
}

TEST(GroupNorm, MakesEachGroupOfChannelsStandard) {
  const GroupNorm norm(2, 4, {.epsilon = 0});
  norm.named_parameters()["bias"].update(tensor({0.f, 0.f, 0.f, 7.f}));
  const Tensor x = tensor(std::vector<float>{1, 3, 10, 30}, {1, 4, 1});
  EXPECT_THAT(values(norm(x)), ElementsAre(-1, 1, -1, 8));
  EXPECT_EQ(norm(ones({2, 4, 3, 3})).shape(), (Shape{2, 4, 3, 3}));
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { GroupNorm(3, 4); }), HasSubstr("3 for 4"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { norm(ones({2, 3, 3})); }), HasSubstr("[2, 3, 3]"));
}

TEST(GroupNorm, HasExactGradients) {
  const GroupNorm norm(2, 4, kDouble);
  check_gradients(norm, {rand({2, 4, 3}, DType::f64)}, [&](const auto& x) { return tanh(norm(x[0])); });
}

TEST(BatchNorm2d, TrainsOnTheBatchAndRemembersIt) {
  const BatchNorm2d norm(1, {.epsilon = 0});
  const Tensor x = tensor(std::vector<float>{1, 5}, {2, 1, 1, 1});
  EXPECT_THAT(values(norm(x)), ElementsAre(-1, 1));
  const Tensors buffers = norm.named_buffers();
  EXPECT_NEAR(buffers["running_mean"].item<double>(), 0.1 * 3, 1e-6);
  EXPECT_NEAR(buffers["running_var"].item<double>(), 0.9 + 0.1 * 8, 1e-6);  // 8 is the unbiased variance
  EXPECT_EQ(buffers["num_batches_tracked"].item<int>(), 1);
}

TEST(BatchNorm2d, EvaluatesByWhatItRemembers) {
  const BatchNorm2d norm(1, {.epsilon = 0});
  norm.named_buffers()["running_mean"].update(tensor({2.f}));
  norm.named_buffers()["running_var"].update(tensor({4.f}));
  norm.eval();
  EXPECT_THAT(values(norm(full({1, 1, 1, 1}, 8))), ElementsAre(3));
  EXPECT_EQ(norm.named_buffers()["num_batches_tracked"].item<int>(), 0);
}

TEST(BatchNorm2d, RemembersNoGraph) {
  const BatchNorm2d norm(2);
  norm(norm(rand({3, 2, 2, 2})));
  for (const auto& [name, buffer] : norm.named_buffers()) EXPECT_FALSE(buffer.requires_grad()) << name;
}

TEST(BatchNorm2d, SaysWhatDoesNotFit) {
  const BatchNorm2d norm(2);
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { norm(ones({2, 3, 4, 4})); }), HasSubstr("2 channels"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { norm(ones({4, 2})); }), HasSubstr("[N, C, H, W]"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { norm(ones({1, 2, 1, 1})); }), HasSubstr("more than one value"));
}

TEST(BatchNorm2d, HasExactGradientsInBothModes) {
  const BatchNorm2d norm(2, {.dtype = DType::f64});
  const auto call = [&](const auto& x) { return tanh(norm(x[0])); };
  check_gradients(norm, {rand({3, 2, 2, 2}, DType::f64)}, call);
  norm.eval();
  check_gradients(norm, {rand({3, 2, 2, 2}, DType::f64)}, call);
}

TEST(Dropout, DropsInTrainModeOnly) {
  manual_seed(2);
  const Dropout layer(0.25);
  const Tensor dropped = layer(ones({10000}));
  EXPECT_NEAR(mean(dropped == 0.0).item<double>(), 0.25, 0.02);
  EXPECT_THAT(values((dropped == 0.0) + (absolute(dropped - 4.0 / 3) < 1e-6)), Each(1));
  layer.eval();
  EXPECT_THAT(values(layer(ones({100}))), Each(1));
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { Dropout(1.5); }), HasSubstr("Dropout: a probability"));
}

TEST(Embedding, LooksUpRows) {
  const Embedding layer(3, 2);
  layer.weight().update(tensor({{1.f, 2.f}, {3.f, 4.f}, {5.f, 6.f}}));
  EXPECT_THAT(values(layer(tensor({2, 0}))), ElementsAre(5, 6, 1, 2));
  EXPECT_EQ(layer(zeros({4, 5}, DType::i64)).shape(), (Shape{4, 5, 2}));
  EXPECT_THAT(error_of(ErrorCode::kOutOfRange, [&] { layer(tensor({3})); }), HasSubstr("3"));
}

TEST(Embedding, BeginsStandardNormal) {
  manual_seed(1);
  const Embedding layer(100, 100);
  EXPECT_NEAR(mean(layer.weight()).item<double>(), 0, 0.03);
  EXPECT_NEAR(std(layer.weight()).item<double>(), 1, 0.03);
}

TEST(Embedding, HasExactGradients) {
  const Embedding layer(4, 3, {.dtype = DType::f64});
  check_gradients(layer, {tensor({1, 3, 1})}, [&](const auto& x) { return tanh(layer(x[0])); });
}

}  // namespace
}  // namespace sm::nn
