#include <gtest/gtest.h>

#include <functional>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/random.hpp"

namespace sm {
namespace {

std::string message(const std::function<void()>& mistake) {
  try {
    mistake();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Einsum, KeepsIntegersAndWrapsAround) {
  const Tensor x = tensor({{100, 100}, {1, 2}}).astype(DType::i8);
  const Tensor rows = einsum("ij->i", {x});
  EXPECT_EQ(rows.dtype(), DType::i8);
  EXPECT_EQ(rows.to_vector<int>(), (std::vector<int>{-56, 3}));
}

TEST(Einsum, OfAnEllipsisThatTheResultLeavesOutSumsOverIt) {
  const Tensor x = ones({2, 3, 4});
  EXPECT_EQ(einsum("...i->i", {x}).to_vector<float>(), std::vector<float>(4, 6.f));
}

TEST(Einsum, OfCapitalsComesBeforeSmallLetters) {
  const Tensor x = tensor({{1.f, 2.f}, {3.f, 4.f}});
  EXPECT_EQ(einsum("aB", {x}).to_vector<float>(), (std::vector<float>{1, 3, 2, 4}));
}

TEST(Einsum, OfAChainNeverBuildsTheLargestProduct) {
  // Left to right would make 4096 x 4096 x 64 numbers of the first pair.
  manual_seed(1);
  const Tensor a = randn({4096, 1}), b = randn({64, 4096}), c = randn({4096, 1});
  const Tensor out = einsum("ai,bc,cj->bij", {a, b, c});
  const Tensor expected = matmul(b, c).reshape({64, 1, 1}) * sum(a);
  EXPECT_LT(amax(abs(out - expected)).item<double>(), 1e-2);
}

TEST(EinsumMistakes, NameTheEquationAndTheShapes) {
  const Tensor x = zeros({2, 3});
  EXPECT_EQ(message([&] { einsum("ij,jk", {x}); }), "einsum: \"ij,jk\" has 2 operands, got 1");
  EXPECT_EQ(message([&] { einsum("ijk", {x}); }), "einsum: \"ijk\" of \"ijk\" needs 3 axes, got [2, 3]");
  EXPECT_EQ(message([&] {
              einsum("ij,jk", {x, x});
            }),
            "einsum: \"ij,jk\" gives axis j the sizes 3 and 2, the latter in [2, 3]");
  EXPECT_EQ(message([&] { einsum("ii", {x}); }), "einsum: \"ii\" gives axis i the sizes 2 and 3, the latter in [2, 3]");
  EXPECT_EQ(message([&] {
              einsum("ii", {zeros({1, 3})});
            }),
            "einsum: a diagonal needs axes of one size, got [1, 3] for \"ii\"");
  EXPECT_EQ(message([&] { einsum("ij->ik", {x}); }), "einsum: \"ij->ik\" has 'k' in the result but in no operand");
  EXPECT_EQ(message([&] { einsum("ij->ii", {x}); }), "einsum: \"ij->ii\" has 'i' twice in the result");
  EXPECT_EQ(message([&] { einsum("i2", {x}); }),
            "einsum: \"i2\" must be made of letters, commas, \"...\" and \"->\", got '2'");
  EXPECT_EQ(message([&] { einsum("ij", {astype(x, DType::boolean)}); }), "einsum: expects numbers, got bool");
  EXPECT_EQ(message([&] { einsum("", {}); }), "einsum: expects at least one tensor");
}

}  // namespace
}  // namespace sm
