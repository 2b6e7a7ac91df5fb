#include "shumai/transformer.hpp"

#include <gmock/gmock.h>

#include "nn/testing.hpp"
#include "shumai/random.hpp"

namespace sm::nn {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNever = -std::numeric_limits<double>::infinity();

void expect_near(const Tensor& a, const Tensor& b, double tolerance = 1e-12) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_LT(amax(absolute(a - b)).item<double>(), tolerance);
}

Tensor noise(const Shape& shape) { return rand(shape, DType::f64) - 0.5; }

// The steps from `start` on get other values.
Tensor changed_from(const Tensor& x, int64_t start) {
  return concatenate({slice(x, 1, 0, start), noise({x.size(0), x.size(1) - start, x.size(2)})}, 1);
}

TransformerOptions small(TransformerOptions options = {}) {
  options.feedforward = 8;
  options.dropout = 0;
  options.dtype = DType::f64;
  return options;
}

TEST(DotProductAttention, WeighsValuesByTheSoftmaxOfTheProducts) {
  const Tensor query = tensor({{1.0, 0.0}}), value = tensor({{4.0}, {8.0}});
  const Tensor key = tensor({{std::log(3) * std::sqrt(2), 0.0}, {0.0, 9.0}});
  EXPECT_NEAR(DotProductAttention()(query, key, value).item<double>(), 0.75 * 4 + 0.25 * 8, 1e-12);
  EXPECT_NEAR(DotProductAttention({.scale = std::sqrt(2)})(query, key, value).item<double>(), 0.9 * 4 + 0.1 * 8, 1e-12);
}

TEST(DotProductAttention, DropsWeightsInTrainModeOnly) {
  manual_seed(1);
  const DotProductAttention attention({.dropout = 0.5});
  const Tensor zero = zeros({1, 4}), value = ones({1000, 1});
  // Each of 1000 equal weights is 0 or 2 / 1000.
  const double dropped = attention(zero, zeros({1000, 4}), value).item<double>();
  EXPECT_NEAR(dropped, 1, 0.1);
  EXPECT_NE(dropped, 1);
  attention.eval();
  EXPECT_NEAR(attention(zero, zeros({1000, 4}), value).item<double>(), 1, 1e-5);
}

TEST(DotProductAttention, EachMaskForbids) {
  const Tensor q = zeros({2, 3, 4}), k = zeros({2, 3, 4});
  const Tensor v = expand(tensor(std::vector<float>{3, 6, 12}, {3, 1}), {2, 3, 1});
  const Tensor padding = tensor(std::vector<bool>{false, false, true, true, false, false}, {2, 3});
  const Tensor not_first = tensor(std::vector<bool>{false, true, true});
  const DotProductAttention attend;
  const auto see = [&](const AttentionMask& mask) { return values(attend(q, k, v, mask)); };
  EXPECT_THAT(see({.causal = true}), ElementsAre(3, 4.5, 7, 3, 4.5, 7));
  EXPECT_THAT(see({.padding = padding}), ElementsAre(4.5, 4.5, 4.5, 9, 9, 9));
  EXPECT_THAT(see({.mask = not_first}), Each(9));
  EXPECT_THAT(see({.padding = padding, .mask = not_first}), ElementsAre(6, 6, 6, 9, 9, 9));
  EXPECT_THAT(see({.padding = padding, .mask = where(not_first, 0.0, kNever)}), ElementsAre(6, 6, 6, 9, 9, 9));
  EXPECT_THAT(see({.causal = true, .padding = padding}), ElementsAre(3, 4.5, 4.5, 0, 6, 9));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [&] {
                         see({.padding = ones({2, 4})});
                       }),
              HasSubstr("padding must have shape [batch, keys], which is [2, 3], got [2, 4]"));
}

TEST(MultiheadAttention, NamesItsWeightsAsPyTorch) {
  const Tensors state = MultiheadAttention(6, 2).state();
  EXPECT_EQ(state.size(), 4u);
  EXPECT_EQ(state["in_proj_weight"].shape(), (Shape{18, 6}));
  EXPECT_EQ(state["out_proj.weight"].shape(), (Shape{6, 6}));
  EXPECT_THAT(values(state["in_proj_bias"]), Each(0));
  EXPECT_THAT(values(state["out_proj.bias"]), Each(0));
  EXPECT_NEAR(amax(state["in_proj_weight"]).item<double>(), std::sqrt(6.0 / 24), 0.1);
  EXPECT_EQ(MultiheadAttention(6, 2, {.bias = false}).state().size(), 2u);
}

