#include "shumai/tensor.hpp"

#include <gtest/gtest.h>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "util/buffer.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;

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

TEST(MakeTensor, TakesShapeAndDTypeFromTheValues) {
  const Tensor rows = tensor({{1, 2, 3}, {4, 5, 6}});
  EXPECT_EQ(rows.shape(), (Shape{2, 3}));
  EXPECT_EQ(rows.dtype(), DType::i32);
  EXPECT_EQ(rows.to_vector<int>(), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(tensor({1.f, 2.f}).shape(), Shape{2});
  EXPECT_EQ(tensor({true, false}).dtype(), DType::boolean);
  EXPECT_EQ(scalar(2.5).dtype(), DType::f64);
  EXPECT_EQ(scalar(2.5f).shape(), Shape{});
  EXPECT_EQ(tensor(std::vector<int64_t>{}).shape(), Shape{0});
  EXPECT_EQ(tensor(std::vector<bool>{true, false, true}).to_vector<bool>(), (std::vector<bool>{true, false, true}));
}

TEST(MakeTensor, NeedsAsManyValuesAsTheShape) {
  const std::string text = error_of(ErrorCode::kShapeMismatch, [] { tensor(Floats{1, 2, 3}, {2, 2}); });
  for (const char* part : {"[2, 2]", "4", "3"}) EXPECT_TRUE(contains(text, part)) << text;
  error_of(ErrorCode::kShapeMismatch, [] { tensor({{1, 2}, {3}}); });
}

TEST(MakeTensor, RefusesWhatCannotFit) {
  error_of(ErrorCode::kTooLarge, [] { empty({int64_t{1} << 31, int64_t{1} << 31, 4}, DType::f64); });
  error_of(ErrorCode::kInvalidArgument, [] { empty({-1}); });
}

TEST(MakeTensor, CopiesTheCallersMemory) {
  float values[] = {1, 2};
  const Tensor x = from_data(values, {2});
  values[0] = 9;
  EXPECT_EQ(x.to_vector<float>(), (Floats{1, 2}));
}

TEST(Undefined, IsAnErrorToUse) {
  const Tensor nothing;
  EXPECT_FALSE(nothing.defined());
  EXPECT_TRUE(nothing.same_as(Tensor()));
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { nothing.shape(); }), "undefined"));
  error_of(ErrorCode::kInvalidArgument, [&] { nothing + 1.0; });
  error_of(ErrorCode::kInvalidArgument, [&] { nothing.backward(); });
}

TEST(Item, ConvertsTheOnlyElement) {
  EXPECT_EQ(scalar(2.75f).item<double>(), 2.75);
  EXPECT_EQ(scalar(2.75f).item<int>(), 2);
  EXPECT_EQ(tensor(std::vector<int64_t>{INT64_MIN}, {1, 1}).item<int64_t>(), INT64_MIN);
  EXPECT_TRUE(tensor({true}).item<bool>());
  EXPECT_TRUE(contains(error_of(ErrorCode::kShapeMismatch, [] { tensor({1, 2}).item<int>(); }), "[2]"));
}

TEST(Size, CountsNegativeAxesFromTheEnd) {
  const Tensor x = zeros({2, 3});
  EXPECT_EQ(x.size(-1), 3);
  EXPECT_EQ(x.size(-2), 2);
  error_of(ErrorCode::kOutOfRange, [&] { x.size(2); });
  error_of(ErrorCode::kOutOfRange, [&] { x.size(-3); });
}

TEST(Data, ChecksDTypeAndLayout) {
  const Tensor x = tensor({{1.f, 2.f}, {3.f, 4.f}});
  EXPECT_EQ(x.data<float>()[2], 3);
  EXPECT_TRUE(contains(error_of(ErrorCode::kDTypeMismatch, [&] { x.data<double>(); }), "float64"));
  error_of(ErrorCode::kInvalidArgument, [&] { x.transpose().data<float>(); });
}

TEST(MutableData, IsOnlyForTheSoleOwner) {
  const Tensor x = empty({2});
  mutable_data<float>(x)[0] = 1;
  mutable_data<float>(x)[1] = 2;
  EXPECT_EQ(x.to_vector<float>(), (Floats{1, 2}));
  error_of(ErrorCode::kInvalidArgument, [&] { mutable_data<double>(x); });
  const Tensor view = x.reshape({1, 2});
  error_of(ErrorCode::kInvalidArgument, [&] { mutable_data<float>(x); });
}

