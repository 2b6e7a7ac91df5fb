#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/conv.hpp"
#include "kernels/copy.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

// Few different values, so that windows have ties.
Tensor numbers(const Shape& shape, DType dtype, int64_t seed = 1) {
  std::vector<float> values(static_cast<size_t>(elements_of(shape)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((static_cast<int64_t>(i) * 7919 + seed * 104729) % 1009 % 5 - 2);
  return cast(tensor(values, shape), dtype);
}

struct Case {
  Shape input;
  PoolParameters parameters;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{1, 1, 2, 2}, {{2, 2}, {2, 2}}},         {{2, 3, 6, 8}, {{2, 2}, {2, 2}}},
      {{2, 3, 7, 5}, {{2, 4}, {2, 1}}},         {{2, 2, 7, 5}, {{3, 3}, {1, 2}, {1, 1}}},
      {{1, 2, 5, 6}, {{4, 2}, {3, 2}, {2, 1}}}, {{1, 1, 1, 1}, {{2, 2}, {1, 1}, {1, 1}}},
      {{3, 1, 4, 4}, {{1, 1}, {3, 3}}},         {{3, 1, 4, 4}, {{2, 2}, {9, std::numeric_limits<int64_t>::max()}}},
      {{40, 8, 14, 14}, {{2, 2}, {2, 2}}},      {{0, 3, 4, 4}, {{2, 2}, {2, 2}}},
      {{1, 2, 5, 3}, {{2, 2}, {2, 2}}},         {{1, 1, 3, 11}, {{2, 2}, {2, 2}}},
      {{1, 2, 2, 18}, {{2, 2}, {2, 2}}},        {{1, 2, 4, 35}, {{2, 2}, {2, 2}}},
      {{1, 1, 7, 72}, {{2, 2}, {2, 2}}},
  };
  return all;
}

// Calls visit(output index, input indices of its window in reading order).
template <class Visit>
void walk(const Case& c, const Shape& out, Visit&& visit) {
  const PoolParameters& p = c.parameters;
  size_t at = 0;
  for (int64_t plane = 0; plane < out[0] * out[1]; ++plane)
    for (int64_t i = 0; i < out[2]; ++i)
      for (int64_t j = 0; j < out[3]; ++j) {
        std::vector<size_t> window;
        for (int64_t k = 0; k < p.kernel[0] * p.kernel[1]; ++k) {
          const int64_t h = i * p.stride[0] - p.padding[0] + k / p.kernel[1];
          const int64_t w = j * p.stride[1] - p.padding[1] + k % p.kernel[1];
          if (h >= 0 && w >= 0 && h < c.input[2] && w < c.input[3])
            window.push_back(static_cast<size_t>((plane * c.input[2] + h) * c.input[3] + w));
        }
        visit(at++, window);
      }
}

TEST(AveragePool, CountsPaddingAsZeros) {
  for (const Case& c : cases())
    for (DType dtype : {DType::f32, DType::f64}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + c.input.to_string());
      const Tensor x = numbers(c.input, dtype), y = avg_pool2d("avg_pool2d", x, c.parameters);
      const Tensor g = numbers(y.shape(), dtype, 2);
      const Tensor dx = avg_pool2d_gradient("avg_pool2d_gradient", g, c.input, c.parameters);
      const std::vector<double> xs = x.to_vector<double>(), gs = g.to_vector<double>();
      std::vector<double> ys(gs.size()), dxs(xs.size());
      const double area = static_cast<double>(c.parameters.kernel[0] * c.parameters.kernel[1]);
      walk(c, y.shape(), [&](size_t out, const std::vector<size_t>& window) {
        for (size_t i : window) ys[out] += xs[i] / area, dxs[i] += gs[out] / area;
      });
      const std::vector<double> got = y.to_vector<double>(), slopes = dx.to_vector<double>();
      ASSERT_EQ(got.size(), ys.size());
      for (size_t i = 0; i < ys.size(); ++i) ASSERT_NEAR(got[i], ys[i], 1e-5);
      ASSERT_EQ(dx.shape(), c.input);
      for (size_t i = 0; i < dxs.size(); ++i) ASSERT_NEAR(slopes[i], dxs[i], 1e-5);
    }
}