TEST(MultiheadAttention, EachHeadSeesItsShareOfTheWidth) {
  const MultiheadAttention attention(4, 2, {.dtype = DType::f64});
  const Tensor one = identity(4, DType::f64);
  attention.state()["in_proj_weight"].update(concatenate({one, one * 2, one * 3}));
  attention.state()["out_proj.weight"].update(one);
  const Tensor x = noise({2, 5, 4});
  const DotProductAttention head;
  const auto expected = [&](int64_t from) {
    const Tensor part = slice(x, 2, from, from + 2);
    return head(part, part * 2, part * 3);
  };
  expect_near(attention(x), concatenate({expected(0), expected(2)}, 2));
}

TEST(MultiheadAttention, OneProjectionOrThreeAreTheSame) {
  const MultiheadAttention attention(4, 2, {.dtype = DType::f64});
  const Tensor x = noise({2, 3, 4});
  expect_near(attention(x.copy(), x.copy(), x.copy()), attention(x));
  EXPECT_EQ(attention(x, noise({2, 7, 4}), noise({2, 7, 4})).shape(), x.shape());
}

TEST(MultiheadAttention, MasksMayDifferByHead) {
  const MultiheadAttention attention(4, 2, {.dtype = DType::f64});
  const Tensor x = noise({2, 3, 4}), all = ones({3, 3}, DType::boolean);
  expect_near(attention(x, {.mask = all}), attention(x));
  expect_near(attention(x, {.mask = expand(all, {2, 3, 3})}), attention(x));
  expect_near(attention(x, {.mask = expand(all, {2, 2, 3, 3})}), attention(x));
  expect_near(attention(x, {.mask = lte(arange(0, 3), unsqueeze(arange(0, 3), 1))}), attention(x, {.causal = true}));
}

TEST(MultiheadAttention, SaysWhatDoesNotFit) {
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { MultiheadAttention(6, 4); }), HasSubstr("4 for 6"));
  const MultiheadAttention attention(4, 2);
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [&] {
                         attention(ones({2, 3, 6}));
                       }),
              HasSubstr("MultiheadAttention: expects [batch, time, 4], got [2, 3, 6]"));
}

TEST(MultiheadAttention, HasExactGradients) {
  const MultiheadAttention attention(4, 2, {.dtype = DType::f64});
  check_gradients(attention, {noise({2, 3, 4}), noise({2, 5, 4}), noise({2, 5, 4})},
                  [&](const auto& x) { return attention(x[0], x[1], x[2], {.causal = true}); });
}

TEST(TransformerPositionalEncoding, AddsSinesOfFallingFrequency) {
  const TransformerPositionalEncoding positions(3, {.max_length = 5});
  const std::vector<double> second = values(positions(zeros({2, 2, 3})));
  const double slow = std::pow(10000.0, -2.0 / 3);
  EXPECT_THAT(second, ElementsAre(0, 1, 0, DoubleNear(std::sin(1), 1e-6), DoubleNear(std::cos(1), 1e-6),
                                  DoubleNear(std::sin(slow), 1e-6), 0, 1, 0, second[3], second[4], second[5]));
  EXPECT_EQ(positions.encoding(5).shape(), (Shape{5, 3}));
  EXPECT_TRUE(positions.state().empty());
  EXPECT_EQ(positions(zeros({2, 3}, DType::f64)).dtype(), DType::f64);
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [&] {
                         positions(zeros({6, 3}));
                       }),
              HasSubstr("up to 5 steps, got 6"));
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch, [&] { positions(zeros({3, 4})); }), HasSubstr("[3, 4]"));
}

TEST(TransformerEncoderLayer, AddsNothingWhenItsPartsGiveNothing) {
  for (const bool norm_first : {true, false}) {
    const TransformerEncoderLayer layer(4, 2, small({.norm_first = norm_first}));
    for (const char* name : {"self_attn.out_proj.weight", "linear2.weight", "linear2.bias"})
      layer.state()[name].update(zeros(layer.state()[name].shape()));
    const Tensor x = tensor(std::vector<double>{1, 3, 1, 3}, {1, 1, 4});
    expect_near(layer(x), norm_first ? x : x - 2.0, 1e-4);
  }
}

