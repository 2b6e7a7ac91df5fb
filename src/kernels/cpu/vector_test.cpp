#include "kernels/cpu/vector.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace sm::kernels {
namespace {

struct Named {
  const char* name;
  Unary kind;
  double (*exact)(double);
  double most;  // units in the last place of a float
};

const Named kFunctions[] = {
    {"exp", Unary::kExp, [](double x) { return std::exp(x); }, 2},
    {"expm1", Unary::kExpm1, [](double x) { return std::expm1(x); }, 4},
    {"log", Unary::kLog, [](double x) { return std::log(x); }, 4},
    {"log1p", Unary::kLog1p, [](double x) { return std::log1p(x); }, 4},
    {"sqrt", Unary::kSqrt, [](double x) { return std::sqrt(x); }, 0.5},
    {"rsqrt", Unary::kRsqrt, [](double x) { return 1 / std::sqrt(x); }, 1.5},
    {"reciprocal", Unary::kReciprocal, [](double x) { return 1 / x; }, 0.5},
    {"tanh", Unary::kTanh, [](double x) { return std::tanh(x); }, 3},
    {"erf", Unary::kErf, [](double x) { return std::erf(x); }, 2},
    {"floor", Unary::kFloor, [](double x) { return std::floor(x); }, 0},
    {"ceil", Unary::kCeil, [](double x) { return std::ceil(x); }, 0},
    {"rint", Unary::kRint, [](double x) { return std::nearbyint(x); }, 0},
    {"trunc", Unary::kTrunc, [](double x) { return std::trunc(x); }, 0},
};

double ulp(double exact) {
  const float near = std::abs(static_cast<float>(exact));
  if (std::isinf(near)) return std::ldexp(1.0, 104);
  return static_cast<double>(std::nextafter(near, INFINITY)) - static_cast<double>(near);
}

void expect_near(const Named& function, float x, float got) {
  const double exact = function.exact(static_cast<double>(x));
  if (std::isnan(exact)) {
    EXPECT_TRUE(std::isnan(got)) << function.name << "(" << x << ") = " << got;
  } else if (std::isinf(static_cast<float>(exact)) || std::isinf(got)) {
    EXPECT_EQ(got, static_cast<float>(exact)) << function.name << "(" << x << ")";
  } else {
    // Results below the normal floats lose digits in any implementation.
    EXPECT_LE(std::abs(static_cast<double>(got) - exact), function.most * ulp(exact) + 1e-44)
        << function.name << "(" << x << ") = " << got << ", not " << exact;
  }
}

TEST(VectorMath, IsWithinAFewUnitsInTheLastPlaceOverAllFloats) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 26407) x.push_back(std::bit_cast<float>(uint32_t(bits)));
  for (float special : {0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, 88.7f, 88.8f, -103.9f, -104.1f, 1e-45f})
    x.push_back(special);
  std::vector<float> got(x.size());
  for (const Named& function : kFunctions) {
    const float* in[] = {x.data()};
    map_of<float>(function.kind)(in, got.data(), x.size());
    for (size_t i = 0; i < x.size() && !::testing::Test::HasFailure(); ++i) expect_near(function, x[i], got[i]);
  }
}

TEST(VectorMath, SinesAndCosinesHoldForSmallAndLargeAngles) {
  std::vector<float> x;
  for (float v = 1e-6f; v < 1e30f; v *= 1.0371f) x.insert(x.end(), {v, -v});
  std::vector<float> sines(x.size()), cosines(x.size());
  const float* in[] = {x.data()};
  map_of<float>(Unary::kSin)(in, sines.data(), x.size());
  map_of<float>(Unary::kCos)(in, cosines.data(), x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(sines[i], std::sin(double(x[i])), 3e-7) << x[i];
    EXPECT_NEAR(cosines[i], std::cos(double(x[i])), 3e-7) << x[i];
  }
}

TEST(VectorMath, SigmoidAndSoftplusDoNotOverflow) {
  const std::vector<float> x{-1000, -100, -1, -0.0f, 0, 1, 100, 1000, -INFINITY, INFINITY, NAN};
  std::vector<float> gates(x.size()), soft(x.size());
  const float* in[] = {x.data()};
  map_of<float>(Unary::kSigmoid)(in, gates.data(), x.size());
  map_of<float>(Unary::kSoftplus)(in, soft.data(), x.size());
  for (size_t i = 0; i + 1 < x.size(); ++i) {
    const double v = x[i];
    EXPECT_NEAR(gates[i], v >= 0 ? 1 / (1 + std::exp(-v)) : std::exp(v) / (1 + std::exp(v)), 1e-7) << v;
    const double exact = std::max(v, 0.0) + std::log1p(std::exp(-std::abs(v)));
    if (std::isinf(exact))
      EXPECT_EQ(soft[i], exact);
    else
      EXPECT_NEAR(soft[i], exact, 2e-7 * std::max(1.0, exact)) << v;
  }
  EXPECT_TRUE(std::isnan(gates.back()));
  EXPECT_TRUE(std::isnan(soft.back()));
}

