#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "shumai/optim.hpp"
#include "tensor/impl.hpp"

namespace sm::optim {
namespace {

using testing::HasSubstr;
using Floats = std::vector<float>;

struct Kind {
  const char* name;
  std::function<Optimizer()> make;
};

const Kind kKinds[] = {
    {"SGD", [] { return SGD({.learning_rate = 0.1}); }},
    {"SGD", [] { return SGD({.learning_rate = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.1}); }},
    {"Adam", [] { return Adam({.learning_rate = 0.1}); }},
    {"AdamW", [] { return AdamW({.learning_rate = 0.1, .amsgrad = true}); }},
    {"RMSprop", [] { return RMSprop({.learning_rate = 0.1}); }},
    {"RMSprop", [] { return RMSprop({.learning_rate = 0.1, .momentum = 0.5, .centered = true}); }},
};

Tensor weight(DType dtype = DType::f32) { return astype(tensor({1.f, -2.f, 0.5f}), dtype).requires_grad(true); }

Gradients gradient(const Tensor& w, int step) {
  return Gradients({{w, astype(sin(tensor({1.f, 2.f, 3.f}) * (step + 1)), w.dtype())}});
}

void train(const Optimizer& optimizer, const Tensor& w, int from, int to) {
  for (int step = from; step < to; ++step) optimizer(gradient(w, step));
}

TEST(Optimizer, HoldsAnyOfThem) {
  for (const Kind& kind : kKinds) {
    const Optimizer optimizer = kind.make();
    EXPECT_EQ(optimizer.name(), kind.name);
    EXPECT_EQ(optimizer.learning_rate(), 0.1);
    const std::function<void(const Gradients&)> update = optimizer;
    const Tensor w = weight();
    update(gradient(w, 0));
    EXPECT_NE(w.to_vector<float>(), weight().to_vector<float>()) << kind.name;
    EXPECT_EQ(optimizer.steps(), 1);
  }
}

TEST(Optimizer, ContinuesBitByBitWhereItsStateWasTaken) {
  for (const Kind& kind : kKinds)
    for (DType dtype : {DType::bf16, DType::f32, DType::f64}) {
      const Optimizer first = kind.make();
      const Tensor w = weight(dtype);
      train(first, w, 0, 7);
      first.set_learning_rate(0.3);
      const Tensors state = first.state({{"layer.weight", w}});
      const Tensor resumed = w.copy().requires_grad(true);
      train(first, w, 7, 20);  // must not reach the snapshot

      const Optimizer second = kind.make();
      second.load_state(state, {{"layer.weight", resumed}});
      EXPECT_EQ(second.steps(), 7);
      EXPECT_EQ(second.learning_rate(), 0.3);
      train(second, resumed, 7, 20);
      EXPECT_EQ(resumed.to_vector<double>(), w.to_vector<double>()) << kind.name;
    }
}

TEST(Optimizer, StateSurvivesAFile) {
  const std::string path = testing::TempDir() + "optimizer_state.safetensors";
  const Adam first({.learning_rate = 0.1});
  const Tensor w = weight();
  train(first, w, 0, 3);
  save(path, first.state({{"w", w}}));
  const Tensor resumed = w.copy().requires_grad(true);
  const Adam second({.learning_rate = 0.1});
  second.load_state(load(path), {{"w", resumed}});
  train(first, w, 3, 6);
  train(second, resumed, 3, 6);
  EXPECT_EQ(resumed.to_vector<float>(), w.to_vector<float>());
}

TEST(Optimizer, StateNamesWhatEachWeightHas) {
  const Tensor seen = weight(), unseen = weight();
  const Adam adam;
  train(adam, seen, 0, 2);
  const Tensors state = adam.state({{"a", seen}, {"b", unseen}});
  std::vector<std::string> names;
  for (const auto& [name, value] : state) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("learning_rate", "steps", "step/a", "exp_avg/a", "exp_avg_sq/a"));
  EXPECT_EQ(state["step/a"].item<int64_t>(), 2);
}

std::string refusal(ErrorCode code, const Tensors& state, const Tensors& weights) {
  const Adam adam({.learning_rate = 0.5});
  try {
    adam.load_state(state, weights);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(adam.learning_rate(), 0.5);
    EXPECT_EQ(adam.steps(), 0);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

Tensors state_with(std::initializer_list<Tensors::Entry> entries) {
  Tensors state{{"learning_rate", scalar(0.1)}, {"steps", scalar(int64_t{1})}};
  for (const auto& [name, value] : entries) state.set(name, value);
  return state;
}

TEST(Optimizer, RefusesAStateThatDoesNotFit) {
  const Tensor w = weight();
  const Tensor one = scalar(int64_t{1});
  const Tensors weights{{"w", w}};
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument, {}, weights), HasSubstr("\"learning_rate\" is missing"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument, state_with({{"momentum_buffer/w", zeros({3})}}), weights),
              HasSubstr("Adam: load_state: \"momentum_buffer/w\" is nothing"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument, state_with({{"/w", zeros({3})}}), weights), HasSubstr("\"/w\""));
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument, state_with({{"step/w", one}, {"exp_avg/w", zeros({3})}}), weights),
              HasSubstr("\"exp_avg_sq/w\" is missing"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument, state_with({{"exp_avg/w", zeros({3})}}), weights),
              HasSubstr("\"step/w\" is missing"));
  EXPECT_THAT(refusal(ErrorCode::kNotFound, state_with({{"step/v", one}}), weights), HasSubstr("\"step/v\""));
  EXPECT_THAT(refusal(ErrorCode::kShapeMismatch, state_with({{"exp_avg/w", zeros({2})}}), weights),
              HasSubstr("shape [3], got [2]"));
  EXPECT_THAT(refusal(ErrorCode::kDTypeMismatch, state_with({{"exp_avg/w", zeros({3}, DType::f64)}}), weights),
              HasSubstr("must be float32, got float64"));
  EXPECT_THAT(refusal(ErrorCode::kInvalidArgument, state_with({}), {{"w", w}, {"w", w}}), HasSubstr("two weights"));
}