TEST(TransformerEncoderLayer, NamesItsWeightsAsPyTorch) {
  const Tensors state = TransformerEncoderLayer(4, 2, small()).state();
  EXPECT_EQ(state.size(), 12u);
  for (const char* name : {"self_attn.in_proj_weight", "self_attn.out_proj.bias", "linear1.weight", "linear2.bias",
                           "norm1.weight", "norm2.bias"})
    EXPECT_TRUE(state.contains(name)) << name;
  EXPECT_EQ(state["linear1.weight"].shape(), (Shape{8, 4}));
}

TEST(TransformerEncoderLayer, DropsInTrainModeOnly) {
  manual_seed(1);
  const TransformerEncoderLayer layer(4, 2, {.feedforward = 8, .dropout = 0.5});
  const Tensor x = rand({1, 3, 4});
  EXPECT_NE(values(layer(x)), values(layer(x)));
  layer.eval();
  EXPECT_EQ(values(layer(x)), values(layer(x)));
}

TEST(TransformerEncoder, LayersHaveWeightsOfTheirOwn) {
  const TransformerEncoder encoder(2, 4, 2, small());
  const Tensors state = encoder.state();
  EXPECT_EQ(state.size(), 24u);
  EXPECT_NE(values(state["layers.0.linear1.weight"]), values(state["layers.1.linear1.weight"]));
  EXPECT_TRUE(TransformerEncoder(1, 4, 2, small({.norm_first = true})).state().contains("norm.weight"));
  EXPECT_FALSE(
      TransformerEncoder(1, 4, 2, small({.norm_first = true, .final_norm = false})).state().contains("norm.weight"));
}

TEST(TransformerEncoder, CausalStepsSeeNothingLater) {
  const TransformerEncoder encoder(2, 4, 2, small({.norm_first = true}));
  const Tensor x = noise({2, 5, 4}), other = changed_from(x, 3);
  const Tensor a = encoder(x, {.causal = true}), b = encoder(other, {.causal = true});
  expect_near(slice(a, 1, 0, 3), slice(b, 1, 0, 3));
  EXPECT_GT(amax(absolute(a - b)).item<double>(), 1e-3);
  EXPECT_GT(amax(absolute(slice(encoder(x) - encoder(other), 1, 0, 3))).item<double>(), 1e-5);
}

TEST(TransformerEncoder, PaddingIsNotSeen) {
  const TransformerEncoder encoder(1, 4, 2, small());
  const Tensor x = noise({2, 5, 4}), other = changed_from(x, 3);
  const AttentionMask mask = {.padding = expand(gte(arange(0, 5), 3.0), {2, 5})};
  expect_near(slice(encoder(x, mask), 1, 0, 3), slice(encoder(other, mask), 1, 0, 3));
}

TEST(TransformerDecoder, SeesItsPastAndTheMemory) {
  const TransformerDecoder decoder(2, 4, 2, small());
  const Tensor x = noise({2, 5, 4}), memory = noise({2, 3, 4});
  const auto run = [&](const Tensor& in, const Tensor& from) { return decoder(in, from, {.causal = true}); };
  const Tensor out = run(x, memory);
  EXPECT_EQ(out.shape(), x.shape());
  expect_near(slice(out, 1, 0, 2), slice(run(changed_from(x, 2), memory), 1, 0, 2));
  EXPECT_GT(amax(absolute(slice(out - run(x, changed_from(memory, 2)), 1, 0, 2))).item<double>(), 1e-5);
  const AttentionMask mask = {.padding = expand(gte(arange(0, 3), 2.0), {2, 3})};
  expect_near(decoder(x, memory, {}, mask), decoder(x, changed_from(memory, 2), {}, mask));
}

TEST(TransformerDecoder, NamesItsWeightsAsPyTorch) {
  const Tensors state = TransformerDecoder(1, 4, 2, small({.final_norm = true})).state();
  EXPECT_EQ(state.size(), 20u);
  for (const char* name : {"layers.0.multihead_attn.in_proj_weight", "layers.0.norm3.weight", "norm.bias"})
    EXPECT_TRUE(state.contains(name)) << name;
}

TEST(Transformer, HasExactGradients) {
  const TransformerEncoder encoder(1, 4, 2, small({.activation = sm::tanh, .norm_first = true}));
  check_gradients(encoder, {noise({2, 3, 4})}, [&](const auto& x) { return encoder(x[0], {.causal = true}); });
  const TransformerDecoder decoder(1, 4, 2, small({.activation = sm::tanh}));
  check_gradients(decoder, {noise({2, 3, 4}), noise({2, 2, 4})},
                  [&](const auto& x) { return tanh(decoder(x[0], x[1], {.causal = true})); });
}

}  // namespace
}  // namespace sm::nn
