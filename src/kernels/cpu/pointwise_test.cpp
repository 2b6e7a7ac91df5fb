#include "kernels/pointwise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

#include "kernels/cpu/expression.hpp"
#include "shumai/autograd.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"

namespace sm::kernels {
namespace {

// Records from the first element on.
class Recorded : public ::testing::Test {
 protected:
  Recorded() { set_recording_threshold(1); }
  ~Recorded() override { set_recording_threshold(usual_); }

 private:
  int64_t usual_ = recording_threshold();
};

bool is_pending(const Tensor& x) { return x.impl()->pending().get() != nullptr; }

Tensor ramp(const Shape& shape, DType dtype = DType::f32) {
  return astype(reshape(arange(0, double(elements_of(shape)), 1), shape), dtype) * 0.01 - 1.5;
}

Tensor settled(const Tensor& x) {
  x.impl()->storage();
  return x;
}

TEST_F(Recorded, ChainIsComputedWhenSomebodyLooks) {
  const Tensor x = settled(ramp({40, 100}));
  const Tensor middle = sm::tanh(x * 2.0), y = middle + x;
  EXPECT_TRUE(is_pending(middle));
  EXPECT_TRUE(is_pending(y));
  const auto got = y.to_vector<float>();
  EXPECT_FALSE(is_pending(y));
  EXPECT_TRUE(is_pending(middle)) << "cheap to compute again, so it isn't stored";
  const auto from = x.to_vector<float>();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], std::tanh(2 * from[i]) + from[i], 1e-6);
}

TEST_F(Recorded, LongChainsBeginWithFewerElements) {
  set_recording_threshold(8000);
  const Tensor x = settled(ramp({2000})), few = settled(ramp({1999}));
  EXPECT_FALSE(is_pending(x * x));
  const LongChains guard;
  EXPECT_TRUE(is_pending(x * x));
  EXPECT_FALSE(is_pending(few * few));
  set_recording_threshold(INT64_MAX);
  EXPECT_FALSE(is_pending(x * x));
}

TEST_F(Recorded, ResultsEqualThoseOfOneOperationAtATimeBitByBit) {
  for (DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = settled(ramp({7, 300}, dtype)), row = settled(ramp({300}, dtype)),
                 column = settled(ramp({7, 1}, dtype));
    const auto chain = [&] {
      const Tensor a = x * row + column, b = exp(-square(a)) / (absolute(column) + 1.5);
      return where(logical_and(gt(a, b), lt(x, 1.0)), sigmoid(a) * b, maximum(a, row) - 0.25);
    };
    const Tensor fused = settled(chain());
    set_recording_threshold(INT64_MAX);
    const Tensor eager = chain();
    set_recording_threshold(1);
    EXPECT_EQ(fused.to_vector<double>(), eager.to_vector<double>());
  }
}

TEST_F(Recorded, UpdateDoesNotReachWhatWasRecordedBefore) {
  const Tensor weight = ramp({200}).copy(), before = weight.copy();
  const Tensor y = weight * 3.0;
  ASSERT_TRUE(is_pending(y));
  weight.update(zeros({200}));
  const auto got = y.to_vector<float>(), expected = (before * 3.0).to_vector<float>();
  EXPECT_EQ(got, expected);
}

TEST_F(Recorded, ResultCanBeTheValueOfAWeight) {
  const Tensor weight = ramp({200}).copy().requires_grad(true);
  const Tensor next = weight.detach() * 0.5;
  weight.update(next);
  EXPECT_EQ(weight.to_vector<float>(), next.to_vector<float>());
  EXPECT_EQ(sm::sum(weight * 2.0).backward().of(weight).to_vector<float>(), std::vector<float>(200, 2.0f));
}

TEST_F(Recorded, BooleansComeOutAsBooleans) {
  const Tensor x = settled(ramp({3, 100}));
  const Tensor positive = gt(x, 0), as_number = astype(positive, DType::f32),
               inside = logical_and(positive, isfinite(x));
  EXPECT_TRUE(is_pending(as_number));
  EXPECT_EQ(positive.dtype(), DType::boolean);
  const auto values = x.to_vector<float>(), numbers = as_number.to_vector<float>();
  const auto flags = positive.to_vector<bool>(), both = inside.to_vector<bool>();
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(flags[i], values[i] > 0);
    EXPECT_EQ(both[i], values[i] > 0);
    EXPECT_EQ(numbers[i], values[i] > 0 ? 1 : 0);
  }
}

