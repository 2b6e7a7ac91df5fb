#include "kernels/conv.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "kernels/copy.hpp"
#include "kernels/cpu/older_cpu.hpp"
#include "kernels/parallel.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

// Small whole numbers: sums of their products are exact in every floating dtype that is tested.
Tensor numbers(const Shape& shape, DType dtype, int64_t seed = 1) {
  std::vector<float> values(static_cast<size_t>(elements_of(shape)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((static_cast<int64_t>(i) * 7919 + seed * 104729) % 1009 % 5 - 2);
  return cast(tensor(values, shape), dtype);
}

// The same values in a storage whose axes are in the opposite order.
Tensor permuted(const Tensor& x) {
  const Shape& shape = x.shape();
  const Shape turned{shape[3], shape[2], shape[1], shape[0]};
  const Tensor storage = numbers(turned, x.dtype(), 9);
  const Dims& s = storage.strides();
  const Tensor view = make_view(storage, shape, {s[3], s[2], s[1], s[0]}, 0);
  copy(x, view);
  return view;
}

struct Case {
  Shape input, filter;
  ConvParameters parameters;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{1, 1, 3, 3}, {1, 1, 2, 2}, {}},
      {{2, 3, 5, 6}, {4, 3, 3, 2}, {}},
      {{2, 3, 5, 6}, {4, 3, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}},
      {{3, 1, 8, 8}, {6, 1, 5, 5}, {{2, 2}, {2, 2}, {1, 1}, 1}},
      {{2, 4, 9, 7}, {6, 2, 3, 3}, {{2, 1}, {0, 1}, {1, 2}, 2}},
      {{2, 6, 6, 6}, {6, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 6}},
      {{2, 3, 7, 7}, {6, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 3}},
      {{2, 16, 6, 6}, {32, 16, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}},
      {{1, 1, 28, 28}, {16, 1, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}},
      {{2, 7, 19, 33}, {37, 7, 3, 5}, {{1, 1}, {1, 2}, {1, 1}, 1}},
      {{1, 9, 13, 40}, {35, 9, 2, 4}, {{1, 1}, {1, 1}, {1, 1}, 1}},
      {{2, 24, 9, 10}, {45, 8, 7, 1}, {{1, 1}, {3, 0}, {1, 1}, 3}},
      {{2, 3, 30, 29}, {17, 3, 3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1}},
      {{1, 10, 20, 17}, {20, 10, 3, 3}, {{1, 1}, {2, 2}, {2, 2}, 1}},
      {{1, 8, 30, 30}, {16, 4, 3, 7}, {{1, 1}, {0, 3}, {3, 1}, 2}},
      {{2, 5, 4, 4}, {7, 5, 1, 1}, {}},
      {{1, 2, 4, 4}, {3, 2, 2, 2}, {{1, 1}, {3, 4}, {1, 1}, 1}},
      {{1, 2, 5, 5}, {3, 2, 1, 1}, {{3, 3}, {0, 0}, {1, 1}, 1}},
      {{1, 2, 3, 9}, {3, 2, 1, 4}, {{1, 2}, {0, 2}, {1, 2}, 1}},
      {{1, 1, 4, 4}, {1, 1, 3, 3}, {{1000000007, 5}, {0, 0}, {1, 1}, 1}},
      {{1, 2, 3, 3}, {3, 2, 2, 2}, {{1, 1}, {40000, 40000}, {80001, 80001}, 1}},
      {{0, 3, 5, 5}, {4, 3, 3, 3}, {}},
      {{2, 0, 5, 5}, {4, 0, 3, 3}, {}},
      {{2, 3, 5, 5}, {0, 3, 3, 3}, {}},
  };
  return all;
}

std::string describe(const Case& c, DType dtype) {
  return std::string(name_of(dtype)) + " " + c.input.to_string() + " " + c.filter.to_string() + " groups " +
         std::to_string(c.parameters.groups);
}

