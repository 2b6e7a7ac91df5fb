#include <gtest/gtest.h>

#include <functional>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/index.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;

Tensor counted(const Shape& shape) { return reshape(arange(0, static_cast<double>(elements_of(shape))), shape); }
Tensor mask(std::vector<bool> values) { return tensor<bool>(values); }

Floats values_of(const Tensor& x, const std::vector<Index>& specs) { return x.index(specs).to_vector<float>(); }

TEST(Indexing, NumbersDropTheirAxisAndSlicesKeepIt) {
  const Tensor x = counted({3, 4});
  EXPECT_EQ(x.index({1}).shape(), Shape({4}));
  EXPECT_EQ(x.index({1, -1}).item<float>(), 7);
  EXPECT_EQ(values_of(x, {":", 1}), (Floats{1, 5, 9}));
  EXPECT_EQ(values_of(x, {"1:", "::2"}), (Floats{4, 6, 8, 10}));
  EXPECT_EQ(values_of(x, {"2", Slice{.start = 1, .stop = 3}}), (Floats{9, 10}));
  EXPECT_EQ(values_of(x, {"...", " -1 "}), (Floats{3, 7, 11}));
  EXPECT_EQ(x.index({}).shape(), x.shape());
  EXPECT_EQ(scalar(2.f).index({"..."}).item<float>(), 2);
}

TEST(Indexing, SlicesFollowPython) {
  const Tensor x = counted({5});
  EXPECT_EQ(values_of(x, {"::-1"}), (Floats{4, 3, 2, 1, 0}));
  EXPECT_EQ(values_of(x, {"-2:"}), (Floats{3, 4}));
  EXPECT_EQ(values_of(x, {":-9:-2"}), (Floats{4, 2, 0}));
  EXPECT_EQ(values_of(x, {"-9:2"}), (Floats{0, 1}));
  EXPECT_EQ(values_of(x, {"3:0:-2"}), (Floats{3, 1}));
  EXPECT_EQ(values_of(x, {"9:9"}), Floats());
  EXPECT_EQ(values_of(x, {"1:-1:99"}), Floats{1});
  EXPECT_EQ(values_of(x, {Slice{.step = INT64_MIN}}), Floats{4});
  EXPECT_EQ(values_of(zeros({0}), {"::-1"}), Floats());
}

TEST(Indexing, WithoutTensorsIsAView) {
  const Tensor x = counted({3, 4});
  EXPECT_EQ(x.index({"::-1", 2}).impl()->storage().get(), x.impl()->storage().get());
}

TEST(Indexing, TensorsPickPositions) {
  const Tensor x = counted({3, 4}), rows = tensor<int64_t>({2, 0});
  EXPECT_EQ(values_of(x, {rows, 1}), (Floats{9, 1}));
  EXPECT_EQ(values_of(x, {":", tensor<int64_t>({-1})}), (Floats{3, 7, 11}));
  EXPECT_EQ(values_of(x, {rows, tensor<int64_t>({1, 3})}), (Floats{9, 3}));
  EXPECT_EQ(values_of(x, {reshape(rows, {2, 1}), tensor<int64_t>({0, 1})}), (Floats{8, 9, 0, 1}));
}

TEST(Indexing, AxesOfTensorsStandTogetherOrInFront) {
  const Tensor x = counted({2, 3, 4, 5}), a = tensor<int64_t>({0, 1}), b = tensor<int64_t>({2, 3});
  EXPECT_EQ(x.index({":", a, b}).shape(), Shape({2, 2, 5}));
  EXPECT_EQ(x.index({":", a, ":", b}).shape(), Shape({2, 2, 4}));
  EXPECT_EQ(x.index({1, a, ":", b}).index({1, 3}).item<float>(), 60 + 20 + 15 + 3);
}

TEST(Indexing, MasksPickWhereTheyAreTrue) {
  const Tensor x = counted({2, 3});
  EXPECT_EQ(values_of(x, {x > 2.5}), (Floats{3, 4, 5}));
  EXPECT_EQ(values_of(x, {":", mask({true, false, true})}), (Floats{0, 2, 3, 5}));
  EXPECT_EQ(values_of(x, {mask({false, true}), 0}), Floats{3});
  EXPECT_EQ(x.index({mask({false, false})}).shape(), Shape({0, 3}));
}

