#include "kernels/matmul.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/copy.hpp"
#include "kernels/parallel.hpp"
#include "kernels/types.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

// Small whole numbers, exact in every dtype, and never all alike.
Tensor numbers(const Shape& shape, DType dtype, int64_t seed = 1) {
  std::vector<float> values(static_cast<size_t>(elements_of(shape)));
  const int64_t low = is_signed(dtype) ? -3 : 0;
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((static_cast<int64_t>(i) * 7919 + seed * 104729) % 1009 % 7 + low);
  return cast(tensor(values, shape), dtype);
}

Tensor swap_last(const Tensor& x) {
  Shape shape = x.shape();
  Dims strides = x.strides();
  std::swap(shape[x.ndim() - 1], shape[x.ndim() - 2]);
  std::swap(strides[x.ndim() - 1], strides[x.ndim() - 2]);
  return make_view(x, shape, strides, x.impl()->offset);
}

// The same values behind a view whose strides are multiples of `gap`.
Tensor spread(const Tensor& x, int64_t gap) {
  Shape wide = x.shape();
  for (int64_t& size : wide) size *= gap;
  const Tensor storage = numbers(wide, x.dtype(), 99);
  Dims strides = storage.strides();
  for (int64_t& stride : strides) stride *= gap;
  const Tensor view = make_view(storage, x.shape(), strides, 0);
  copy(x, view);
  return view;
}

// The element of `x` at a batch index (last axes first), row and column; rank 1 counts as a row or column.
double element(const Tensor& x, const std::vector<double>& values, int64_t flat, const Shape& batch, int64_t row,
               int64_t column) {
  const int n = x.ndim();
  int64_t index = n == 1 ? row + column : row * x.shape()[n - 1] + column;
  int64_t step = n == 1 ? 0 : x.shape()[n - 1] * x.shape()[n - 2];
  for (int i = batch.size() - 1, mine = n - 3; mine >= 0; --i, --mine) {
    if (x.shape()[mine] != 1) index += flat % batch[i] * step;
    step *= x.shape()[mine];
    flat /= batch[i];
  }
  return values[static_cast<size_t>(index)];
}

std::vector<double> naive(const Tensor& a, const Tensor& b, const Shape& batch) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  const int64_t m = a.ndim() > 1 ? a.size(-2) : 1, k = a.size(-1), n = b.ndim() > 1 ? b.size(-1) : 1;
  std::vector<double> out;
  for (int64_t item = 0; item < elements_of(batch); ++item)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p) sum += element(a, x, item, batch, i, p) * element(b, y, item, batch, p, j);
        out.push_back(sum);
      }
  return out;
}

struct Case {
  Shape a, b, batch, result;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {{2, 3}, {3, 4}, {}, {2, 4}},
      {{1, 1}, {1, 1}, {}, {1, 1}},
      {{5, 7}, {7, 3}, {}, {5, 3}},
      {{17, 33}, {33, 9}, {}, {17, 9}},
      {{70, 5}, {5, 1}, {}, {70, 1}},
      {{1, 90}, {90, 20}, {}, {1, 20}},
      {{3, 300}, {300, 5}, {}, {3, 5}},
      {{40}, {40, 12}, {}, {12}},
      {{30, 40}, {40}, {}, {30}},
      {{600}, {600}, {}, {}},
      {{3}, {3}, {}, {}},
      {{4, 2, 3}, {3, 5}, {4}, {4, 2, 5}},
      {{4, 1, 30}, {30, 20}, {4}, {4, 1, 20}},
      {{2, 3}, {4, 3, 5}, {4}, {4, 2, 5}},
      {{2, 1, 6, 7}, {3, 7, 8}, {2, 3}, {2, 3, 6, 8}},
      {{2, 3, 16, 17}, {2, 3, 17, 18}, {2, 3}, {2, 3, 16, 18}},
      {{3}, {2, 3, 4}, {2}, {2, 4}},
      {{2, 5, 3}, {3}, {2}, {2, 5}},
      {{0, 3}, {3, 4}, {}, {0, 4}},
      {{2, 0}, {0, 4}, {}, {2, 4}},
      {{0}, {0}, {}, {}},
      {{0, 2, 3}, {3, 4}, {0}, {0, 2, 4}},
  };
  return all;
}