// Calls visit(output index, input index, filter index) for every product of the convolution.
template <class Visit>
void walk(const Case& c, const Shape& out, Visit&& visit) {
  const ConvParameters& p = c.parameters;
  const Shape &x = c.input, &f = c.filter;
  int64_t at = 0;
  for (int64_t n = 0; n < out[0]; ++n)
    for (int64_t o = 0; o < out[1]; ++o)
      for (int64_t i = 0; i < out[2]; ++i)
        for (int64_t j = 0; j < out[3]; ++j, ++at)
          for (int64_t k = 0; k < f[1] * f[2] * f[3]; ++k) {
            const int64_t channel = o / (f[0] / p.groups) * f[1] + k / (f[2] * f[3]);
            const int64_t h = i * p.stride[0] - p.padding[0] + k / f[3] % f[2] * p.dilation[0];
            const int64_t w = j * p.stride[1] - p.padding[1] + k % f[3] * p.dilation[1];
            if (h >= 0 && w >= 0 && h < x[2] && w < x[3])
              visit(static_cast<size_t>(at), static_cast<size_t>(((n * x[1] + channel) * x[2] + h) * x[3] + w),
                    static_cast<size_t>(o * f[1] * f[2] * f[3] + k));
          }
}

// Every pass of one case against the definition. `change` may lay an operand out anew.
template <class Change>
void expect_right(const Case& c, DType dtype, Change&& change) {
  SCOPED_TRACE(describe(c, dtype));
  const Tensor x = numbers(c.input, dtype), f = numbers(c.filter, dtype, 2), bias = numbers({c.filter[0]}, dtype, 3);
  const Tensor y = conv2d("conv2d", change(x), change(f), {}, c.parameters);
  const Tensor biased = conv2d("conv2d", change(x), change(f), bias, c.parameters);
  const Tensor g = numbers(y.shape(), dtype, 4);
  const Tensor dx = conv2d_input_gradient("conv2d", change(g), change(f), c.input, c.parameters);
  const Tensor df = conv2d_filter_gradient("conv2d", change(g), change(x), c.filter, c.parameters);

  const std::vector<double> xs = x.to_vector<double>(), fs = f.to_vector<double>(), gs = g.to_vector<double>();
  const std::vector<double> bs = bias.to_vector<double>();
  std::vector<double> ys(gs.size()), dxs(xs.size()), dfs(fs.size()), biaseds(gs.size());
  walk(c, y.shape(), [&](size_t out, size_t in, size_t tap) {
    ys[out] += xs[in] * fs[tap];
    dxs[in] += gs[out] * fs[tap];
    dfs[tap] += gs[out] * xs[in];
  });
  for (size_t i = 0; i < ys.size(); ++i)
    biaseds[i] = ys[i] + bs[i / static_cast<size_t>(y.shape()[2] * y.shape()[3]) % bs.size()];
  EXPECT_EQ(y.dtype(), dtype);
  EXPECT_EQ(y.to_vector<double>(), ys);
  EXPECT_EQ(biased.to_vector<double>(), biaseds);
  EXPECT_EQ(dx.shape(), c.input);
  EXPECT_EQ(dx.to_vector<double>(), dxs);
  EXPECT_EQ(df.shape(), c.filter);
  EXPECT_EQ(df.to_vector<double>(), dfs);
}

const auto kAsItIs = [](const Tensor& x) { return x; };

TEST(Conv2d, EveryPassMatchesTheDefinition) {
  for (const Case& c : cases())
    for (DType dtype : {DType::f32, DType::f64}) expect_right(c, dtype, kAsItIs);
}

TEST(Conv2d, EveryPassMatchesTheDefinitionOnAnOlderCpu) {
  const OlderCpu older;
  for (const Case& c : cases()) expect_right(c, DType::f32, kAsItIs);
}

TEST(Conv2d, SixteenBitFloatsAreComputedInFloat32) {
  expect_right(cases()[1], DType::f16, kAsItIs);
  expect_right(cases()[1], DType::bf16, kAsItIs);
}

TEST(Conv2d, StridedViewsMatchTheDefinition) {
  for (DType dtype : {DType::f32, DType::f64}) {
    expect_right(cases()[2], dtype, permuted);
    expect_right(cases()[4], dtype, permuted);
  }
}

