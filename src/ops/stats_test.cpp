#include "shumai/stats.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

double flops(const Stats& stats, const std::string& op) { return stats.operations().at(op).flops; }

TEST(Stats, CountsWhatRunsInItsScopeOnly) {
  const Tensor a = ones({2, 3});
  const Stats stats = collect([&] { a + a; });
  a + a;
  const auto operations = stats.operations();
  ASSERT_EQ(operations.size(), 1u);
  const Stats::Entry& add = operations.at("add");
  EXPECT_EQ(add.count, 1u);
  EXPECT_EQ(add.bytes, 24u);
  EXPECT_EQ(add.flops, 6);
  EXPECT_GT(add.nanoseconds, 0u);
}

TEST(Stats, MatrixProductsCountTwoForEachProduct) {
  const Stats stats = collect([] { matmul(ones({5, 2, 3}), ones({3, 4})); });
  EXPECT_EQ(flops(stats, "matmul"), 2 * 5 * 2 * 3 * 4);
}

TEST(Stats, ConvolutionsAndTheirGradientsCountTheSame) {
  const Tensor x = ones({2, 4, 6, 6}).requires_grad(true), filter = ones({8, 2, 3, 3}).requires_grad(true);
  const Stats stats = collect([&] { conv2d(x, filter, {}, {1, 1}, {0, 0}, {1, 1}, 2).backward(ones({2, 8, 4, 4})); });
  const double expected = 2.0 * (8 * 2 * 3 * 3) * 2 * 4 * 4;
  EXPECT_EQ(flops(stats, "conv2d"), expected);
  EXPECT_EQ(flops(stats, "conv2d_input_gradient"), expected);
  EXPECT_EQ(flops(stats, "conv2d_filter_gradient"), expected);
}

TEST(Stats, ViewsHaveNoBytesAndMovingNoFlops) {
  const Tensor a = ones({4, 4});
  const Stats stats = collect([&] {
    reshape(a, {16});
    concatenate({a, a}, 0);
  });
  const auto operations = stats.operations();
  EXPECT_EQ(operations.at("reshape").bytes, 0u);
  EXPECT_EQ(operations.at("concatenate").bytes, 128u);
  EXPECT_EQ(stats.total().flops, 0);
}

TEST(Stats, LinearCountsItsProducts) {
  const Tensor x = ones({2, 3}), weight = ones({3, 4}), bias = ones({4});
  const auto operations = collect([&] { linear(x, weight, bias); }).operations();
  EXPECT_EQ(operations.at("linear").flops, 48);
  EXPECT_EQ(operations.size(), 1u);
}

TEST(Stats, AnOpMadeOfOthersLeavesTheWorkToThem) {
  const Tensor x = ones({2, 3}), weight = ones({3, 4});
  const Stats stats = collect([&] { einsum("ij,jk->ik", {x, weight}); });
  const auto operations = stats.operations();
  EXPECT_EQ(operations.at("einsum").count, 1u);
  EXPECT_EQ(operations.at("einsum").flops, 0);
  EXPECT_EQ(operations.at("einsum").bytes, 0u);
  EXPECT_EQ(operations.at("matmul").flops, 48);
}

TEST(Stats, TheInnerScopeTakesOver) {
  const Tensor a = ones({2});
  Stats inner;
  const Stats outer = collect([&] {
    exp(a);
    collect(inner, [&] { exp(a); });
    exp(a);
  });
  EXPECT_EQ(outer.total().count, 2u);
  EXPECT_EQ(inner.total().count, 1u);
}

TEST(Stats, AFailedOperationDoesNotCount) {
  Stats stats;
  EXPECT_THROW(collect(stats, [] { matmul(ones({2, 3}), ones({2, 3})); }), Error);
  EXPECT_FALSE(stats.operations().contains("matmul"));
  collect(stats, [] { ones({2}); });
  EXPECT_EQ(stats.operations().at("ones").count, 3u);
}

TEST(Stats, OtherThreadsCountInAScopeOfAllThreads) {
  const Tensor a = ones({2});
  Stats mine, all;
  {
    const Stats::Scope everywhere(all, Stats::Threads::kAll);
    const Stats::Scope here(mine);
    std::thread([&] { exp(a); }).join();
    log(a);
    EXPECT_TRUE(Stats::of_all_threads());
  }
  EXPECT_FALSE(Stats::of_all_threads());
  EXPECT_TRUE(all.operations().contains("exp"));
  EXPECT_FALSE(all.operations().contains("log"));
  EXPECT_TRUE(mine.operations().contains("log"));
}

TEST(Stats, ManyThreadsLoseNothing) {
  const Tensor a = ones({2});
  Stats stats;
  const Stats::Scope everywhere(stats, Stats::Threads::kAll);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) exp(a);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stats.operations().at("exp").count, 2000u);
}

TEST(Stats, JsonMergesBackAndAddsUp) {
  Stats stats = collect([] { matmul(ones({2, 3}), ones({3, 2})); });
  const auto once = stats.total();
  stats.merge(Json::parse(stats.to_json().dump()));
  EXPECT_EQ(stats.total().count, 2 * once.count);
  EXPECT_EQ(stats.total().nanoseconds, 2 * once.nanoseconds);
  EXPECT_EQ(flops(stats, "matmul"), 48);
  stats.reset();
  EXPECT_EQ(stats.total(), Stats::Entry{});
  EXPECT_FALSE(stats.period());
}

TEST(Stats, ThePeriodGoesFromTheFirstOperationToTheLast) {
  Stats stats;
  EXPECT_FALSE(stats.period());
  const auto before = std::chrono::system_clock::now();
  collect(stats, [] { ones({2}); });
  const auto first = stats.period();
  ASSERT_TRUE(first);
  EXPECT_LE(before, first->begin);
  collect(stats, [] { ones({2}); });
  EXPECT_EQ(stats.period()->begin, first->begin);
  EXPECT_GT(stats.period()->end, first->end);
}

TEST(Stats, WhatIsNoStatisticsIsRefusedWhole) {
  Stats stats;
  EXPECT_THROW(stats.merge(Json(3)), Error);
  EXPECT_THROW(stats.merge(Json::parse(R"({"add": {"count": 1, "nanoseconds": 1, "bytes": 1, "flops": 1},
                                           "mul": {"count": -1, "nanoseconds": 1, "bytes": 1, "flops": 1}})")),
               Error);
  EXPECT_TRUE(stats.operations().empty());
}

}  // namespace
}  // namespace sm
