#include "shumai/module.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <utility>

#include "nn/testing.hpp"
#include "shumai/io.hpp"
#include "shumai/nn.hpp"
#include "shumai/optim.hpp"
#include "shumai/random.hpp"

namespace sm::nn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Adds a weight, and counts its calls.
struct Shift : Module {
  Tensor amount = parameter("amount", full({2}, 3));
  Tensor calls = buffer("calls", zeros({}, DType::i64));

  Tensor operator()(const Tensor& x) const {
    if (training()) calls.update(calls + 1);
    return x + amount;
  }
};

struct Pair : Module {
  Shift first = submodule("first", Shift());
  Shift second = submodule("second", Shift());
  Tensor scale = parameter("scale", full({1}, 2));

  Tensor operator()(const Tensor& x) const { return second(first(x)) * scale; }
};

std::vector<std::string> names(const Tensors& tensors) {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : tensors) out.push_back(name);
  return out;
}

TEST(Module, NamesWhatItHasByPath) {
  const Pair pair;
  EXPECT_THAT(names(pair.named_parameters()), ElementsAre("scale", "first.amount", "second.amount"));
  EXPECT_THAT(names(pair.named_buffers()), ElementsAre("first.calls", "second.calls"));
  EXPECT_EQ(pair.parameters().size(), 3u);
  EXPECT_TRUE(pair.parameters()[0].requires_grad());
  EXPECT_FALSE(pair.named_buffers()["first.calls"].requires_grad());
  std::vector<std::string> modules;
  for (const auto& [name, module] : pair.named_modules()) modules.push_back(name);
  EXPECT_THAT(modules, ElementsAre("", "first", "second"));
  EXPECT_TRUE(pair.named_modules()[1].second.same_as(pair.first));
}

TEST(Module, CopiesAreTheSameModule) {
  Pair pair;
  const Pair copy = pair;
  pair.first.amount.update(tensor({5.f, 6.f}));
  pair.eval();
  EXPECT_FALSE(copy.first.training());
  EXPECT_THAT(values(copy(zeros({2}))), ElementsAre(16, 18));
  const Pair moved = std::move(pair);
  moved.second.amount.update(tensor({0.f, 0.f}));
  EXPECT_THAT(values(copy(zeros({2}))), ElementsAre(10, 12));
  EXPECT_TRUE(moved.named_parameters()["first.amount"].same_as(copy.first.amount));
  EXPECT_TRUE(copy.same_as(moved));
}

TEST(Module, IsTrainedByItsGradients) {
  const Pair pair;
  optim::sgd(sum(pair(zeros({2}))).backward(), 0.5);
  EXPECT_THAT(values(pair.scale), ElementsAre(2 - 0.5 * 12));
  EXPECT_THAT(values(pair.first.amount), ElementsAre(2, 2));
}

TEST(Module, EachModeReachesAllWithin) {
  const Pair pair;
  EXPECT_TRUE(pair.training() && pair.second.training());
  pair.eval();
  EXPECT_FALSE(pair.training() || pair.second.training());
  pair(zeros({2}));
  EXPECT_EQ(pair.first.calls.item<int>(), 0);
  pair.train();
  pair(zeros({2}));
  EXPECT_EQ(pair.first.calls.item<int>(), 1);
}

TEST(Module, ConvertsFloatsInPlace) {
  const Pair pair;
  const Tensor before = pair(zeros({2}));
  pair.to(DType::f64);
  EXPECT_EQ(pair.scale.dtype(), DType::f64);
  EXPECT_EQ(pair.first.calls.dtype(), DType::i64);
  EXPECT_EQ(pair(zeros({2})).dtype(), DType::f64);
  EXPECT_THAT(values(pair(zeros({2}))), ElementsAre(12, 12));
  EXPECT_THAT(values(before.backward(ones({2})).of(pair.scale)), ElementsAre(12));
  EXPECT_THAT(error_of(ErrorCode::kDTypeMismatch, [&] { pair.to(DType::i32); }), HasSubstr("int32"));
}

TEST(Module, FrozenParametersGetNoGradient) {
  const Pair pair;
  pair.requires_grad(false);
  pair.scale.requires_grad(true);
  EXPECT_EQ(sum(pair(zeros({2}))).backward().size(), 1u);
}

struct Tied : Module {
  Shift first = submodule("first", Shift());
  Tensor again = parameter("again", first.amount);
};

