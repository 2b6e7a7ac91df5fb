#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/parallel.hpp"
#include "shumai/autograd.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm {
namespace {

struct Case {
  Shape query, key, value, mask;
  bool causal = false;
  bool boolean_mask = false;
};

// float32 has kernels of its own, which float64 hasn't.
struct Operands {
  Tensor query, key, value, mask, gradient;

  Operands(const Case& c, DType dtype) {
    manual_seed(7);
    const auto draw = [&](const Shape& shape) { return astype(randn(shape, DType::f64), dtype).requires_grad(true); };
    query = draw(c.query), key = draw(c.key), value = draw(c.value);
    if (!c.mask.empty()) {
      const Tensor drawn = randn(c.mask, DType::f64);
      mask = c.boolean_mask ? gt(drawn, 0) : astype(drawn, dtype);
    }
    Shape out = c.query;
    out[out.size() - 1] = c.value[c.value.size() - 1];
    gradient = astype(randn(out, DType::f64), dtype);
  }
};

void expect_close(const Tensor& got, const Tensor& wanted, const char* what) {
  ASSERT_EQ(got.shape(), wanted.shape()) << what;
  const std::vector<double> a = got.to_vector<double>(), b = wanted.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-5 * (1 + std::abs(b[i]))) << what << " at " << i;
}

void expect_agreement(const Case& c) {
  SCOPED_TRACE(c.query.to_string() + " " + c.key.to_string() + (c.causal ? " causal" : ""));
  const Operands single(c, DType::f32), exact(c, DType::f64);
  const auto run = [&](const Operands& x) { return attention(x.query, x.key, x.value, x.mask, c.causal); };
  const Tensor got = run(single), wanted = run(exact);
  expect_close(got, wanted, "forward");
  const Gradients ours = got.backward(single.gradient), theirs = wanted.backward(exact.gradient);
  expect_close(single.query.grad(), exact.query.grad(), "query");
  expect_close(single.key.grad(), exact.key.grad(), "key");
  expect_close(single.value.grad(), exact.value.grad(), "value");
}

TEST(Attention, AFewQueriesAtATimeAgreeWithAllScoresAtOnce) {
  const int before = kernels::num_threads();
  for (int threads : {1, 3}) {
    kernels::set_num_threads(threads);
    for (bool causal : {false, true}) {
      expect_agreement({{3, 4}, {5, 4}, {5, 2}, {}, causal});
      expect_agreement({{1, 1}, {1, 1}, {1, 1}, {}, causal});
      expect_agreement({{2, 3, 130, 16}, {2, 3, 90, 16}, {2, 3, 90, 24}, {}, causal});
      expect_agreement({{2, 3, 130, 16}, {2, 3, 130, 16}, {2, 3, 130, 8}, {2, 1, 1, 130}, causal, true});
      expect_agreement({{2, 70, 8}, {2, 65, 8}, {2, 65, 8}, {70, 65}, causal});
      expect_agreement({{4, 200, 32}, {4, 200, 32}, {4, 200, 32}, {}, causal});
    }
  }
  kernels::set_num_threads(before);
}

TEST(Attention, ViewsOfHeadsAreReadInPlace) {
  manual_seed(1);
  const Tensor all = randn({2, 70, 3, 4, 8});
  const auto part = [&](int64_t i) { return transpose(reshape(slice(all, 2, i, i + 1), {2, 70, 4, 8}), {0, 2, 1, 3}); };
  const auto plain = [&](int64_t i) { return contiguous(part(i)); };
  expect_close(attention(part(0), part(1), part(2)), attention(plain(0), plain(1), plain(2)), "views");
}

TEST(Attention, AQueryThatSeesNothingGetsZerosAndNoGradient) {
  const float never = -std::numeric_limits<float>::infinity();
  const Tensor q = randn({2, 3}).requires_grad(true), k = randn({2, 3}), v = randn({2, 3});
  const Tensor mask = tensor(std::vector<float>{never, never, 0, 0}, {2, 2});
  const Tensor out = attention(q, k, v, mask);
  out.backward(ones({2, 3}));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(out.to_vector<float>()[i], 0);
    EXPECT_EQ(q.grad().to_vector<float>()[i], 0);
  }
  EXPECT_NE(out.to_vector<float>()[3], 0);
}

TEST(Attention, NanReachesTheQueriesThatSeeIt) {
  Tensor q = ones({3, 2}), k = tensor(std::vector<float>{1, 1, 1, 1, NAN, 1}, {3, 2}), v = ones({3, 1});
  const std::vector<float> all = attention(q, k, v).to_vector<float>();
  for (float x : all) EXPECT_TRUE(std::isnan(x));
  const std::vector<float> causal = attention(q, k, v, {}, true).to_vector<float>();
  EXPECT_EQ(causal[0], 1);
  EXPECT_EQ(causal[1], 1);
  EXPECT_TRUE(std::isnan(causal[2]));
}

TEST(Attention, AMaskOfFloatsGetsAGradient) {
  const Case c{{2, 3, 4}, {2, 5, 4}, {2, 5, 4}, {3, 5}};
  const Operands single(c, DType::f32), exact(c, DType::f64);
  for (const Operands* x : {&single, &exact}) {
    x->mask.requires_grad(true);
    attention(x->query, x->key, x->value, x->mask).backward(x->gradient);
  }
  expect_close(single.mask.grad(), exact.mask.grad(), "mask");
}

}  // namespace
}  // namespace sm
