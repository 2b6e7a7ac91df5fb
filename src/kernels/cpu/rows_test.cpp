#include "kernels/rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "kernels/copy.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

using Row = std::vector<double>;

// Around every number of lanes that a vector may have.
const std::vector<int64_t>& lengths() {
  static const std::vector<int64_t> all = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1030};
  return all;
}

Tensor numbers(const Shape& shape, DType dtype, int64_t seed) {
  std::vector<double> values(static_cast<size_t>(elements_of(shape)));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<double>((static_cast<int64_t>(i) * 7919 + seed * 104729) % 1009) / 250 - 2;
  return cast(tensor(values, shape), dtype);
}

// Calls f(dtype, tolerance, rows, length) for each dtype and length.
void for_each_case(const std::function<void(DType, double, int64_t, int64_t)>& f) {
  for (const auto& [dtype, tolerance] : {std::pair{DType::f32, 3e-6}, std::pair{DType::f64, 1e-13}})
    for (int64_t n : lengths()) {
      SCOPED_TRACE(std::string(name_of(dtype)) + ", rows of " + std::to_string(n));
      f(dtype, tolerance, 5, n);
    }
}

void expect_near(const Tensor& got, const Row& wanted, double tolerance) {
  const Row values = got.to_vector<double>();
  ASSERT_EQ(values.size(), wanted.size());
  for (size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(values[i], wanted[i], tolerance * (1 + std::abs(wanted[i]))) << "element " << i;
}

// f(row) in place, for each row of `length` elements.
Row each_row(Row values, int64_t length, const std::function<void(Row&)>& f) {
  for (auto at = values.begin(); at != values.end(); at += length) {
    Row row(at, at + length);
    f(row);
    std::copy(row.begin(), row.end(), at);
  }
  return values;
}

void to_softmax(Row& row) {
  for (double& x : row) x = std::exp(x);
  const double total = std::accumulate(row.begin(), row.end(), 0.0);
  for (double& x : row) x /= total;
}

TEST(Rows, SoftmaxAndItsLogarithmOfRowsOfAnyLength) {
  for_each_case([](DType dtype, double tolerance, int64_t rows, int64_t n) {
    const Tensor x = numbers({rows, n}, dtype, 1);
    Row wanted = each_row(x.to_vector<double>(), n, to_softmax);
    expect_near(softmax_rows(x), wanted, tolerance);
    for (double& value : wanted) value = std::log(value);
    expect_near(log_softmax_rows(x), wanted, tolerance);
  });
}

TEST(Rows, GradientsOfSoftmaxOfRowsOfAnyLength) {
  for_each_case([](DType dtype, double tolerance, int64_t rows, int64_t n) {
    const Tensor x = numbers({rows, n}, dtype, 1), g = numbers({rows, n}, dtype, 2);
    const Row p = softmax_rows(x).to_vector<double>(), slopes = g.to_vector<double>();
    Row of_softmax(p.size()), of_log(p.size());
    for (size_t i = 0; i < p.size(); ++i) {
      const size_t first = i / static_cast<size_t>(n) * static_cast<size_t>(n);
      double dot = 0, total = 0;
      for (size_t j = first; j < first + static_cast<size_t>(n); ++j) dot += p[j] * slopes[j], total += slopes[j];
      of_softmax[i] = p[i] * (slopes[i] - dot);
      of_log[i] = slopes[i] - p[i] * total;
    }
    expect_near(softmax_rows_gradient(g, softmax_rows(x)), of_softmax, tolerance);
    expect_near(log_softmax_rows_gradient(g, log_softmax_rows(x)), of_log, 10 * tolerance);
  });
}

TEST(Rows, NanMakesItsRowNan) {
  for (int64_t n : {3, 16, 21}) {
    for (int64_t at : {int64_t{0}, n - 1}) {
      std::vector<float> values(static_cast<size_t>(2 * n), 1.0f);
      values[static_cast<size_t>(at)] = NAN;
      const Tensor x = tensor(values, {2, n});
      for (const Tensor& y : {softmax_rows(x), log_softmax_rows(x)}) {
        const std::vector<float> out = y.to_vector<float>();
        for (int64_t i = 0; i < 2 * n; ++i) EXPECT_EQ(std::isnan(out[static_cast<size_t>(i)]), i < n) << i;
      }
    }
  }
}

TEST(Rows, SoftmaxNeitherOverflowsNorLosesWhatIsSmall) {
  const Tensor x = tensor(std::vector<float>{1000, 1000, -INFINITY, 800});
  EXPECT_EQ(softmax_rows(x).to_vector<float>(), (std::vector<float>{0.5f, 0.5f, 0, 0}));
  EXPECT_FLOAT_EQ(log_softmax_rows(x).to_vector<float>()[3], -200 - std::log(2.0f));
}

TEST(Rows, NormalizedRowsOfAnyLength) {
  for_each_case([](DType dtype, double tolerance, int64_t rows, int64_t n) {
    const Tensor x = numbers({rows, n}, dtype, 1), w = numbers({n}, dtype, 2), b = numbers({n}, dtype, 3);
    const Row weights = w.to_vector<double>(), biases = b.to_vector<double>();
    for (bool centre : {true, false}) {
      const Row wanted = each_row(x.to_vector<double>(), n, [&](Row& row) {
        const double count = static_cast<double>(n);
        const double mean = centre ? std::accumulate(row.begin(), row.end(), 0.0) / count : 0;
        double squares = 0;
        for (double v : row) squares += (v - mean) * (v - mean);
        for (size_t i = 0; i < row.size(); ++i)
          row[i] = (row[i] - mean) / std::sqrt(squares / count + 0.1) * weights[i] + biases[i];
      });
      expect_near(normalized_rows({n, 0.1, centre}, x, w, b), wanted, tolerance);
    }
  });
}

TEST(Rows, GradientsOfNormalizedRowsAreThoseOfDifferences) {
  for (int64_t n : {2, 5, 16, 19})
    for (bool centre : {true, false}) {
      const RowNorm norm{n, 0.1, centre};
      const Tensor x = numbers({3, n}, DType::f64, 1), w = numbers({n}, DType::f64, 2), b = numbers({n}, DType::f64, 3);
      const Tensor g = numbers({3, n}, DType::f64, 4);
      const auto loss = [&](const Tensor& x_, const Tensor& w_, const Tensor& b_) {
        const Row y = normalized_rows(norm, x_, w_, b_).to_vector<double>(), slopes = g.to_vector<double>();
        return std::inner_product(y.begin(), y.end(), slopes.begin(), 0.0);
      };
      const auto moved = [](const Tensor& t, size_t at, double by) {
        Row values = t.to_vector<double>();
        values[at] += by;
        return tensor(values, t.shape());
      };
      const RowNormGradients got = normalized_rows_gradients(norm, g, x, w, true, true, true);
      constexpr double kStep = 1e-6;
      for (size_t i = 0; i < static_cast<size_t>(3 * n); ++i)
        EXPECT_NEAR(got.x.to_vector<double>()[i],
                    (loss(moved(x, i, kStep), w, b) - loss(moved(x, i, -kStep), w, b)) / (2 * kStep), 1e-7);
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        EXPECT_NEAR(got.weight.to_vector<double>()[i],
                    (loss(x, moved(w, i, kStep), b) - loss(x, moved(w, i, -kStep), b)) / (2 * kStep), 1e-7);
        EXPECT_NEAR(got.bias.to_vector<double>()[i],
                    (loss(x, w, moved(b, i, kStep)) - loss(x, w, moved(b, i, -kStep))) / (2 * kStep), 1e-7);
      }
    }
}

TEST(Rows, SumsOfRowsOfAnyLength) {
  for_each_case([](DType dtype, double tolerance, int64_t, int64_t n) {
    for (int64_t rows : {0, 1, 7, 1000}) {
      const Tensor x = numbers({rows, n}, dtype, 1), out = make_tensor({n}, dtype);
      sum_of_rows(dtype, x.impl()->bytes(), rows, n, out.impl()->bytes());
      Row wanted(static_cast<size_t>(n));
      const Row values = x.to_vector<double>();
      for (size_t i = 0; i < values.size(); ++i) wanted[i % wanted.size()] += values[i];
      expect_near(out, wanted, 20 * tolerance);
    }
  });
}

TEST(Rows, LongSumsStayExact) {
  constexpr int64_t kRows = 100'000;
  const Tensor x = make_tensor({kRows, 3}, DType::f32), out = make_tensor({3}, DType::f32);
  std::fill_n(x.impl()->as<float>(), 3 * kRows, 0.1f);
  sum_of_rows(DType::f32, x.impl()->bytes(), kRows, 3, out.impl()->bytes());
  for (float sum : out.to_vector<float>()) EXPECT_NEAR(sum, 0.1f * kRows, 0.02);
}

}  // namespace
}  // namespace sm::kernels