TEST(MaxPool, TheFirstMaximumGetsTheGradient) {
  for (const Case& c : cases())
    for (DType dtype : {DType::f32, DType::f64, DType::f16}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + c.input.to_string());
      const Tensor x = numbers(c.input, dtype), y = max_pool2d("max_pool2d", x, c.parameters);
      const Tensor g = numbers(y.shape(), dtype, 2), values = numbers(c.input, dtype, 3);
      const Tensor dx = max_pool2d_gradient("max_pool2d_gradient", g, x, c.parameters);
      const Tensor gathered = max_pool2d_gather("max_pool2d_gather", values, x, c.parameters);
      const std::vector<double> xs = x.to_vector<double>(), gs = g.to_vector<double>(), vs = values.to_vector<double>();
      std::vector<double> ys(gs.size()), dxs(xs.size()), picked(gs.size());
      walk(c, y.shape(), [&](size_t out, const std::vector<size_t>& window) {
        const size_t first =
            *std::max_element(window.begin(), window.end(), [&](size_t a, size_t b) { return xs[a] < xs[b]; });
        ys[out] = xs[first], picked[out] = vs[first], dxs[first] += gs[out];
      });
      EXPECT_EQ(y.dtype(), dtype);
      EXPECT_EQ(y.to_vector<double>(), ys);
      EXPECT_EQ(dx.to_vector<double>(), dxs);
      EXPECT_EQ(gathered.to_vector<double>(), picked);
    }
}

TEST(MaxPool, NanAndInfinityPassThrough) {
  const float inf = INFINITY;
  const Tensor x = tensor(std::vector<float>{1, NAN, 9, 2, -inf, -inf, -inf, -inf}, {1, 2, 2, 2});
  const PoolParameters whole{{2, 2}, {2, 2}};
  const std::vector<float> y = max_pool2d("max_pool2d", x, whole).to_vector<float>();
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(y[1], -inf);
  const Tensor g = tensor(std::vector<float>{3, 4}, {1, 2, 1, 1});
  EXPECT_EQ(max_pool2d_gradient("max_pool2d_gradient", g, x, whole).to_vector<float>(),
            (std::vector<float>{0, 3, 0, 0, 4, 0, 0, 0}));
}

TEST(MaxPool, TheFirstNanOfAWindowGetsTheGradientInRowsOfAnyLength) {
  for (int64_t windows : {1, 3, 6, 11, 40}) {
    // Each window is {1, NaN} above {NaN, 2}.
    std::vector<float> values(static_cast<size_t>(4 * windows)), wanted(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const bool top = i < values.size() / 2, left = i % 2 == 0;
      values[i] = top == left ? (top ? 1 : 2) : NAN;
      wanted[i] = top && !left ? 5 : 0;
    }
    const Tensor x = tensor(values, {1, 1, 2, 2 * windows}), g = tensor(std::vector<float>{5});
    const PoolParameters p{{2, 2}, {2, 2}};
    for (float y : max_pool2d("max_pool2d", x, p).to_vector<float>()) EXPECT_TRUE(std::isnan(y));
    const Tensor fives = make_view(g, {1, 1, 1, windows}, {0, 0, 0, 0}, 0);
    EXPECT_EQ(max_pool2d_gradient("max_pool2d_gradient", fives, x, p).to_vector<float>(), wanted);
  }
}

TEST(MaxPool, TakesStridedViews) {
  const Tensor x = numbers({2, 3, 6, 4}, DType::f32);
  const Tensor view = make_view(x, {2, 3, 4, 6}, {72, 24, 1, 4}, 0);
  const PoolParameters p{{2, 3}, {2, 1}};
  EXPECT_EQ(max_pool2d("max_pool2d", view, p).to_vector<float>(),
            max_pool2d("max_pool2d", contiguous(view), p).to_vector<float>());
}

std::string message(const Shape& shape, const PoolParameters& parameters, ErrorCode code) {
  try {
    max_pool2d("max_pool2d", numbers(shape, DType::f32), parameters);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "no error";
}

TEST(MaxPool, ErrorsNameTheRuleAndTheShapes) {
  EXPECT_EQ(message({3, 4, 4}, {{2, 2}, {2, 2}}, ErrorCode::kShapeMismatch),
            "max_pool2d: expects an input [N, C, H, W], got [3, 4, 4]");
  EXPECT_EQ(message({1, 3, 4, 4}, {{5, 2}, {2, 2}}, ErrorCode::kShapeMismatch),
            "max_pool2d: kernel [5, 2] doesn't fit into [1, 3, 4, 4] with padding [0, 0]");
  EXPECT_EQ(
      message({1, 3, 4, 4}, {{2, 2}, {2, 2}, {2, 0}}, ErrorCode::kInvalidArgument),
      "max_pool2d: kernel and stride must be 1 or more and padding at most half of the kernel, got kernel [2, 2], "
      "stride [2, 2], padding [2, 0]");
}

}  // namespace
}  // namespace sm::kernels
