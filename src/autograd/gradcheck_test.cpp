#include <gtest/gtest.h>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm {
namespace {

using Inputs = std::vector<Tensor>;

Inputs two() { return {tensor({0.3, -1.2, 0.7}), tensor({1.1, 0.4, -0.9})}; }

// x0 * x1 with factors on the true gradients.
std::function<Tensor(const Inputs&)> product(double first, double second) {
  return [=](const Inputs& xs) {
    return with_grad_fn((xs[0] * xs[1]).detach(), xs, [=](GradContext grad) {
      return std::vector<Tensor>{grad.grad_in * grad.inputs[1] * first, grad.grad_in * grad.inputs[0] * second};
    });
  };
}

TEST(Gradcheck, AcceptsTheTrueGradient) {
  EXPECT_NO_THROW(gradcheck(product(1, 1), two()));
  EXPECT_NO_THROW(gradcheck([](const Inputs& xs) { return sum(exp(xs[0]) * sin(xs[1]), 0, true); }, two()));
}

TEST(Gradcheck, RefusesAWrongOneWithBothNumbers) {
  for (auto [first, second] : {std::pair(-1., 1.), std::pair(1., -1.), std::pair(1., 1.001), std::pair(0., 1.)}) {
    try {
      gradcheck(product(first, second), two());
      ADD_FAILURE() << "accepted factors " << first << " and " << second;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find("differences give"), std::string::npos) << error.what();
    }
  }
}

TEST(Gradcheck, RefusesALostGraph) {
  EXPECT_THROW(gradcheck([](const Inputs& xs) { return square(xs[0].detach()); }, two()), Error);
}

TEST(Gradcheck, LeavesInputsAndTheRandomStreamAlone) {
  manual_seed(5);
  const Inputs inputs = two();
  gradcheck(product(1, 1), inputs);
  EXPECT_EQ(random_state().position, 0u);
  EXPECT_FALSE(inputs[0].requires_grad());
  EXPECT_FALSE(inputs[0].grad().defined());
}

TEST(Gradcheck, PassesIntegersThrough) {
  const Inputs inputs{tensor({0.5, 2.0}), tensor({true, false})};
  EXPECT_NO_THROW(gradcheck([](const Inputs& xs) { return where(xs[1], square(xs[0]), xs[0]); }, inputs));
}

}  // namespace
}  // namespace sm