TEST(Module, ASharedWeightCountsOnceAndIsSavedUnderEachName) {
  const Tied tied;
  EXPECT_THAT(names(tied.named_parameters()), ElementsAre("again"));
  EXPECT_THAT(names(tied.state()), ElementsAre("again", "first.amount", "first.calls"));
}

struct Loose : Module {
  using Module::buffer;
  using Module::parameter;
  using Module::submodule;
};

TEST(Module, RefusesNamesThatAreTakenOrBad) {
  Loose loose;
  loose.parameter("a", ones({1}));
  for (const char* name : {"a", "", "b.c"}) {
    error_of(ErrorCode::kInvalidArgument, [&] { loose.parameter(name, ones({1})); });
    error_of(ErrorCode::kInvalidArgument, [&] { loose.buffer(name, ones({1})); });
    error_of(ErrorCode::kInvalidArgument, [&] { loose.submodule(name, Shift()); });
  }
  EXPECT_THAT(error_of(ErrorCode::kInvalidArgument, [&] { loose.parameter("a", ones({1})); }), HasSubstr("\"a\""));
}

TEST(Module, RefusesParametersThatCannotBeTrained) {
  Loose loose;
  error_of(ErrorCode::kDTypeMismatch, [&] { loose.parameter("a", ones({1}, DType::i32)); });
  error_of(ErrorCode::kInvalidArgument, [&] { loose.parameter("a", ones({1}).requires_grad(true) * 2); });
  error_of(ErrorCode::kInvalidArgument, [&] { loose.buffer("a", ones({1}).requires_grad(true)); });
  EXPECT_TRUE(loose.state().empty());
}

TEST(Module, AnUndefinedParameterIsLeftOut) {
  Loose loose;
  EXPECT_FALSE(loose.parameter("bias", {}).defined());
  EXPECT_TRUE(loose.state().empty());
}

TEST(Module, CannotContainItself) {
  Loose outer, inner;
  outer.submodule("inner", inner);
  error_of(ErrorCode::kInvalidArgument, [&] { inner.submodule("outer", outer); });
  error_of(ErrorCode::kInvalidArgument, [&] { inner.submodule("inner", inner); });
}

TEST(Module, SavesAndLoadsItsState) {
  const TemporaryDirectory directory;
  const Pair pair;
  pair(zeros({2}));
  pair.first.amount.update(tensor({7.f, 8.f}));
  pair.save(directory.path("pair.safetensors"));
  const Pair other;
  other.load(directory.path("pair.safetensors"));
  EXPECT_THAT(values(other.first.amount), ElementsAre(7, 8));
  EXPECT_EQ(other.first.calls.item<int>(), 1);
  EXPECT_TRUE(other.first.amount.requires_grad());
}

TEST(Module, LoadingConvertsToItsOwnDType) {
  const Shift shift;
  shift.load_state({{"amount", tensor({1.0, 2.0})}, {"calls", scalar(3)}});
  EXPECT_EQ(shift.amount.dtype(), DType::f32);
  EXPECT_THAT(values(shift.amount), ElementsAre(1, 2));
  EXPECT_EQ(shift.calls.dtype(), DType::i64);
}

TEST(Module, LoadsAllOrNothingAndSaysWhatDiffers) {
  const TemporaryDirectory directory;
  const Shift shift;
  const auto message = [&](ErrorCode code, const Tensors& state) {
    save(directory.path("f"), state);
    const std::string text = error_of(code, [&] { shift.load(directory.path("f")); });
    EXPECT_THAT(text, HasSubstr(directory.path("f")));
    return text;
  };
  const Tensor amount = tensor({1.f, 2.f}), calls = scalar(int64_t{4});
  EXPECT_THAT(message(ErrorCode::kNotFound, {{"calls", calls}}), HasSubstr("\"amount\" is missing"));
  EXPECT_THAT(message(ErrorCode::kInvalidArgument, {{"amount", amount}, {"calls", calls}, {"more", calls}}),
              HasSubstr("\"more\""));
  EXPECT_THAT(message(ErrorCode::kShapeMismatch, {{"amount", ones({3})}, {"calls", calls}}),
              HasSubstr("\"amount\" must have shape [2], got [3]"));
  EXPECT_THAT(message(ErrorCode::kDTypeMismatch, {{"amount", amount}, {"calls", scalar(1.f)}}), HasSubstr("int64"));
  const std::string both = message(ErrorCode::kNotFound, {{"amounts", amount}, {"calls", calls}});
  EXPECT_THAT(both, HasSubstr("\"amount\" is missing"));
  EXPECT_THAT(both, HasSubstr("\"amounts\""));
  EXPECT_THAT(values(shift.amount), ElementsAre(3, 3));
  EXPECT_EQ(shift.calls.item<int>(), 0);
}