template <class T>
class VectorRuns : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(VectorRuns, Types);

TYPED_TEST(VectorRuns, GiveAnElementTheSameResultWhereverItStands) {
  using T = TypeParam;
  constexpr size_t kMost = 67;
  std::vector<T> x(kMost), whole(kMost);
  for (size_t i = 0; i < kMost; ++i) x[i] = T(0.37) * T(int(i) - 30);
  for (int kind = 0; kind <= int(Unary::kTrunc); ++kind) {
    const Map<T> map = map_of<T>(Unary(kind));
    if (!map) continue;
    const T* in[] = {x.data()};
    map(in, whole.data(), kMost);
    for (size_t begin : {0u, 1u, 5u, 31u})
      for (size_t n : {1u, 3u, 8u, 15u, 16u, 17u, 33u}) {
        std::vector<T> part(n + 1, T(77));
        const T* at[] = {x.data() + begin};
        map(at, part.data(), n);
        for (size_t i = 0; i < n; ++i)
          EXPECT_TRUE(part[i] == whole[begin + i] || (std::isnan(part[i]) && std::isnan(whole[begin + i])))
              << kind << " of " << x[begin + i] << " at " << i << " of " << n;
        EXPECT_EQ(part[n], T(77)) << "wrote past the end";
      }
  }
}

TYPED_TEST(VectorRuns, TakeAFixedOperandOnEitherSide) {
  using T = TypeParam;
  const std::vector<T> x{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
  const T two = 2;
  std::vector<T> out(x.size());
  const T* left[] = {&two, x.data()};
  const T* right[] = {x.data(), &two};
  map_of<T>(Binary::kSub, Fixed::kFirst)(left, out.data(), x.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(out[i], 2 - x[i]);
  map_of<T>(Binary::kDiv, Fixed::kSecond)(right, out.data(), x.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(out[i], x[i] / 2);
  map_of<T>(Compare::kLt, Fixed::kFirst)(left, out.data(), x.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(out[i], x[i] > 2 ? 1 : 0);
}

TYPED_TEST(VectorRuns, NanDiffersFromEverythingAndIsTrue) {
  using T = TypeParam;
  const std::vector<T> a{NAN, 1, NAN, 1, 0}, b{NAN, NAN, 0, 1, 0};
  std::vector<T> out(a.size());
  const T* in[] = {a.data(), b.data()};
  const auto gives = [&](Compare kind) {
    map_of<T>(kind, Fixed::kNone)(in, out.data(), a.size());
    return out;
  };
  EXPECT_EQ(gives(Compare::kNeq), (std::vector<T>{1, 1, 1, 0, 0}));
  EXPECT_EQ(gives(Compare::kEq), (std::vector<T>{0, 0, 0, 1, 1}));
  EXPECT_EQ(gives(Compare::kGte), (std::vector<T>{0, 0, 0, 1, 1}));
  EXPECT_EQ(gives(Compare::kLogicalAnd), (std::vector<T>{1, 1, 0, 1, 0}));
  EXPECT_EQ(gives(Compare::kLogicalXor), (std::vector<T>{0, 0, 1, 0, 0}));
}

TYPED_TEST(VectorRuns, ExtremesAreNanWhenEitherIs) {
  using T = TypeParam;
  const std::vector<T> a{1, NAN, 3, NAN}, b{2, 2, NAN, NAN};
  std::vector<T> out(a.size());
  const T* in[] = {a.data(), b.data()};
  for (Binary kind : {Binary::kMaximum, Binary::kMinimum}) {
    map_of<T>(kind, Fixed::kNone)(in, out.data(), a.size());
    EXPECT_EQ(out[0], kind == Binary::kMaximum ? 2 : 1);
    for (size_t i = 1; i < out.size(); ++i) EXPECT_TRUE(std::isnan(out[i])) << i;
  }
}

}  // namespace
}  // namespace sm::kernels
