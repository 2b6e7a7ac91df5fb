#include "shumai/recurrent.hpp"

#include <gmock/gmock.h>

#include "nn/testing.hpp"
#include "shumai/random.hpp"

namespace sm::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

void expect_near(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_LT(amax(absolute(a - b)).item<double>(), 1e-12);
}

RecurrentOptions with_double(RecurrentOptions options = {}) {
  options.dtype = DType::f64;
  return options;
}

// All zeros but what is given.
void set(const Module& module, const Tensors& given) {
  for (const auto& [name, parameter] : module.named_parameters()) {
    const Tensor* value = given.find(name);
    parameter.update(value ? *value : zeros(parameter.shape()));
  }
}

TEST(LSTM, FollowsItsEquations) {
  const LSTM lstm(1, 1, with_double());
  set(lstm, {{"bias_ih_l0", tensor({0.0, 1.0, 2.0, 3.0})}, {"weight_hh_l0", tensor({{0.0}, {0.5}, {0.0}, {0.0}})}});
  const auto [output, state] = lstm(zeros({1, 2, 1}, DType::f64));
  const double cell1 = 0.5 * std::tanh(2), hidden1 = sigmoid_of(3) * std::tanh(cell1);
  const double cell2 = sigmoid_of(1 + 0.5 * hidden1) * cell1 + 0.5 * std::tanh(2);
  const double hidden2 = sigmoid_of(3) * std::tanh(cell2);
  expect_near(output, tensor(std::vector<double>{hidden1, hidden2}, {1, 2, 1}));
  expect_near(state.hidden, full({1, 1, 1}, hidden2, DType::f64));
  expect_near(state.cell, full({1, 1, 1}, cell2, DType::f64));
}

TEST(GRU, FollowsItsEquations) {
  const GRU gru(1, 1, with_double());
  set(gru, {{"bias_ih_l0", tensor({0.5, -1.0, 0.3})},
            {"bias_hh_l0", tensor({0.0, 0.0, 2.0})},
            {"weight_hh_l0", tensor({{0.0}, {0.0}, {0.7}})}});
  const auto [output, hidden] = gru(zeros({1, 2, 1}, DType::f64));
  const double reset = sigmoid_of(0.5), keep = sigmoid_of(-1);
  const double hidden1 = (1 - keep) * std::tanh(0.3 + reset * 2);
  const double hidden2 = (1 - keep) * std::tanh(0.3 + reset * (2 + 0.7 * hidden1)) + keep * hidden1;
  expect_near(output, tensor(std::vector<double>{hidden1, hidden2}, {1, 2, 1}));
  expect_near(hidden, full({1, 1, 1}, hidden2, DType::f64));
}

TEST(LSTM, NamesItsWeightsAsPyTorch) {
  const LSTM lstm(3, 5, {.layers = 2, .bidirectional = true});
  EXPECT_EQ(lstm.parameters().size(), 16u);
  const Tensors parameters = lstm.named_parameters();
  EXPECT_EQ(parameters["weight_ih_l0"].shape(), (Shape{20, 3}));
  EXPECT_EQ(parameters["weight_hh_l0_reverse"].shape(), (Shape{20, 5}));
  EXPECT_EQ(parameters["weight_ih_l1"].shape(), (Shape{20, 10}));
  EXPECT_EQ(parameters["bias_hh_l1_reverse"].shape(), (Shape{20}));
  EXPECT_LE(amax(absolute(parameters["weight_ih_l0"])).item<double>(), 1 / std::sqrt(5.0));
  EXPECT_EQ(GRU(3, 5, {.bias = false}).parameters().size(), 2u);
}

TEST(LSTM, GivesOutputAndStatesOfTheirShapes) {
  const LSTM lstm(3, 5, {.layers = 2, .bidirectional = true});
  const auto [output, state] = lstm(rand({4, 6, 3}));
  EXPECT_EQ(output.shape(), (Shape{4, 6, 10}));
  EXPECT_EQ(state.hidden.shape(), (Shape{4, 4, 5}));
  EXPECT_EQ(state.cell.shape(), (Shape{4, 4, 5}));
}

TEST(LSTM, GoesOnFromAState) {
  const LSTM lstm(2, 3, with_double({.layers = 2}));
  const Tensor x = rand({2, 5, 2}, DType::f64);
  const auto [whole, end] = lstm(x);
  const auto [first, middle] = lstm(slice(x, 1, 0, 2));
  const auto [second, last] = lstm(slice(x, 1, 2, 5), middle);
  expect_near(concatenate({first, second}, 1), whole);
  expect_near(last.cell, end.cell);
}

