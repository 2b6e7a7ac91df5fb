#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "util/buffer.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;

Tensor leaf(float value) { return scalar(value).requires_grad(true); }
float value(const Tensor& x) { return x.item<float>(); }

template <class F>
std::string error_of(ErrorCode code, F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Backward, FollowsTheChainRule) {
  const Tensor x = leaf(3), y = leaf(4);
  const Gradients gradients = (x * y + x).backward();
  EXPECT_EQ(value(gradients.of(x)), 5);
  EXPECT_EQ(value(gradients.of(y)), 3);
  EXPECT_EQ(value(x.grad()), 5);
  EXPECT_EQ(gradients.size(), 2u);
}

TEST(Backward, AddsUpAlongBothSidesOfADiamond) {
  const Tensor x = leaf(2);
  const Tensor shared = x * 3.0;
  const Tensor out = shared * shared + shared;
  EXPECT_EQ(value(out.backward().of(x)), 3 * (2 * 6 + 1));
}

TEST(Backward, RunsASharedNodeOnce) {
  int runs = 0;
  const Tensor x = leaf(2);
  const Tensor shared = with_grad_fn(x.detach(), {x}, [&](GradContext grad) {
    ++runs;
    return grad.grad_in;
  });
  Tensor out = shared;
  for (int i = 0; i < 40; ++i) out = out + out;
  EXPECT_EQ(value(out.backward().of(x)), std::exp2(40.f));
  EXPECT_EQ(runs, 1);
}

TEST(Backward, SharesALeafAmongManyUses) {
  const Tensor x = leaf(1);
  Tensor out = x;
  for (int i = 0; i < 9; ++i) out = out + x;
  EXPECT_EQ(value(out.backward().of(x)), 10);
}

TEST(Backward, OfALeafIsItsJacobian) {
  const Tensor x = leaf(5);
  EXPECT_EQ(value(x.backward().of(x)), 1);
  EXPECT_EQ(value(x.backward(scalar(2.f)).of(x)), 2);
}

TEST(Backward, NamesEachLeafOnce) {
  const Tensor x = leaf(1), constant = scalar(2.f);
  const Gradients gradients = (x * x * constant).backward();
  ASSERT_EQ(gradients.size(), 1u);
  EXPECT_TRUE(gradients.begin()->tensor.same_as(x));
  EXPECT_FALSE(gradients.of(constant).defined());
}

TEST(Backward, ReplacesTheGradientOfTheLastPass) {
  const Tensor x = leaf(1);
  (x * 2.0).backward();
  (x * 3.0).backward();
  EXPECT_EQ(value(x.grad()), 3);
}

TEST(Jacobian, IsNeededForMoreThanOneElement) {
  const Tensor x = tensor({1.f, 2.f}).requires_grad(true);
  EXPECT_TRUE(contains(error_of(ErrorCode::kShapeMismatch, [&] { (x * 2.0).backward(); }), "[2]"));
  const std::string text = error_of(ErrorCode::kShapeMismatch, [&] { (x * 2.0).backward(zeros({3})); });
  EXPECT_TRUE(contains(text, "[2]") && contains(text, "[3]")) << text;
  EXPECT_EQ((x * 2.0).backward(tensor({1.f, 10.f})).of(x).to_vector<float>(), (Floats{2, 20}));
}

TEST(Jacobian, IsCastToTheTensorsDType) {
  const Tensor x = tensor({1.f, 2.f}).requires_grad(true);
  EXPECT_EQ((x * 2.0).backward(tensor({1.0, 10.0})).of(x).dtype(), DType::f32);
}

TEST(Backward, NeedsSomethingToDifferentiate) {
  EXPECT_TRUE(
      contains(error_of(ErrorCode::kInvalidArgument, [] { (scalar(1.f) * 2.0).backward(); }), "requires gradients"));
}

TEST(Consumed, GraphsSaySo) {
  const Tensor x = leaf(2);
  const Tensor y = x * x, z = y * 3.0;
  y.backward();
  EXPECT_TRUE(contains(error_of(ErrorCode::kGone, [&] { y.backward(); }), "retain_graph"));
  error_of(ErrorCode::kGone, [&] { z.backward(); });
}