TEST(Conv2d, ABatchSplitOverThreadsGivesTheSame) {
  const int before = num_threads();
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    expect_right({{20, 16, 14, 14}, {32, 16, 3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1}}, DType::f32, kAsItIs);
  }
  set_num_threads(before);
}

TEST(Conv2d, ManyThreadsShareOnePlan) {
  const Case& c = cases()[7];
  const Tensor x = numbers(c.input, DType::f32), f = numbers(c.filter, DType::f32, 2);
  const std::vector<float> expected = conv2d("conv2d", x, f, {}, c.parameters).to_vector<float>();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round)
        wrong[t] += conv2d("conv2d", x, f, {}, c.parameters).to_vector<float>() != expected;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(Conv2d, MoreShapesThanAreRememberedStillWork) {
  for (int64_t size = 3; size < 270; ++size) {
    const Tensor x = numbers({1, 1, 1, size}, DType::f32), f = numbers({1, 1, 1, 3}, DType::f32);
    const std::vector<float> xs = x.to_vector<float>(), fs = f.to_vector<float>();
    const std::vector<float> ys = conv2d("conv2d", x, f, {}, {}).to_vector<float>();
    ASSERT_EQ(static_cast<int64_t>(ys.size()), size - 2);
    ASSERT_EQ(ys.back(), xs[xs.size() - 3] * fs[0] + xs[xs.size() - 2] * fs[1] + xs[xs.size() - 1] * fs[2]);
  }
}

template <class Function>
std::string message(ErrorCode code, Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "no error";
}

TEST(Conv2d, ErrorsNameTheRuleAndTheShapes) {
  const auto call = [](const Shape& x, const Shape& f, const ConvParameters& p, ErrorCode code) {
    return message(code, [&] { conv2d("conv2d", numbers(x, DType::f32), numbers(f, DType::f32), {}, p); });
  };
  EXPECT_EQ(
      call({3, 5, 5}, {4, 3, 3, 3}, {}, ErrorCode::kShapeMismatch),
      "conv2d: expects an input [N, C, H, W] and a filter [O, C / groups, kH, kW], got [3, 5, 5] and [4, 3, 3, 3]");
  EXPECT_EQ(call({1, 2, 5, 5}, {4, 3, 3, 3}, {}, ErrorCode::kShapeMismatch),
            "conv2d: with groups 1 a filter [4, 3, 3, 3] needs an input [N, 3, H, W], got [1, 2, 5, 5]");
  EXPECT_EQ(call({1, 6, 5, 5}, {3, 3, 3, 3}, {{1, 1}, {0, 0}, {1, 1}, 2}, ErrorCode::kShapeMismatch),
            "conv2d: the filter's first size must be a multiple of groups, got a filter [3, 3, 3, 3] and groups 2");
  EXPECT_EQ(
      call({1, 3, 2, 5}, {4, 3, 3, 3}, {}, ErrorCode::kShapeMismatch),
      "conv2d: the filter doesn't fit into the padded input, got [1, 3, 2, 5] and [4, 3, 3, 3] with padding [0, 0] "
      "and dilation [1, 1]");
  EXPECT_EQ(call({1, 3, 5, 5}, {4, 3, 3, 3}, {{0, 1}}, ErrorCode::kInvalidArgument),
            "conv2d: stride and dilation must be 1 or more and padding 0 or more, got stride [0, 1], dilation [1, 1], "
            "padding [0, 0]");
  EXPECT_EQ(message(ErrorCode::kShapeMismatch,
                    [] {
                      conv2d("conv2d", numbers({1, 1, 3, 3}, DType::f32), numbers({2, 1, 3, 3}, DType::f32),
                             numbers({3}, DType::f32), {});
                    }),
            "conv2d: expects a bias of shape [2], got [3]");
  EXPECT_EQ(message(ErrorCode::kShapeMismatch,
                    [] {
                      conv2d_input_gradient("conv2d_input_gradient", numbers({1, 2, 2, 2}, DType::f32),
                                            numbers({2, 1, 3, 3}, DType::f32), {1, 1, 3, 3}, {});
                    }),
            "conv2d_input_gradient: expects a gradient of the output's shape [1, 2, 1, 1], got [1, 2, 2, 2]");
}

}  // namespace
}  // namespace sm::kernels