TEST(GRU, GoesOnFromAState) {
  const GRU gru(2, 3, with_double());
  const Tensor x = rand({2, 5, 2}, DType::f64);
  const auto [first, middle] = gru(slice(x, 1, 0, 2));
  const auto [second, last] = gru(slice(x, 1, 2, 5), middle);
  expect_near(concatenate({first, second}, 1), gru(x).output);
  expect_near(last, gru(x).hidden);
}

TEST(GRU, TimeMayComeFirst) {
  const GRU one(2, 3, with_double()), other(2, 3, with_double({.batch_first = false}));
  other.load_state(one.state());
  const Tensor x = rand({4, 5, 2}, DType::f64);
  expect_near(other(transpose(x, {1, 0, 2})).output, transpose(one(x).output, {1, 0, 2}));
  expect_near(other(transpose(x, {1, 0, 2})).hidden, one(x).hidden);
}

TEST(GRU, ItsSecondDirectionReadsBackwards) {
  const GRU both(2, 3, with_double({.bidirectional = true})), one(2, 3, with_double());
  for (const auto& [name, parameter] : one.named_parameters())
    parameter.update(both.named_parameters()[name + "_reverse"]);
  const Tensor x = rand({1, 3, 2}, DType::f64);
  const auto backwards = [](const Tensor& y) {
    return concatenate({slice(y, 1, 2, 3), slice(y, 1, 1, 2), slice(y, 1, 0, 1)}, 1);
  };
  const GRUResult whole = both(x), part = one(backwards(x));
  expect_near(slice(whole.output, 2, 3, 6), backwards(part.output));
  expect_near(slice(whole.hidden, 0, 1, 2), part.hidden);
}

TEST(LSTM, ItsSecondLayerReadsTheFirst) {
  const LSTM both(2, 3, with_double({.layers = 2})), one(2, 3, with_double()), two(3, 3, with_double());
  for (const char* name : {"weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l"}) {
    const std::string stem = name;
    one.named_parameters()[stem + "0"].update(both.named_parameters()[stem + "0"]);
    two.named_parameters()[stem + "0"].update(both.named_parameters()[stem + "1"]);
  }
  const Tensor x = rand({2, 4, 2}, DType::f64);
  expect_near(both(x).output, two(one(x).output).output);
}

TEST(LSTM, DropsBetweenLayersInTrainModeOnly) {
  manual_seed(1);
  const LSTM lstm(2, 3, {.layers = 2, .dropout = 0.5});
  const Tensor x = rand({2, 4, 2});
  EXPECT_NE(values(lstm(x).output), values(lstm(x).output));
  lstm.eval();
  EXPECT_EQ(values(lstm(x).output), values(lstm(x).output));
}

TEST(LSTM, SaysWhatDoesNotFit) {
  const LSTM lstm(2, 3);
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [&] {
                         lstm(ones({4, 5, 3}));
                       }),
              HasSubstr("LSTM: expects [batch, time, 2] of at least one step, got [4, 5, 3]"));
  error_of(ErrorCode::kShapeMismatch, [&] { lstm(ones({4, 2})); });
  error_of(ErrorCode::kShapeMismatch, [&] { lstm(ones({4, 0, 2})); });
  EXPECT_THAT(error_of(ErrorCode::kShapeMismatch,
                       [&] {
                         lstm(ones({4, 5, 2}), {.cell = ones({1, 5, 3})});
                       }),
              HasSubstr("[1, 4, 3]"));
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [] { GRU(2, 0); }), HasSubstr("GRU: hidden"));
}

TEST(Recurrent, HaveExactGradients) {
  const LSTM lstm(2, 3, with_double({.layers = 2}));
  check_gradients(lstm, {rand({2, 3, 2}, DType::f64), rand({2, 2, 3}, DType::f64), rand({2, 2, 3}, DType::f64)},
                  [&](const auto& x) {
                    const auto [output, state] = lstm(x[0], {x[1], x[2]});
                    return sum(output) + sum(state.cell * state.cell);
                  });
  const GRU gru(2, 3, with_double({.bidirectional = true}));
  check_gradients(gru, {rand({2, 3, 2}, DType::f64)}, [&](const auto& x) { return gru(x[0]).output; });
}

}  // namespace
}  // namespace sm::nn