TEST(Checkpoint, StartsFromTheNewestFileAndKeepsAFew) {
  const TemporaryDirectory directory;
  const std::string place = directory.path("new/deep");
  const Shift shift;
  Checkpoint first = shift.checkpoint(place);
  EXPECT_EQ(first.number(), 0);
  for (float value : {1.f, 2.f, 3.f}) {
    shift.amount.update(full({2}, value));
    EXPECT_THAT(first.save(), HasSubstr(place + "/checkpoint-000000000" + std::to_string(static_cast<int>(value))));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(place), {}), 2);
  const Shift other;
  Checkpoint second = other.checkpoint(place);
  EXPECT_THAT(values(other.amount), ElementsAre(3, 3));
  EXPECT_EQ(second.number(), 3);
  second.save();
  EXPECT_EQ(second.number(), 4);
}

TEST(Checkpoint, PassesOverADamagedFile) {
  const TemporaryDirectory directory;
  const Shift shift;
  Checkpoint first = shift.checkpoint(directory.path());
  shift.amount.update(tensor({1.f, 2.f}));
  first.save();
  shift.amount.update(tensor({3.f, 4.f}));
  const std::string newest = first.save();
  for (const std::string damage : {"", "not a header at all"}) {
    std::ofstream(newest) << damage;
    const Shift other;
    Checkpoint second = other.checkpoint(directory.path());
    EXPECT_THAT(values(other.amount), ElementsAre(1, 2));
    EXPECT_EQ(second.number(), 2);  // the next one must not hide behind the damaged one
  }
}

TEST(Checkpoint, OfAnotherModelIsAnError) {
  const TemporaryDirectory directory;
  const Shift shift;
  shift.checkpoint(directory.path()).save();
  const Pair pair;
  EXPECT_THAT(error_of(ErrorCode::kNotFound, [&] { pair.checkpoint(directory.path()); }), HasSubstr("scale"));
  error_of(ErrorCode::kInvalidArgument, [&] { shift.checkpoint(directory.path(), 0); });
  std::ofstream(directory.path("file")) << "x";
  EXPECT_THAT(error_of(ErrorCode::kInternal, [&] { shift.checkpoint(directory.path("file/in")); }),
              HasSubstr("file/in"));
}

TEST(Sequential, RunsModulesAndFunctionsInTurn) {
  const Shift shift;
  Sequential steps(
      shift, sm::negative, [](const Tensor& x) { return x * 2; }, Sequential(Shift()));
  EXPECT_THAT(values(steps(zeros({2}))), ElementsAre(-3, -3));
  EXPECT_THAT(names(steps.named_parameters()), ElementsAre("0.amount", "3.0.amount"));
  EXPECT_TRUE(steps.named_parameters()["0.amount"].same_as(shift.amount));
  Sequential copy = steps;
  copy.add(sm::relu);
  EXPECT_EQ(steps.size(), 5u);
  EXPECT_THAT(values(steps(zeros({2}))), ElementsAre(0, 0));
  EXPECT_THAT(values(Sequential()(ones({1}))), ElementsAre(1));
}

TEST(ModuleList, NamesItsModulesByPosition) {
  ModuleList<Shift> list;
  list.add(Shift());
  list.add(Shift());
  EXPECT_THAT(names(list.named_parameters()), ElementsAre("0.amount", "1.amount"));
  Tensor x = zeros({2});
  for (const Shift& shift : list) x = shift(x);
  EXPECT_THAT(values(x), ElementsAre(6, 6));
  EXPECT_TRUE(list[1].same_as(list.begin()[1]));
}

Task<> train(std::string url) {
  const io::RemoteModel remote = io::remote_model(url);
  const Tensor input = zeros({2});
  const Tensor output = co_await remote(input);
  co_await sum(output).backward_async();
}

TEST(Module, IsServedAsItIs) {
  const Pair pair;
  const optim::SGD sgd({.learning_rate = 0.5});
  io::ServeOptions options;
  options.port = 0;
  const io::Server server = io::serve_model(pair, sgd, options);
  run(train(server.url()));
  EXPECT_THAT(values(pair.first.amount), ElementsAre(2, 2));
}

}  // namespace
}  // namespace sm::nn