TEST(Views, ShareStorageAndReadThroughStrides) {
  const Tensor x = tensor({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}});
  const size_t before = util::Buffer::bytes_in_use();
  const Tensor turned = x.transpose(), wide = x.slice(0, 0, 1).expand({4, 3}), back = x.slice(1, 2, -4, -1);
  EXPECT_EQ(util::Buffer::bytes_in_use(), before);
  EXPECT_EQ(turned.to_vector<float>(), (Floats{1, 4, 2, 5, 3, 6}));
  EXPECT_FALSE(turned.is_contiguous());
  EXPECT_EQ(wide.strides()[0], 0);
  EXPECT_EQ(wide.to_vector<float>(), (Floats{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(back.to_vector<float>(), (Floats{3, 2, 1, 6, 5, 4}));
}

TEST(Copy, HasStorageOfItsOwn) {
  const Tensor x = tensor({1.f, 2.f}).requires_grad(true);
  const Tensor y = (x * 2.0).copy();
  EXPECT_FALSE(y.requires_grad());
  EXPECT_NE(x.copy().data<float>(), x.data<float>());
  EXPECT_EQ(x.detach().data<float>(), x.data<float>());
  EXPECT_FALSE(x.detach().requires_grad());
}

TEST(Update, LeavesViewsAndDetachedHandlesAlone) {
  const Tensor weight = tensor({1.f, 2.f});
  const Tensor view = weight.slice(0, 0, 1), detached = weight.detach(), handle = weight;
  weight.update(tensor({5.f, 6.f}));
  EXPECT_EQ(weight.to_vector<float>(), (Floats{5, 6}));
  EXPECT_EQ(handle.to_vector<float>(), (Floats{5, 6}));
  EXPECT_EQ(view.to_vector<float>(), Floats{1});
  EXPECT_EQ(detached.to_vector<float>(), (Floats{1, 2}));
}

TEST(Update, LeavesSavedGraphsAlone) {
  const Tensor weight = scalar(3.f).requires_grad(true), x = scalar(2.f).requires_grad(true);
  const Tensor y = x * weight;
  weight.update(scalar(100.f));
  EXPECT_EQ(y.backward().of(x).item<float>(), 3);
  EXPECT_EQ((x * weight).backward().of(x).item<float>(), 100);
}

TEST(Update, DoesNotFollowTheValueItWasGiven) {
  const Tensor weight = tensor({1.f, 2.f}), value = tensor({3.f, 4.f});
  weight.update(value);
  value.update(tensor({7.f, 8.f}));
  EXPECT_EQ(weight.to_vector<float>(), (Floats{3, 4}));
}

TEST(Update, CountsVersionsAndCasts) {
  const Tensor weight = tensor({1.f, 2.f});
  EXPECT_EQ(weight.version(), 0u);
  weight.update(tensor({3, 4}));
  EXPECT_EQ(weight.version(), 1u);
  EXPECT_EQ(weight.dtype(), DType::f32);
  EXPECT_EQ(weight.to_vector<float>(), (Floats{3, 4}));
}

TEST(Update, TakesAnyLayout) {
  const Tensor weight = zeros({2, 2});
  weight.update(tensor({{1.f, 2.f}, {3.f, 4.f}}).transpose());
  EXPECT_EQ(weight.to_vector<float>(), (Floats{1, 3, 2, 4}));
  EXPECT_EQ((weight + 1.0).to_vector<float>(), (Floats{2, 4, 3, 5}));
}

TEST(Update, IsForLeavesOfTheSameShape) {
  const Tensor weight = tensor({1.f, 2.f}).requires_grad(true);
  const Tensor result = weight * 2.0;
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { result.update(weight); }), "mul"));
  const std::string text = error_of(ErrorCode::kShapeMismatch, [&] { weight.update(zeros({3})); });
  EXPECT_TRUE(contains(text, "[2]") && contains(text, "[3]")) << text;
}

TEST(RequiresGrad, IsForFloatingPointLeaves) {
  EXPECT_TRUE(contains(error_of(ErrorCode::kDTypeMismatch, [] { tensor({1, 2}).requires_grad(true); }), "int32"));
  const Tensor x = tensor({1.f}).requires_grad(true);
  EXPECT_TRUE((x * 2.0).requires_grad());
  EXPECT_TRUE(contains(error_of(ErrorCode::kInvalidArgument, [&] { (x * 2.0).requires_grad(false); }), "detach"));
  x.requires_grad(false);
  EXPECT_FALSE((x * 2.0).requires_grad());
}

TEST(RequiresGrad, ReturnsTheSameTensor) {
  const Tensor x = tensor({1.f});
  EXPECT_TRUE(x.requires_grad(true).same_as(x));
}

TEST(Grad, HasTheTensorsShape) {
  const Tensor x = tensor({1.f, 2.f});
  EXPECT_FALSE(x.grad().defined());
  x.set_grad(tensor({3.f, 4.f}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{3, 4}));
  error_of(ErrorCode::kShapeMismatch, [&] { x.set_grad(scalar(1.f)); });
  x.set_grad({});
  EXPECT_FALSE(x.grad().defined());
}

TEST(Storage, GoesWithTheLastHandle) {
  const size_t before = util::Buffer::bytes_in_use();
  {
    const Tensor x = zeros({1000}), y = x.reshape({10, 100}), z = x + 1.0;
    EXPECT_GE(util::Buffer::bytes_in_use(), before + 8000);
  }
  EXPECT_EQ(util::Buffer::bytes_in_use(), before);
}

TEST(NamedTensors, KeepTheirOrder) {
  Tensors all{{"b", scalar(1.f)}, {"a", scalar(2.f)}};
  all.set("c", scalar(3.f));
  all.set("b", scalar(4.f));
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all.at(0).first, "b");
  EXPECT_EQ(all["b"].item<float>(), 4);
  EXPECT_EQ(all.at(2).first, "c");
  EXPECT_TRUE(all.contains("a"));
  EXPECT_EQ(all.find("d"), nullptr);
  EXPECT_EQ(Tensors(scalar(5.f))["0"].item<float>(), 5);
}

TEST(NamedTensors, AMissingNameIsToldWithThoseThatExist) {
  const Tensors all{{"weight", scalar(1.f)}, {"bias", scalar(2.f)}};
  const std::string text = error_of(ErrorCode::kNotFound, [&] { all["wieght"]; });
  for (const char* part : {"wieght", "weight", "bias"}) EXPECT_TRUE(contains(text, part)) << text;
}

TEST(NoGradGuard, TurnsRecordingOffUntilItEnds) {
  const Tensor x = scalar(1.f).requires_grad(true);
  {
    const NoGrad guard;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE((x * x).requires_grad());
    { const NoGrad inner; }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE((x * x).requires_grad());
}

}  // namespace
}  // namespace sm