void expect_product(const Tensor& a, const Tensor& b, const Case& c, const std::string& how) {
  const Tensor out = matmul(a, b);
  ASSERT_EQ(out.shape(), c.result) << how;
  ASSERT_EQ(out.dtype(), a.dtype()) << how;
  ASSERT_TRUE(out.is_contiguous()) << how;
  const std::vector<double> got = out.to_vector<double>(), wanted = naive(a, b, c.batch);
  ASSERT_EQ(got.size(), wanted.size()) << how;
  for (size_t i = 0; i < got.size(); ++i) {
    double value = wanted[i];
    with_type(a.dtype(), [&](auto type) {
      using T = typename decltype(type)::type;
      // Integers wrap around; 16-bit floats round.
      if constexpr (std::is_integral_v<T>)
        value = static_cast<double>(static_cast<T>(static_cast<int64_t>(value)));
      else
        value = convert<double>(convert<T>(value));
    });
    ASSERT_EQ(got[i], value) << how << " at " << i;
  }
}

TEST(Matmul, EveryDTypeMatchesNaiveLoops) {
  for (int d = 1; d < kDTypeCount; ++d)
    for (const Case& c : cases()) {
      const DType dtype = static_cast<DType>(d);
      expect_product(numbers(c.a, dtype), numbers(c.b, dtype, 2), c,
                     std::string(name_of(dtype)) + " " + c.a.to_string() + " " + c.b.to_string());
    }
}

TEST(Matmul, StridedViewsMatchNaiveLoops) {
  for (DType dtype : {DType::f32, DType::f64, DType::i32, DType::bf16})
    for (const Case& c : cases()) {
      const Tensor a = numbers(c.a, dtype), b = numbers(c.b, dtype, 2);
      const std::string how = std::string(name_of(dtype)) + " " + c.a.to_string() + " " + c.b.to_string();
      expect_product(spread(a, 2), b, c, how + " a spread");
      expect_product(a, spread(b, 3), c, how + " b spread");
      if (a.ndim() > 1) expect_product(swap_last(contiguous(swap_last(a))), b, c, how + " a transposed");
      if (b.ndim() > 1) expect_product(a, swap_last(contiguous(swap_last(b))), c, how + " b transposed");
      if (a.ndim() > 1 && b.ndim() > 1)
        expect_product(swap_last(contiguous(swap_last(a))), swap_last(contiguous(swap_last(b))), c, how + " both");
      if (a.ndim() > 1) expect_product(swap_last(spread(swap_last(a), 2)), b, c, how + " a transposed and spread");
    }
}

TEST(Matmul, BroadcastAndReversedViewsMatchNaiveLoops) {
  for (DType dtype : {DType::f32, DType::i64}) {
    const Tensor row = numbers({20}, dtype), b = numbers({20, 30}, dtype, 2);
    expect_product(make_view(row, {9, 20}, {0, 1}, 0), b, {{}, {}, {}, {9, 30}}, "equal rows");
    expect_product(make_view(row, {20, 20}, {1, 0}, 0), b, {{}, {}, {}, {20, 30}}, "equal columns");
    expect_product(make_view(row, {7, 14}, {1, 1}, 0), numbers({14, 30}, dtype), {{}, {}, {}, {7, 30}}, "overlapping");
    expect_product(make_view(row, {20}, Dims(1, -1), 19), b, {{}, {}, {}, {30}}, "reversed");
    expect_product(make_view(row, {3, 1, 20}, {0, 20, 1}, 0), b, {{}, {}, {3}, {3, 1, 30}}, "equal batches");
    expect_product(make_view(b, {4, 20, 30}, {0, 30, 1}, 0), numbers({30, 5}, dtype), {{}, {}, {4}, {4, 20, 5}},
                   "equal matrices");
    const Tensor both = numbers({6, 4, 5}, dtype);
    expect_product(make_view(both, {6, 5, 4}, {20, 1, 5}, 0), numbers({4, 9}, dtype), {{}, {}, {6}, {6, 5, 9}},
                   "batch of transposed");
    expect_product(make_view(both, {4, 6, 5}, {5, 20, 1}, 0), numbers({5, 9}, dtype), {{}, {}, {4}, {4, 6, 9}},
                   "batch axis inside");
  }
}

TEST(Matmul, LargeProductsAreSplitOverThreads) {
  const int before = num_threads();
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    for (DType dtype : {DType::f32, DType::f64})
      for (const Case& c : std::vector<Case>{{{153, 130}, {130, 120}, {}, {153, 120}},
                                             {{17, 250}, {250, 517}, {}, {17, 517}},
                                             {{2, 130, 128}, {2, 128, 130}, {2}, {2, 130, 130}},
                                             {{40, 30, 31}, {40, 31, 32}, {40}, {40, 30, 32}}}) {
        const Tensor a = numbers(c.a, dtype), b = numbers(c.b, dtype, 2);
        expect_product(a, b, c, "plain");
        expect_product(swap_last(contiguous(swap_last(a))), swap_last(contiguous(swap_last(b))), c, "transposed");
      }
  }
  set_num_threads(before);
}

