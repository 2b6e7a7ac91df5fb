#include "kernels/cpu/gemm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/older_cpu.hpp"

namespace sm::kernels {
namespace {

struct Sizes {
  int64_t m, n, k;
};

// Whole numbers, so that sums are exact in whatever order.
std::vector<float> numbers(int64_t count, int seed) {
  std::vector<float> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>((i * 37 + static_cast<size_t>(seed) * 11) % 17) - 8.0F;
  return out;
}

// A matrix [rows, columns] inside `data`, one element after another by rows, by columns, or with gaps.
enum class Layout { kRows, kColumns, kGaps };

Matrix matrix(const std::vector<float>& data, int64_t rows, int64_t columns, Layout layout) {
  if (layout == Layout::kRows) return {data.data(), columns, 1};
  if (layout == Layout::kColumns) return {data.data(), 1, rows};
  return {data.data(), 2 * columns + 1, 2};
}

int64_t room(int64_t rows, int64_t columns) { return rows * (2 * columns + 1); }

using Product = decltype(&packed_product);

void expect_product(const Sizes& s, Layout a_layout, Layout b_layout, bool with_bias,
                    Product product = packed_product) {
  constexpr float kUntouched = 1234.5F;
  const std::vector<float> a_data = numbers(room(s.m, s.k), 1), b_data = numbers(room(s.k, s.n), 2);
  const std::vector<float> bias = numbers(s.n, 3);
  const Matrix a = matrix(a_data, s.m, s.k, a_layout), b = matrix(b_data, s.k, s.n, b_layout);
  const int64_t c_row = s.n + 3;
  std::vector<float> c(static_cast<size_t>(s.m * c_row), kUntouched);
  if (!product(s.m, s.n, s.k, a, b, with_bias ? bias.data() : nullptr, c.data(), c_row))
    GTEST_SKIP() << "this CPU has no vectors for it";
  for (int64_t i = 0; i < s.m; ++i)
    for (int64_t j = 0; j < c_row; ++j) {
      double sum = j < s.n && with_bias ? static_cast<double>(bias[static_cast<size_t>(j)]) : 0;
      for (int64_t p = 0; j < s.n && p < s.k; ++p)
        sum += static_cast<double>(a.data[i * a.row + p * a.column]) *
               static_cast<double>(b.data[p * b.row + j * b.column]);
      const double expected = j < s.n ? sum : static_cast<double>(kUntouched);
      ASSERT_EQ(static_cast<double>(c[static_cast<size_t>(i * c_row + j)]), expected)
          << s.m << "x" << s.n << "x" << s.k << " at " << i << ", " << j;
    }
}

TEST(PackedProduct, IsExactForAllLayouts) {
  for (const Layout a : {Layout::kRows, Layout::kColumns, Layout::kGaps})
    for (const Layout b : {Layout::kRows, Layout::kColumns, Layout::kGaps})
      for (const bool bias : {false, true}) expect_product({13, 37, 21}, a, b, bias);
}

TEST(PackedProduct, IsExactWhateverIsLeftAtTheEdges) {
  for (int64_t m = 1; m <= 17; ++m)
    for (const int64_t n : {1, 3, 4, 8, 15, 16, 17, 48, 49, 100})
      for (const int64_t k : {1, 4, 6}) expect_product({m, n, k}, Layout::kRows, Layout::kRows, true);
}

TEST(PackedProduct, AddsUpItsBlocks) {
  expect_product({3, 20, 1000}, Layout::kRows, Layout::kColumns, true);
  expect_product({300, 5, 10}, Layout::kColumns, Layout::kRows, true);
  expect_product({140, 300, 400}, Layout::kRows, Layout::kColumns, true);
  expect_product({9, 2100, 5}, Layout::kRows, Layout::kRows, true);
}

TEST(PackedProduct, IgnoresWhatTheResultHeld) {
  const std::vector<float> a{2, 3}, b{5, 7};
  float c = std::nanf("");
  if (!packed_product(1, 1, 2, {a.data(), 2, 1}, {b.data(), 1, 1}, nullptr, &c, 1)) GTEST_SKIP();
  EXPECT_EQ(c, 31);
}

TEST(NarrowProduct, IsExactForAllLayouts) {
  for (const Layout a : {Layout::kRows, Layout::kColumns})
    for (const Layout b : {Layout::kRows, Layout::kColumns, Layout::kGaps})
      for (const bool bias : {false, true})
        for (int64_t n = 1; n <= 9; ++n) expect_product({29, n, 37}, a, b, bias, narrow_product);
}

TEST(NarrowProduct, IsExactWhateverIsLeftAtTheEdges) {
  for (const Layout a : {Layout::kRows, Layout::kColumns})
    for (int64_t m = 1; m <= 13; ++m)
      for (const int64_t n : {1, 4, 7})
        for (const int64_t k : {1, 7, 8, 16, 31, 33, 700})
          expect_product({m, n, k}, a, Layout::kRows, true, narrow_product);
}

TEST(Products, AreExactOnAnOlderCpu) {
  const OlderCpu older;
  for (const Layout a : {Layout::kRows, Layout::kColumns})
    for (const Layout b : {Layout::kRows, Layout::kColumns})
      for (const Product product : {packed_product, narrow_product})
        for (int64_t n = 1; n <= 9; ++n) expect_product({29, n, 37}, a, b, true, product);
}

}  // namespace
}  // namespace sm::kernels