TEST(Indexing, IsDifferentiable) {
  const Tensor x = astype(counted({4, 5}), DType::f64) * 0.1, rows = tensor<int64_t>({1, 1, 3});
  const std::vector<std::vector<Index>> all = {{"::-2", 1}, {rows},    {rows, "1:4"},
                                               {":", rows}, {x > 0.5}, {rows, rows}};
  for (const auto& specs : all)
    gradcheck([&](const std::vector<Tensor>& in) { return square(in[0].index(specs)); }, {x});
}

TEST(IndexedAssign, ReplacesThePartInANewTensor) {
  const Tensor x = counted({2, 3});
  EXPECT_EQ(x.indexed_assign(tensor({7.f, 8.f}), {":", 1}).to_vector<float>(), (Floats{0, 7, 2, 3, 8, 5}));
  EXPECT_EQ(x.indexed_assign(9.0, {0}).to_vector<float>(), (Floats{9, 9, 9, 3, 4, 5}));
  EXPECT_EQ(x.indexed_assign(tensor({6.f}), {1, 1}).to_vector<float>(), (Floats{0, 1, 2, 3, 6, 5}));
  EXPECT_EQ(x.indexed_assign(tensor({1.f, 2.f, 3.f}), {1, "::-1"}).to_vector<float>(), (Floats{0, 1, 2, 3, 2, 1}));
  EXPECT_EQ(x.indexed_assign(-1.0, {x > 3.5}).to_vector<float>(), (Floats{0, 1, 2, 3, -1, -1}));
  EXPECT_EQ(x.indexed_assign(tensor<float>({{5}, {6}}), {":", tensor<int64_t>({0, 2})}).to_vector<float>(),
            (Floats{5, 1, 5, 6, 4, 6}));
  EXPECT_EQ(x.to_vector<float>(), (Floats{0, 1, 2, 3, 4, 5}));
}

TEST(IndexedAssign, IsDifferentiableInBoth) {
  const Tensor x = astype(counted({4, 5}), DType::f64) * 0.1, rows = tensor<int64_t>({1, 1, 3});
  const std::vector<std::pair<std::vector<Index>, Shape>> all = {
      {{"::-2", 1}, {2}}, {{0}, {}}, {{rows}, {3, 5}}, {{rows, "1:4"}, {3}}, {{x > 1.5}, {1}}};
  for (const auto& [specs, shape] : all) {
    const auto assign = [&specs = specs](const std::vector<Tensor>& in) {
      return square(in[0].indexed_assign(in[1], specs));
    };
    gradcheck(assign, {x, full(shape, 0.7, DType::f64)});
  }
}

TEST(IndexedAssign, KeepsTheDType) {
  const Tensor x = zeros({2}, DType::u8);
  EXPECT_EQ(x.indexed_assign(tensor<int64_t>({7}), {1}).dtype(), DType::u8);
  EXPECT_THROW(x.indexed_assign(0.5, {1}), Error);
}

void expect_error(ErrorCode code, const std::string& message, const std::function<void()>& make) {
  try {
    make();
    ADD_FAILURE() << "nothing was thrown: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()), message);
  }
}

TEST(Indexing, MistakesSayWhatWasExpected) {
  const Tensor x = zeros({2, 3});
  expect_error(ErrorCode::kOutOfRange, "index: position 3 is out of range for axis 1 of size 3", [&] {
    x.index({0, 3});
  });
  expect_error(ErrorCode::kOutOfRange, "index: index -3 is out of range for an axis of size 2",
               [&] { x.index({tensor<int64_t>({-3})}); });
  expect_error(ErrorCode::kInvalidArgument,
               "index: expects at most one spec an axis and one \"...\", got specs for 3 axes and 0 \"...\" for shape "
               "[2, 3]",
               [&] {
                 x.index({0, 0, 0});
               });
  expect_error(ErrorCode::kShapeMismatch, "index: a mask of shape [2] doesn't fit shape [2, 3] from axis 1 on", [&] {
    x.index({":", mask({true, true})});
  });
  expect_error(ErrorCode::kShapeMismatch,
               "indexed_assign: a value of shape [2] doesn't broadcast to the part's shape [3]",
               [&] { x.indexed_assign(zeros({2}), {0}); });
  expect_error(ErrorCode::kInvalidArgument, "index: a slice's step can't be 0", [&] { x.index({"::0"}); });
  for (const char* text : {"", "a", "1:2:3:4", "1.5", "..", "99999999999999999999"})
    expect_error(ErrorCode::kInvalidArgument,
                 std::string("index: expects text such as \"2\", \"1:5\", \"::-1\" or \"...\", got \"") + text + "\"",
                 [&] { x.index({text}); });
}

}  // namespace
}  // namespace sm
