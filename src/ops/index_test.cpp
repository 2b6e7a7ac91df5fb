#include <gtest/gtest.h>

#include <functional>

#include "kernels/parallel.hpp"
#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;

void expect_error(ErrorCode code, const std::string& message, const std::function<void()>& make) {
  try {
    make();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    EXPECT_EQ(std::string(error.what()), message);
  }
}

TEST(Take, IndicesOfAnyShapeReplaceTheAxis) {
  const Tensor x = reshape(arange(0, 6), {2, 3});
  const Tensor rows = take(x, tensor<int64_t>({{1, 0}, {-1, 1}}));
  EXPECT_EQ(rows.shape(), Shape({2, 2, 3}));
  EXPECT_EQ(rows.to_vector<float>(), (Floats{3, 4, 5, 0, 1, 2, 3, 4, 5, 3, 4, 5}));
  EXPECT_EQ(take(x, tensor<int64_t>({2, -3}), 1).to_vector<float>(), (Floats{2, 0, 5, 3}));
  EXPECT_EQ(take(x, scalar<uint8_t>(1)).to_vector<float>(), (Floats{3, 4, 5}));
}

TEST(Take, OfARankZeroTensorRepeatsIt) {
  EXPECT_EQ(take(scalar(5.f), tensor<int64_t>({0, -1})).to_vector<float>(), (Floats{5, 5}));
}

TEST(Take, SaysWhichIndexIsOutsideWhatSize) {
  expect_error(ErrorCode::kOutOfRange, "take: index 4 is out of range for an axis of size 4", [] {
    take(zeros({4}), tensor<int64_t>({0, 4}));
  });
  expect_error(ErrorCode::kOutOfRange, "take: index -5 is out of range for an axis of size 4",
               [] { take(zeros({4}), tensor<int64_t>({-5})); });
  expect_error(ErrorCode::kDTypeMismatch, "take: expects integer indices, got float32",
               [] { take(zeros({4}), zeros({2})); });
  expect_error(ErrorCode::kOutOfRange, "take: index 0 is out of range for an axis of size 0",
               [] { take(zeros({0}), scalar<int64_t>(0)); });
}

TEST(Take, GradientOfARepeatedIndexIsSummedInFloat32) {
  const Tensor x = zeros({2}, DType::f16).requires_grad(true);
  // 4096 ones: adding 1 to 2048 changes nothing in float16.
  const Tensor out = take(x, zeros({4096}, DType::i64));
  out.backward(ones({4096}, DType::f16));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{4096, 0}));
}

TEST(Take, GradientIsTheSameOnAnyNumberOfThreads) {
  const Tensor gradient = randn({3000, 300}), indices = astype(rand({3000}) * 50, DType::i64);
  const int before = kernels::num_threads();
  kernels::set_num_threads(1);
  const Floats one = take_gradient(gradient, indices, {50, 300}).to_vector<float>();
  kernels::set_num_threads(4);
  EXPECT_EQ(take_gradient(gradient, indices, {50, 300}).to_vector<float>(), one);
  kernels::set_num_threads(before);
}

TEST(Embedding, TakesNoIndexFromTheEnd) {
  expect_error(ErrorCode::kOutOfRange, "embedding: index -1 is out of range for an axis of size 4", [] {
    embedding(zeros({4, 2}), tensor<int64_t>({-1}));
  });
  expect_error(ErrorCode::kShapeMismatch, "embedding: expects a weight [rows, size], got [4]",
               [] { embedding(zeros({4}), tensor<int64_t>({0})); });
}

}  // namespace
}  // namespace sm