TEST(Consumed, GraphsLetGoOfWhatTheySaved) {
  const Tensor x = ones({1000}).requires_grad(true);
  const Tensor y = sum(square(exp(x)));
  const size_t before = util::Buffer::bytes_in_use();
  y.backward();
  x.set_grad({});
  EXPECT_LE(util::Buffer::bytes_in_use() + 3900, before);
}

TEST(RetainGraph, AllowsAnotherPass) {
  const Tensor x = leaf(2);
  const Tensor y = x * x * x;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(value(y.backward({}, {.retain_graph = true}).of(x)), 12);
  EXPECT_EQ(value(y.backward().of(x)), 12);
  error_of(ErrorCode::kGone, [&] { y.backward(); });
}

TEST(CreateGraph, GivesEveryHigherDerivative) {
  const Tensor x = scalar(2.0).requires_grad(true);
  Tensor f = power(x, 4);
  const double expected[] = {32, 48, 48, 24};
  for (double want : expected) {
    f = f.backward({}, {.create_graph = true}).of(x);
    EXPECT_DOUBLE_EQ(f.item<double>(), want);
  }
}

TEST(CreateGraph, DifferentiatesAPenaltyOnTheGradient) {
  const Tensor x = scalar(3.0).requires_grad(true), w = scalar(2.0).requires_grad(true);
  const Tensor slope = (square(x) * w).backward({}, {.create_graph = true}).of(x);  // 2 x w
  const Gradients gradients = square(slope).backward();                             // 4 x^2 w^2
  EXPECT_DOUBLE_EQ(gradients.of(w).item<double>(), 8 * 9 * 2);
  EXPECT_DOUBLE_EQ(gradients.of(x).item<double>(), 8 * 3 * 4);
}

TEST(CreateGraph, IsOffUnlessAsked) {
  const Tensor x = leaf(2);
  EXPECT_FALSE((x * x).backward().of(x).requires_grad());
}

TEST(CreateGraph, IsOfTheReturnedGradientsAlone) {
  const Tensor x = leaf(2);
  const Gradients gradients = (x * x).backward({}, {.create_graph = true});
  EXPECT_TRUE(gradients.of(x).requires_grad());
  EXPECT_FALSE(x.grad().requires_grad());
  EXPECT_EQ(value(x.grad()), 4);
}

TEST(Jacobian, WithAGraphGivesGradientsWithoutOne) {
  const Tensor x = leaf(2), y = leaf(3);
  EXPECT_FALSE((x * 1.0).backward(y * 2.0).of(x).requires_grad());
  EXPECT_FALSE(x.backward(y * 2.0).of(x).requires_grad());
  EXPECT_TRUE((x * 1.0).backward(y * 2.0, {.create_graph = true}).of(x).requires_grad());
}

TEST(CreateGraph, LeaksNothing) {
  const size_t before = util::Buffer::bytes_in_use();
  {
    const Tensor x = ones({100}).requires_grad(true);
    // The square is held by the graph alone.
    const Gradients gradients = sum(exp(square(x))).backward({}, {.create_graph = true});
    EXPECT_TRUE(gradients.of(x).requires_grad());
  }
  EXPECT_EQ(util::Buffer::bytes_in_use(), before);
}

TEST(NoGradGuard, MakesConstants) {
  const Tensor x = leaf(2);
  const Tensor squared = [&] {
    const NoGrad guard;
    return x * x;
  }();
  EXPECT_FALSE(squared.requires_grad());
  EXPECT_EQ(value((squared * x).backward().of(x)), 4);
}

TEST(NoGradGuard, IsOfOneThread) {
  const NoGrad guard;
  bool elsewhere = false;
  std::thread([&] { elsewhere = grad_enabled(); }).join();
  EXPECT_TRUE(elsewhere);
}

TEST(Detach, CutsTheGraph) {
  const Tensor x = leaf(3);
  EXPECT_EQ(value((x * x.detach()).backward().of(x)), 3);
  EXPECT_EQ(value((x * (x * 2.0).copy()).backward().of(x)), 6);
}

TEST(Intermediate, GradientsAreSetWhileTheTensorIsHeld) {
  const Tensor x = leaf(3);
  const Tensor y = x * x;
  const Tensor z = y * 5.0;
  z.backward();
  EXPECT_EQ(value(y.grad()), 5);
  EXPECT_EQ(value(z.grad()), 1);
  EXPECT_EQ(value(x.grad()), 30);
}