TEST(Optimizer, WritesInPlaceWhenNobodyElseHoldsTheStorage) {
  for (const Kind& kind : kKinds) {
    const Tensor w = weight();
    const float* place = w.data<float>();
    const Optimizer optimizer = kind.make();
    train(optimizer, w, 0, 3);
    EXPECT_EQ(w.data<float>(), place) << kind.name;
    EXPECT_EQ(w.version(), 3u);
    EXPECT_FALSE(w.grad().defined());
  }
}

TEST(Optimizer, GivesTheSameWhetherTheStorageIsSharedOrNot) {
  for (const Kind& kind : kKinds) {
    const Tensor alone = weight(), shared = weight();
    const Optimizer a = kind.make(), b = kind.make();
    for (int step = 0; step < 4; ++step) {
      const Floats before = shared.to_vector<float>();
      const Tensor graph = shared.detach();
      a(gradient(alone, step));
      b(gradient(shared, step));
      EXPECT_EQ(graph.to_vector<float>(), before) << kind.name;
    }
    EXPECT_EQ(alone.to_vector<float>(), shared.to_vector<float>()) << kind.name;
  }
}

TEST(Optimizer, TakesWeightsAndGradientsOfAnyLayout) {
  for (const Kind& kind : kKinds) {
    const Tensor plain = tensor({{1.f, 3.f}, {2.f, 4.f}}).requires_grad(true);
    const Tensor strided = tensor({{1.f, 2.f}, {3.f, 4.f}}).transpose().requires_grad(true);
    const Tensor gradient = tensor({{0.1f, 0.2f}, {0.3f, 0.4f}}), turned = gradient.transpose().copy().transpose();
    const Optimizer a = kind.make(), b = kind.make();
    for (int step = 0; step < 2; ++step) {
      a(Gradients({{plain, gradient}}));
      b(Gradients({{strided, turned}}));
    }
    EXPECT_EQ(plain.to_vector<float>(), strided.to_vector<float>()) << kind.name;
  }
}

TEST(Optimizer, RefusesAGradientOfAnotherShapeBeforeAnythingMoves) {
  for (const Kind& kind : kKinds) {
    const Tensor good = weight(), bad = weight();
    const Optimizer optimizer = kind.make();
    try {
      optimizer(Gradients({{good, ones({3})}, {bad, ones({2})}}));
      ADD_FAILURE() << kind.name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kShapeMismatch);
      EXPECT_THAT(error.what(), HasSubstr(std::string(kind.name) + ": the weight has shape [3], its gradient"));
    }
    EXPECT_EQ(good.version(), 0u);
    EXPECT_EQ(optimizer.steps(), 0);
  }
}

TEST(Optimizer, TakesALearningRateForOneUpdate) {
  const SGD sgd({.learning_rate = 0.5});
  const Tensor w = tensor({0.}).requires_grad(true);
  sgd(Gradients({{w, tensor({1.})}}), 0.25);
  EXPECT_EQ(w.item<double>(), -0.25);
  EXPECT_EQ(sgd.learning_rate(), 0.5);
  EXPECT_THROW(sgd(Gradients(), -1), Error);
}

TEST(Optimizer, ForgetsWeightsThatAreGone) {
  const SGD sgd({.momentum = 0.9});
  const Tensor kept = weight();
  train(sgd, kept, 0, 1);
  const size_t before = util::Buffer::bytes_in_use();
  for (int i = 0; i < 1000; ++i) {
    const Tensor input = zeros({1000}).requires_grad(true);
    sgd(Gradients({{input, ones({1000})}}));
  }
  EXPECT_LT(util::Buffer::bytes_in_use() - before, 200u * 2 * 4000);
  EXPECT_TRUE(sgd.state({{"kept", kept}}).contains("momentum_buffer/kept"));
}

TEST(Optimizer, MovesManyElementsAsItMovesOne) {
  constexpr int64_t kMany = 100'001;
  for (const Kind& kind : kKinds) {
    const Tensor many = full({kMany}, 0.7).requires_grad(true), one = full({1}, 0.7).requires_grad(true);
    const Optimizer a = kind.make(), b = kind.make();
    for (double g : {0.3, -0.6, 0.2}) {
      a(Gradients({{many, full({kMany}, g)}}));
      b(Gradients({{one, full({1}, g)}}));
    }
    EXPECT_EQ(amax(many).item<float>(), one.item<float>()) << kind.name;
    EXPECT_EQ(amin(many).item<float>(), one.item<float>()) << kind.name;
  }
}

}  // namespace
}  // namespace sm::optim
