#include <gtest/gtest.h>

#include <chrono>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/task.hpp"

namespace sm {
namespace {

using namespace std::chrono_literals;
using Events = std::vector<std::string>;

Tensor leaf(float value) { return scalar(value).requires_grad(true); }
float value(const Tensor& x) { return x.item<float>(); }

// Waits until `done` says so, at most for some seconds.
Task<> until(std::function<bool()> done) {
  for (int i = 0; i < 5000 && !done(); ++i) co_await util::sleep(1ms);
}

// Passes the gradient on after a while.
Tensor remote(const Tensor& x, std::chrono::milliseconds delay = 1ms) {
  return with_grad_fn(x.detach(), {x}, [delay](GradContext grad) -> Task<Tensor> {
    co_await util::sleep(delay);
    co_return grad.grad_in;
  });
}

TEST(AsyncBackward, AwaitsTheFunctionAndGoesOnBelowIt) {
  const Tensor x = leaf(3);
  const Tensor out = remote(x * 2.0) * 5.0;
  EXPECT_EQ(value(run(out.backward_async()).of(x)), 10);
  EXPECT_EQ(value(x.grad()), 10);
}

TEST(AsyncBackward, OfAPlainGraphIsTheSameAsBackward) {
  const Tensor x = leaf(3);
  EXPECT_EQ(value(run((x * x).backward_async()).of(x)), 6);
}

TEST(AsyncBackward, OutlivesTheHandleThatStartedIt) {
  const Tensor x = leaf(3);
  Task<Gradients> task = (remote(x) * 2.0).backward_async();
  EXPECT_EQ(value(run(std::move(task)).of(x)), 2);
}

TEST(AsyncBackward, RunsIndependentBranchesAtTheSameTime) {
  Events events;
  int begun = 0;
  const Tensor x = leaf(3);
  const auto branch = [&](const char* name) {
    return with_grad_fn(x.detach(), {x}, [&, name](GradContext grad) -> Task<Tensor> {
      events.push_back(std::string("begin ") + name);
      ++begun;
      // Ends only once the other has begun.
      co_await until([&] { return begun == 2; });
      events.push_back(std::string("end ") + name);
      co_return grad.grad_in;
    });
  };
  const Tensor out = branch("a") * 2.0 + branch("b") * 3.0;
  EXPECT_EQ(value(run(out.backward_async()).of(x)), 5);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].substr(0, 5), "begin");
  EXPECT_EQ(events[1].substr(0, 5), "begin");
}

TEST(AsyncBackward, RunsDependentStepsInOrder) {
  Events events;
  const auto stage = [&](const Tensor& x, const char* name) {
    return with_grad_fn(x.detach(), {x}, [&events, name](GradContext grad) -> Task<Tensor> {
      events.push_back(std::string("begin ") + name);
      co_await util::sleep(2ms);
      events.push_back(std::string("end ") + name);
      co_return grad.grad_in;
    });
  };
  const Tensor x = leaf(3);
  run((stage(stage(x, "first") * 2.0, "second") * 2.0).backward_async());
  EXPECT_EQ(events, (Events{"begin second", "end second", "begin first", "end first"}));
}

TEST(AsyncBackward, GoesOnWithTheRestWhileABranchWaits) {
  Events events;
  const Tensor x = leaf(3);
  const Tensor quick = with_grad_fn(x.detach(), {x}, [&](GradContext grad) {
    events.push_back("quick");
    return grad.grad_in;
  });
  // Made later, so it is reached first.
  const Tensor slow = with_grad_fn(x.detach(), {x}, [&](GradContext grad) -> Task<Tensor> {
    co_await until([&] { return !events.empty(); });
    events.push_back("slow ends");
    co_return grad.grad_in;
  });
  run((quick + slow).backward_async());
  EXPECT_EQ(events, (Events{"quick", "slow ends"}));
}

TEST(AsyncBackward, AddsGradientsInTheOrderOfTheGraphNotOfArrival) {
  const auto pass = [](std::chrono::milliseconds first, std::chrono::milliseconds second,
                       std::chrono::milliseconds third) {
    const Tensor x = leaf(1);
    const Tensor a = remote(x, first) * 1e8, b = remote(x, second) * 1.0, c = remote(x, third) * -1e8;
    return value(run((a + b + c).backward_async()).of(x));
  };
  const float expected = pass(1ms, 1ms, 1ms);
  EXPECT_EQ(pass(1ms, 20ms, 40ms), expected);
  EXPECT_EQ(pass(40ms, 20ms, 1ms), expected);
  EXPECT_EQ(pass(1ms, 40ms, 20ms), expected);
}