TEST(Matmul, DeepProductsAreSplitAlongTheirDepth) {
  const int before = num_threads();
  for (int threads : {2, 7}) {
    set_num_threads(threads);
    for (DType dtype : {DType::f32, DType::i32})
      for (int64_t depth : {2048, 2050}) {
        const Tensor a = numbers({70, depth}, dtype), b = swap_last(numbers({80, depth}, dtype, 2));
        expect_product(a, b, {{}, {}, {}, {70, 80}}, std::to_string(depth));
      }
  }
  set_num_threads(before);
}

TEST(Matmul, ABiasIsAddedToEachRow) {
  const int before = num_threads();
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    for (DType dtype : {DType::f16, DType::f32, DType::f64, DType::i64})
      for (const Case& c : std::vector<Case>{{{3, 2}, {2, 5}, {}, {3, 5}},
                                             {{3, 0}, {0, 5}, {}, {3, 5}},
                                             {{2}, {2, 5}, {}, {5}},
                                             {{2, 3, 4}, {4, 5}, {2}, {2, 3, 5}},
                                             {{153, 130}, {130, 120}, {}, {153, 120}},
                                             {{20, 3600}, {3600, 30}, {}, {20, 30}}}) {
        const Tensor a = numbers(c.a, dtype), bias = spread(numbers({c.b[1]}, dtype, 3), 2);
        const std::vector<double> added = bias.to_vector<double>();
        for (const Tensor& b : {numbers(c.b, dtype, 2), swap_last(contiguous(swap_last(numbers(c.b, dtype, 2))))}) {
          const std::vector<double> plain = naive(a, b, c.batch), got = matmul(a, b, bias).to_vector<double>();
          ASSERT_EQ(got.size(), plain.size());
          for (size_t i = 0; i < got.size(); ++i)
            ASSERT_NEAR(got[i], plain[i] + added[i % added.size()], dtype == DType::f16 ? 1e-3 * std::abs(got[i]) : 0)
                << name_of(dtype) << " " << c.a.to_string() << " at " << i;
        }
      }
  }
  set_num_threads(before);
}

TEST(Matmul, IntegersWrapAround) {
  const Tensor a = tensor(std::vector<int32_t>{2147483647, 2147483647}), b = tensor(std::vector<int32_t>{2, 3});
  EXPECT_EQ(matmul(a, b).item<int32_t>(), static_cast<int32_t>(2147483647LL * 5));
}

TEST(Matmul, InfinityAndNanPassThrough) {
  std::vector<float> left(64 * 64, 1.0f), right(64 * 64, 0.0f);
  left[0] = INFINITY;
  const std::vector<float> out = matmul(tensor(left, {64, 64}), tensor(right, {64, 64})).to_vector<float>();
  EXPECT_TRUE(std::isnan(out[0]));
  EXPECT_EQ(out[64], 0.0f);
}

std::string message(const Tensor& a, const Tensor& b, ErrorCode code) {
  try {
    matmul(a, b);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "no error";
}

TEST(Matmul, ErrorsNameTheRuleAndTheShapes) {
  const auto zeros = [](const Shape& shape) { return numbers(shape, DType::f32); };
  EXPECT_EQ(message(zeros({3, 4}), zeros({5, 6}), ErrorCode::kShapeMismatch),
            "matmul: inner sizes differ, got [3, 4] and [5, 6]");
  EXPECT_EQ(message(zeros({}), zeros({5, 6}), ErrorCode::kShapeMismatch),
            "matmul: needs tensors of 1 or more dimensions, got [] and [5, 6]");
  EXPECT_EQ(message(zeros({2, 3, 4}), zeros({3, 4, 5}), ErrorCode::kShapeMismatch),
            "matmul: leading axes don't broadcast, got [2, 3, 4] and [3, 4, 5]");
  EXPECT_EQ(
      message(cast(zeros({2, 2}), DType::boolean), cast(zeros({2, 2}), DType::boolean), ErrorCode::kDTypeMismatch),
      "matmul: expects numbers, got bool; convert with astype first");
}

}  // namespace
}  // namespace sm::kernels
