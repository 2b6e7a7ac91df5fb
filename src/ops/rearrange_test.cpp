#include <gtest/gtest.h>

#include <functional>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm {
namespace {

using Floats = std::vector<float>;

bool shares_storage(const Tensor& a, const Tensor& b) { return a.impl()->storage().get() == b.impl()->storage().get(); }

TEST(Rearranged, FlipSplitAndDiagonalAreViews) {
  const Tensor x = reshape(arange(0, 6), {2, 3});
  EXPECT_TRUE(shares_storage(flip(x), x));
  EXPECT_TRUE(shares_storage(diagonal(x), x));
  for (const Tensor& part : split(x, 1, 1)) EXPECT_TRUE(shares_storage(part, x));
}

TEST(Rearranged, AResultIsNeverItsInput) {
  const Tensor x = ones({2});
  for (const Tensor& same : {flip(x, Dims(0)), roll(x, 2), tile(x, 1), split(x, 2)[0], pad(x, 0, 0, 0, "wrap")}) {
    EXPECT_FALSE(same.same_as(x));
    x.update(zeros({2}));
    EXPECT_EQ(same.to_vector<float>(), (Floats{1, 1}));
    x.update(ones({2}));
  }
}

TEST(Split, PartsOfOneSizeTheLastMaybeSmaller) {
  const std::vector<Tensor> parts = split(arange(0, 5), 2);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[2].to_vector<float>(), Floats{4});
}

TEST(Split, GradientsOfThePartsMeet) {
  const Tensor x = ones({5}).requires_grad(true);
  const std::vector<Tensor> parts = split(x, {2, 3});
  (sum(parts[0]) * 2 + sum(parts[1]) * 3).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{2, 2, 3, 3, 3}));
}

std::string message_of(const std::function<void()>& make) {
  try {
    make();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Rearranged, MistakesSayWhatWasExpected) {
  EXPECT_EQ(message_of([] {
              split(zeros({5}), {2, 2});
            }),
            "split: expects one size above 0, or sizes that add up to 5, got [2, 2]");
  EXPECT_EQ(message_of([] { split(zeros({5}), 0); }),
            "split: expects one size above 0, or sizes that add up to 5, got [0]");
  EXPECT_EQ(message_of([] { tile(zeros({5}), -1); }), "tile: repeats must be 0 or more, got [-1]");
  EXPECT_EQ(message_of([] {
              roll(zeros({5}), {1, 2});
            }),
            "roll: needs one shift for each axis, or one in all, got shifts [1, 2] and axes []");
  EXPECT_EQ(message_of([] { triu(zeros({5})); }), "triu: expects at least 2 dimensions, got [5]");
  EXPECT_EQ(message_of([] {
              diagonal(zeros({2, 2}), 0, 1, -1);
            }),
            "diagonal: expects two different axes, got 1 and -1");
  EXPECT_EQ(message_of([] { diag(zeros({2, 2, 2})); }), "diag: expects 1 or 2 dimensions, got [2, 2, 2]");
  EXPECT_EQ(message_of([] { pad(zeros({0}), 1, 0, 0, "edge"); }),
            "pad: an empty axis has nothing to edge, got shape [0]");
  EXPECT_NE(message_of([] { pad(zeros({2}), 1, 0, 0, "mirror"); }).find("got \"mirror\""), std::string::npos);
}

TEST(Rearranged, OffsetsBeyondTheEndAreEmptyWithoutOverflow) {
  const Tensor x = ones({2, 3});
  for (int64_t far : {INT64_MAX, INT64_MIN}) {
    EXPECT_EQ(diagonal(x, far).elements(), 0);
    EXPECT_EQ(sum(triu(x, far)).item<float>(), far > 0 ? 0 : 6);
    EXPECT_EQ(sum(tril(x, far)).item<float>(), far > 0 ? 6 : 0);
    EXPECT_EQ(roll(x, far).shape(), x.shape());
  }
  EXPECT_THROW(diag(ones({2}), INT64_MIN), Error);
}

}  // namespace
}  // namespace sm