TEST(AsyncBackward, AFailureLeavesTheGraphReadyForAnotherTry) {
  int tries = 0;
  const Tensor x = leaf(3), y = leaf(4);
  const Tensor flaky = with_grad_fn(x.detach(), {x}, [&](GradContext grad) -> Task<Tensor> {
    co_await util::sleep(1ms);
    if (++tries == 1) throw Error(ErrorCode::kUnavailable, "the server is away");
    co_return grad.grad_in;
  });
  const Tensor out = flaky * y + remote(y);
  try {
    run(out.backward_async());
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    EXPECT_STREQ(error.what(), "the server is away");
  }
  EXPECT_FALSE(x.grad().defined());
  EXPECT_FALSE(y.grad().defined());
  const Gradients gradients = run(out.backward_async());
  EXPECT_EQ(value(gradients.of(x)), 4);
  EXPECT_EQ(value(gradients.of(y)), 4);
}

TEST(AsyncBackward, WaitsForTheOtherBranchesBeforeItFails) {
  Events events;
  const Tensor x = leaf(3);
  const Tensor failing = with_grad_fn(x.detach(), {x}, [&](GradContext) -> Task<Tensor> {
    events.push_back("fails");
    throw Error(ErrorCode::kUnavailable, "away");
    co_return Tensor();
  });
  const Tensor slow = with_grad_fn(x.detach(), {x}, [&](GradContext grad) -> Task<Tensor> {
    co_await until([&] { return !events.empty(); });
    co_await util::sleep(5ms);
    events.push_back("slow ends");
    co_return grad.grad_in;
  });
  EXPECT_THROW(run((slow + failing).backward_async()), Error);
  EXPECT_EQ(events, (Events{"fails", "slow ends"}));
}

TEST(AsyncBackward, ConsumesTheGraphUnlessToldOtherwise) {
  const Tensor x = leaf(3);
  const Tensor out = remote(x) * 2.0;
  run(out.backward_async({}, {.retain_graph = true}));
  run(out.backward_async());
  try {
    run(out.backward_async());
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kGone);
  }
}

TEST(SyncBackward, OfAnAsyncGraphSaysWhatToDoAndKeepsTheGraph) {
  const Tensor x = leaf(3);
  const Tensor out = remote(x) * 2.0;
  try {
    out.backward();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("backward_async"), std::string::npos) << error.what();
  }
  EXPECT_EQ(value(run(out.backward_async()).of(x)), 2);
}

TEST(AsyncBackward, TakesAJacobian) {
  const Tensor x = tensor({1.f, 2.f}).requires_grad(true);
  const Gradients gradients = run(remote(x).backward_async(tensor({3.f, 4.f})));
  EXPECT_EQ(gradients.of(x).to_vector<float>(), (std::vector<float>{3, 4}));
}

TEST(AsyncBackward, GradientsHaveNoGraphUnlessAsked) {
  const Tensor x = leaf(3), weight = leaf(2);
  const Tensor out = with_grad_fn(x.detach(), {x}, [&](GradContext grad) -> Task<Tensor> {
    co_await util::sleep(1ms);
    co_return grad.grad_in* weight;
  });
  EXPECT_FALSE(run((out * 5.0).backward_async()).of(x).requires_grad());
}

TEST(AsyncBackward, FunctionsMayReturnNothing) {
  bool told = false;
  const Tensor output = with_grad_fn(scalar(2.f), {}, [&](GradContext grad) -> Task<> {
    co_await util::sleep(1ms);
    told = value(grad.grad_in) == 4;
  });
  EXPECT_TRUE(run(square(output).backward_async()).empty());
  EXPECT_TRUE(told);
  EXPECT_EQ(value(output.grad()), 4);
}

TEST(AsyncBackward, ManyPassesShareOneThread) {
  const Tensor weight = leaf(2);
  std::vector<Task<Gradients>> passes;
  for (int i = 0; i < 50; ++i) passes.push_back((remote(weight * double(i)) * 1.0).backward_async());
  const std::vector<Gradients> all = run(util::all(std::move(passes)));
  for (int i = 0; i < 50; ++i) EXPECT_EQ(value(all[size_t(i)].of(weight)), i);
}

}  // namespace
}  // namespace sm