TEST(Gradients, ComeInTheOrderTheGraphWasBuilt) {
  const Tensor a = leaf(1), b = leaf(2), c = leaf(3);
  const auto names = [&](const Gradients& gradients) {
    std::string text;
    for (const auto& [tensor, gradient] : gradients) text += tensor.same_as(a) ? 'a' : tensor.same_as(b) ? 'b' : 'c';
    return text;
  };
  const std::string first = names((a * b + c * b).backward());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(names((a * b + c * b).backward()), first);
}

// In float32 the order of these terms decides whether the sum is 1 or 0.
TEST(Gradients, AreAddedInAFixedOrder) {
  const Tensor x = leaf(1);
  const auto pass = [&] { return value((x * 1e8 + x * 1.0 + x * -1e8).backward().of(x)); };
  const float first = pass();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pass(), first);
}

TEST(DeepChain, IsWalkedAndDestroyedWithoutRecursion) {
  const Tensor x = leaf(1);
  Tensor out = x;
  for (int i = 0; i < 200'000; ++i) out = out + 1.0;
  EXPECT_EQ(value(out.backward().of(x)), 1);
}

TEST(DeepChain, IsDestroyedWithoutBeingWalked) {
  const size_t before = util::Buffer::bytes_in_use();
  {
    const Tensor x = leaf(1);
    Tensor out = x;
    // These nodes save their inputs, so tensors and nodes alternate in the chain.
    for (int i = 0; i < 200'000; ++i) out = out * out;
  }
  EXPECT_EQ(util::Buffer::bytes_in_use(), before);
}

TEST(CustomGradient, GetsInputsOutputAndGradient) {
  const Tensor x = leaf(3), y = leaf(4);
  GradContext seen;
  const Tensor out = with_grad_fn((x * y).detach(), {x, y}, [&](GradContext grad) {
    seen = grad;
    return std::vector<Tensor>{grad.grad_in * grad.inputs[1], grad.grad_in * grad.inputs[0]};
  });
  const Gradients gradients = (out * 2.0).backward();
  EXPECT_EQ(value(gradients.of(x)), 8);
  EXPECT_EQ(value(gradients.of(y)), 6);
  EXPECT_EQ(value(seen.output), 12);
  EXPECT_FALSE(seen.inputs[0].requires_grad());
}

TEST(CustomGradient, RunsEvenWhenNoInputNeedsIt) {
  int runs = 0;
  const Tensor out = with_grad_fn(scalar(1.f), {}, [&](GradContext grad) {
    ++runs;
    EXPECT_EQ(value(grad.grad_in), 7);
  });
  EXPECT_TRUE((out * 7.0).backward().empty());
  EXPECT_EQ(runs, 1);
}

TEST(CustomGradient, OfNothingIsZero) {
  const Tensor x = leaf(3);
  const Tensor out = with_grad_fn(x.detach(), {x}, [](GradContext) {});
  EXPECT_FALSE(out.backward().of(x).defined());
}

TEST(CustomGradient, OfTheWrongShapeOrNumberIsTold) {
  const Tensor x = leaf(3);
  const Tensor shape = with_grad_fn(x.detach(), {x}, [](GradContext) { return zeros({2}); });
  const std::string text = error_of(ErrorCode::kShapeMismatch, [&] { shape.backward(); });
  EXPECT_TRUE(contains(text, "input 0") && contains(text, "[2]")) << text;
  const Tensor number = with_grad_fn(x.detach(), {x}, [](GradContext g) {
    return std::vector<Tensor>{g.grad_in, g.grad_in};
  });
  error_of(ErrorCode::kInvalidArgument, [&] { number.backward(); });
}

TEST(CustomGradient, ThatThrowsLeavesTheGraphAsItWas) {
  bool broken = true;
  const Tensor x = leaf(3);
  const Tensor inner = with_grad_fn(x.detach(), {x}, [&](GradContext grad) {
    if (broken) throw Error(ErrorCode::kUnavailable, "try again");
    return grad.grad_in;
  });
  const Tensor out = square(inner);
  EXPECT_EQ(error_of(ErrorCode::kUnavailable, [&] { out.backward(); }), "try again");
  EXPECT_FALSE(x.grad().defined());
  broken = false;
  EXPECT_EQ(value(out.backward().of(x)), 6);
}

}  // namespace
}  // namespace sm