TEST_F(Recorded, StoredBooleansAndViewsAreOperands) {
  const Tensor x = settled(ramp({20, 30})), turned = transpose(settled(ramp({30, 20})), {1, 0});
  const Tensor flags = settled(gt(x, 0));
  ASSERT_FALSE(is_pending(flags));
  const Tensor y = where(flags, turned, -x) + expand(settled(ramp({30})), {20, 30});
  const auto got = y.to_vector<float>(), xs = x.to_vector<float>(), ts = turned.to_vector<float>(),
             rows = ramp({30}).to_vector<float>();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], (xs[i] > 0 ? ts[i] : -xs[i]) + rows[i % 30]) << i;
}

TEST_F(Recorded, LongChainsAreComputedOnTheWay) {
  Tensor x = settled(ramp({500}));
  const auto start = x.to_vector<float>();
  for (int i = 0; i < 1000; ++i) x = x + 1.0;
  Tensor doubling = settled(ramp({500}));
  for (int i = 0; i < 100; ++i) doubling = (doubling + doubling) * 0.5;
  const auto got = x.to_vector<float>();
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], start[i] + 1000, 1e-2);
  EXPECT_EQ(doubling.to_vector<float>(), start);
}

TEST_F(Recorded, CostlyResultThatIsHeldIsStoredOnTheWay) {
  const Tensor x = settled(ramp({500}));
  const Tensor costly = exp(tanh(sigmoid(x))), y = costly * 2.0;
  settled(y);
  EXPECT_TRUE(static_cast<Expression*>(costly.impl()->pending().get())->computed());
}

TEST_F(Recorded, LeavesGetTheirGradientsInOnePass) {
  const Tensor a = settled(ramp({400})).detach().requires_grad(true),
               b = settled(ramp({400})).detach().requires_grad(true);
  const Gradients gradients = sm::sum(sm::tanh(a * b)).backward();
  EXPECT_FALSE(is_pending(gradients.of(a)));
  EXPECT_FALSE(is_pending(gradients.of(b)));
  const auto got = gradients.of(a).to_vector<double>(), values = a.to_vector<double>();
  for (size_t i = 0; i < got.size(); ++i) {
    const double t = std::tanh(values[i] * values[i]);
    EXPECT_NEAR(got[i], (1 - t * t) * values[i], 1e-5);
  }
}

TEST_F(Recorded, SeveralThreadsMayLookAtOnce) {
  for (int round = 0; round < 50; ++round) {
    const Tensor x = settled(ramp({3000}));
    const Tensor middle = exp(x), y = middle + x, z = middle * x;
    std::vector<std::thread> threads;
    for (const Tensor& one : {y, z, middle, y})
      threads.emplace_back([one] { EXPECT_EQ(one.to_vector<float>().size(), 3000u); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ((y - middle).to_vector<float>(), ((middle + x) - middle).to_vector<float>());
  }
}

TEST_F(Recorded, GraphThatIsNeverLookedAtIsNeverComputed) {
  const size_t before = util::Buffer::bytes_in_use();
  {
    const Tensor x = settled(ramp({100'000}));
    const size_t with_x = util::Buffer::bytes_in_use();
    const Tensor y = exp(x) + x;
    EXPECT_LT(util::Buffer::bytes_in_use(), with_x + 1000);
  }
  EXPECT_EQ(util::Buffer::bytes_in_use(), before);
}

TEST(Recording, SmallTensorsAndIntegersAreComputedAtOnce) {
  EXPECT_FALSE(is_pending(ramp({10}) + 1.0));
  const Tensor whole = astype(zeros({100'000}), DType::i64);
  EXPECT_FALSE(is_pending(whole + whole));
  EXPECT_TRUE(is_pending(zeros({100'000}) + 1.0));
}

TEST(Recording, ForeignMemoryIsReadAtOnce) {
  std::vector<float> memory(100'000, 1.0f);
  const Tensor x = make_from_buffer(util::Buffer::wrap(memory.data(), memory.size() * 4, nullptr, true), 0,
                                    Shape{100'000}, DType::f32);
  const Tensor y = x + 1.0;
  memory[7] = 5;
  EXPECT_EQ(y.to_vector<float>()[7], 2.0f);
}

}  // namespace
}  // namespace sm::kernels
