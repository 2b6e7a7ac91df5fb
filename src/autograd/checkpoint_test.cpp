#include "shumai/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"
#include "shumai/random.hpp"
#include "util/buffer.hpp"

namespace sm {
namespace {

using testing::HasSubstr;
using Ins = std::vector<Tensor>;
using Floats = std::vector<float>;

Tensor weight_of(const Shape& shape) { return (rand(shape) - 0.5).requires_grad(true); }

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "no error";
}

TEST(Checkpoint, GivesTheSameValuesAndGradients) {
  manual_seed(1);
  const Tensor x = weight_of({4, 3}), y = weight_of({4, 3}), weight = weight_of({3, 3}), bias = weight_of({3});
  const auto block = [&](const Ins& in) { return tanh(matmul(in[0] * in[1], weight) + bias); };
  const Tensor plain = block({x, y});
  const Gradients expected = sum(square(plain)).backward();
  const Tensor saved = checkpoint(block, {x, y});
  EXPECT_EQ(saved.to_vector<float>(), plain.to_vector<float>());
  const Gradients found = sum(square(saved)).backward();
  EXPECT_EQ(found.size(), 4u);
  for (const Tensor& leaf : {x, y, weight, bias}) {
    EXPECT_EQ(found.of(leaf).to_vector<float>(), expected.of(leaf).to_vector<float>());
    EXPECT_EQ(leaf.grad().to_vector<float>(), expected.of(leaf).to_vector<float>());
  }
}

TEST(Checkpoint, GradientsGoOnBelowAndNest) {
  const Tensor x = scalar(3.f).requires_grad(true), weight = scalar(2.f).requires_grad(true);
  const auto twice = [&](const Ins& in) {
    return checkpoint([&](const Ins& inner) { return inner[0] * weight; }, {in[0] * weight});
  };
  const Gradients found = (checkpoint(twice, {x * x}) + weight).backward();
  EXPECT_EQ(found.of(x).item<float>(), 2 * 3 * 4);
  EXPECT_EQ(found.of(weight).item<float>(), 2 * 2 * 9 + 1);
}

TEST(Checkpoint, KeepsTheInputsAlone) {
  const Tensor x = ones({1000}).requires_grad(true);
  const auto block = [](const Ins& in) {
    Tensor out = in[0];
    for (int i = 0; i < 20; ++i) out = sin(out);
    return out;
  };
  const auto peak_of = [&](auto apply) {
    const size_t before = util::Buffer::bytes_in_use();
    Tensor out = x;
    for (int i = 0; i < 10; ++i) out = apply(out);
    const size_t held = util::Buffer::bytes_in_use() - before;
    sum(out).backward();
    return held;
  };
  const size_t plain = peak_of([&](const Tensor& in) { return block({in}); });
  const size_t saved = peak_of([&](const Tensor& in) { return checkpoint(block, {in}); });
  EXPECT_GE(plain, 199u * 4000);
  EXPECT_LE(saved, 12u * 4000);
}

TEST(Checkpoint, DropsTheSameElementsAgainAndLeavesTheStreamWhereItWas) {
  manual_seed(7);
  const Tensor x = ones({64}).requires_grad(true);
  const Tensor out = checkpoint([](const Ins& in) { return dropout(in[0], 0.5); }, {x});
  rand({100});
  const RandomState before = random_state();
  EXPECT_EQ(sum(out).backward().of(x).to_vector<float>(), out.to_vector<float>());
  EXPECT_EQ(random_state().position, before.position);
}

TEST(Checkpoint, SeesTheWeightsThatItsForwardSaw) {
  const Tensor x = scalar(3.f).requires_grad(true), weight = scalar(2.f).requires_grad(true);
  const Tensor out = checkpoint([&](const Ins& in) { return in[0] * square(weight); }, {x});
  optim::sgd((weight * 5.0).backward(), 1.f);
  const Gradients found = out.backward();
  EXPECT_EQ(found.of(x).item<float>(), 4);
  EXPECT_EQ(found.of(weight).item<float>(), 2 * 2 * 3);
  EXPECT_EQ(weight.item<float>(), -3);
}

TEST(Checkpoint, CanBeRepeatedWhileTheGraphIsRetained) {
  const Tensor x = scalar(3.f).requires_grad(true);
  const Tensor out = checkpoint([&](const Ins& in) { return square(in[0]); }, {x});
  EXPECT_EQ(out.backward({}, {.retain_graph = true}).of(x).item<float>(), 6);
  EXPECT_EQ(run(out.backward_async()).of(x).item<float>(), 6);
}

TEST(Checkpoint, AFailureInBackwardLeavesGradientsAndGraph) {
  const Tensor x = scalar(3.f).requires_grad(true), weight = scalar(2.f).requires_grad(true);
  (weight * 1.0).backward();
  bool fails = false;
  const Tensor out = checkpoint(
      [&](const Ins& in) {
        if (fails) throw Error(ErrorCode::kInvalidArgument, "away");
        return in[0] * weight;
      },
      {x});
  fails = true;
  EXPECT_EQ(error_of([&] { out.backward(); }), "away");
  EXPECT_EQ(weight.grad().item<float>(), 1);
  EXPECT_TRUE(grad_enabled());
  fails = false;
  EXPECT_EQ(out.backward().of(weight).item<float>(), 3);
}

TEST(Checkpoint, WithoutGradientsIsTheFunctionAlone) {
  const Tensor x = scalar(3.f);
  EXPECT_FALSE(checkpoint([](const Ins& in) { return in[0] * 2.0; }, {x}).requires_grad());
  const NoGrad guard;
  EXPECT_FALSE(checkpoint([](const Ins& in) { return in[0] * 2.0; }, {x.requires_grad(true)}).requires_grad());
}

TEST(Checkpoint, WhatItCannotDoIsSaid) {
  const Tensor x = scalar(3.f).requires_grad(true);
  const Tensor outside = square(x);
  EXPECT_THAT(error_of([&] { checkpoint([&](const Ins& in) { return in[0] * outside; }, {x}); }),
              HasSubstr("uses a result of square from outside"));
  const GradFn remote = [](GradContext grad) -> Task<Tensor> { co_return grad.grad_in; };
  EXPECT_THAT(error_of([&] { checkpoint([&](const Ins& in) { return with_grad_fn(in[0], in, remote); }, {x}); }),
              HasSubstr("crosses the network"));
  const Tensor out = checkpoint([](const Ins& in) { return square(in[0]); }, {x});
  EXPECT_THAT(error_of([&] { out.backward({}, {.create_graph = true}); }), HasSubstr("only once"));
  EXPECT_THAT(error_of([] { checkpoint({}, {}); }), HasSubstr("the function is empty"));
}

}  // namespace
}  // namespace sm
