#include <gtest/gtest.h>

#include <cmath>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "sweep/cases.hpp"
#include "sweep/every_op.hpp"

namespace sm::sweep {
namespace {

constexpr GradcheckOptions kExact{.step = 1e-6, .tolerance = 1e-7, .seed = 11};

class OpGradients : public EveryOp {
 protected:
  // Cases with at least one floating-point input.
  std::vector<Case> cases() const {
    std::vector<Case> all;
    for (const Case& one : cases_of(op()))
      if (!one.shapes.empty() && is_floating(documented_dtype(one, draw_differentiable(one)))) all.push_back(one);
    return all;
  }
};

bool floating(const Tensor& x) { return is_floating(x.dtype()); }

// In float64 a cast to a narrower dtype is rounding, which differences can't see through.
bool narrows(const Case& one, const std::vector<Tensor>& inputs) { return documented_dtype(one, inputs) != DType::f64; }

void check(const std::string& what, const std::function<Tensor(const std::vector<Tensor>&)>& function,
           const std::vector<Tensor>& inputs, GradcheckOptions options) {
  try {
    gradcheck(function, inputs, options);
  } catch (const Error& error) {
    ADD_FAILURE() << what << ": " << error.what();
  }
}

TEST_P(OpGradients, AgreeWithDifferencesAlongRandomDirections) {
  if (!op().gradient.differentiable()) return;
  for (const Case& one : cases()) {
    const std::vector<Tensor> inputs = draw_differentiable(one);
    if (narrows(one, inputs)) continue;
    check(
        one.to_string(), [&](const std::vector<Tensor>& xs) { return run(one, xs); }, inputs, kExact);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!floating(inputs[i])) continue;
      const auto of_one = [&](const std::vector<Tensor>& x) {
        std::vector<Tensor> all = inputs;
        all[i] = x[0];
        return run(one, all);
      };
      check(one.to_string() + ", input " + std::to_string(i), of_one, {inputs[i]}, kExact);
    }
  }
}

Tensor unit(const Shape& shape, int64_t at, double value) {
  std::vector<double> values(static_cast<size_t>(elements_of(shape)), 0.0);
  values[static_cast<size_t>(at)] = value;
  return tensor(values, shape);
}

// Compares d out[i] / d inputs[k][j] for every i, j.
void expect_full_jacobian(const Case& one, const std::vector<Tensor>& inputs, size_t k) {
  constexpr double kStep = 1e-6;
  std::vector<Tensor> leaves = inputs;
  leaves[k] = inputs[k].copy().requires_grad(true);
  const Tensor out = run(one, leaves);
  // An input without a rule: the output is said not to vary with it.
  const bool varies = one.op.gradient.is_composed() || one.op.gradient.rule(k).function;
  ASSERT_EQ(out.requires_grad(), varies) << "input " << k;
  const int64_t rows = out.elements(), columns = inputs[k].elements();
  std::vector<std::vector<double>> backward;
  for (int64_t i = 0; i < rows; ++i) {
    Tensor gradient;
    if (varies) gradient = out.backward(unit(out.shape(), i, 1), {.retain_graph = true}).of(leaves[k]);
    backward.push_back(gradient.defined() ? gradient.to_vector<double>() : std::vector<double>(size_t(columns), 0.0));
    ASSERT_TRUE(!gradient.defined() || gradient.shape() == inputs[k].shape());
  }
  for (int64_t j = 0; j < columns; ++j) {
    std::vector<Tensor> ahead = inputs, behind = inputs;
    ahead[k] = inputs[k] + unit(inputs[k].shape(), j, kStep);
    behind[k] = inputs[k] - unit(inputs[k].shape(), j, kStep);
    const std::vector<double> up = run(one, ahead).to_vector<double>(), down = run(one, behind).to_vector<double>();
    for (int64_t i = 0; i < rows; ++i) {
      const double slope = (up[size_t(i)] - down[size_t(i)]) / (2 * kStep);
      ASSERT_NEAR(backward[size_t(i)][size_t(j)], slope, 1e-7 * std::max(1.0, std::abs(slope)))
          << "output " << i << ", input " << k << ", element " << j;
    }
  }
}

TEST_P(OpGradients, FullJacobianAgreesElementByElement) {
  if (!op().gradient.differentiable()) return;
  int checked = 0;
  for (const Case& one : cases()) {
    const std::vector<Tensor> inputs = draw_differentiable(one);
    if (narrows(one, inputs)) continue;
    const int64_t rows = run(one, inputs).elements();
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (!floating(inputs[k]) || rows * inputs[k].elements() > 6000) continue;
      SCOPED_TRACE(one.to_string());
      expect_full_jacobian(one, inputs, k);
      if (HasFailure()) return;
      ++checked;
    }
  }
  EXPECT_GT(checked, 0) << "no sample case is small enough";
}

// The gradient of the inputs along a fixed direction, as a function of the inputs and the output's gradient.
Tensor gradient_along(const Case& one, const std::vector<Tensor>& inputs_and_jacobian) {
  std::vector<Tensor> leaves = inputs_and_jacobian;
  for (Tensor& leaf : leaves)
    if (leaf.defined() && floating(leaf) && !leaf.requires_grad()) leaf = leaf.copy().requires_grad(true);
  const Tensor jacobian = leaves.back();
  leaves.pop_back();
  const Gradients gradients = run(one, leaves).backward(jacobian, {.create_graph = true});
  Tensor total = zeros({}, DType::f64);
  for (size_t i = 0; i < leaves.size(); ++i) {
    const Tensor gradient = gradients.of(leaves[i]);
    if (gradient.defined()) total = total + sum(gradient * direction(gradient.shape(), 40 + i));
  }
  return total;
}

TEST_P(OpGradients, SecondDerivativesAgreeWithDifferences) {
  if (!op().gradient.differentiable() || !op().samples.smooth) return;
  for (const Case& one : cases()) {
    std::vector<Tensor> inputs = draw_differentiable(one);
    if (narrows(one, inputs)) continue;
    inputs.push_back(direction(run(one, inputs).shape(), 12));
    check(one.to_string(), [&](const std::vector<Tensor>& xs) { return gradient_along(one, xs); }, inputs,
          {.step = 1e-6, .tolerance = 1e-6, .seed = 13});
  }
}

TEST_P(OpGradients, LayoutDoesNotMatter) {
  if (!op().gradient.differentiable()) return;
  for (const Case& one : cases()) {
    const std::vector<Tensor> inputs = draw_differentiable(one);
    for (Layout layout : kLayouts) {
      // The spread of equal values is all rounding, and so is the slope there.
      if (op().name == "std" && (layout == Layout::kBroadcastFirst || layout == Layout::kBroadcastLast)) continue;
      SCOPED_TRACE(one.to_string() + ", layout " + std::to_string(int(layout)));
      std::vector<Tensor> views, copies;
      for (const Tensor& input : inputs) {
        views.push_back(relaid(input, layout));
        copies.push_back(views.back().copy());
        if (floating(input)) views.back().requires_grad(true), copies.back().requires_grad(true);
      }
      const Tensor out = run(one, copies);
      const Tensor jacobian = relaid(direction(out.shape(), 3), layout);
      const Gradients plain = out.backward(jacobian.copy()), strided = run(one, views).backward(jacobian);
      for (size_t i = 0; i < inputs.size(); ++i) {
        const Tensor expected = plain.of(copies[i]), got = strided.of(views[i]);
        ASSERT_EQ(got.defined(), expected.defined());
        if (expected.defined()) expect_same(got, expected);
      }
    }
  }
}

TEST_P(OpGradients, HaveTheShapeAndDTypeOfTheirInput) {
  if (!op().gradient.differentiable()) return;
  for (const Case& one : cases()) {
    for (DType dtype : {DType::f16, DType::bf16, DType::f32}) {
      SCOPED_TRACE(one.to_string() + " on " + std::string(name_of(dtype)));
      std::vector<Tensor> inputs = *draw(one, dtype);
      for (const Tensor& input : inputs)
        if (floating(input)) input.requires_grad(true);
      const Tensor out = run(one, inputs);
      for (const auto& [leaf, gradient] : out.backward(ones(out.shape(), out.dtype()))) {
        EXPECT_EQ(gradient.shape(), leaf.shape());
        EXPECT_EQ(gradient.dtype(), dtype);
      }
    }
  }
}

TEST_P(OpGradients, RowsWithoutAGradientEndTheGraph) {
  if (op().gradient.differentiable()) return;
  for (const Case& one : cases_of(op())) {
    for (DType dtype : admitted(op())) {
      auto inputs = one.shapes.empty() ? std::vector<Tensor>() : draw(one, dtype).value_or(std::vector<Tensor>());
      if (inputs.size() != one.shapes.size()) continue;
      for (const Tensor& input : inputs)
        if (floating(input)) input.requires_grad(true);
      Tensor out;
      try {
        out = run(one, inputs);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kDTypeMismatch) << error.what();
        continue;
      }
      EXPECT_FALSE(out.requires_grad()) << one.to_string();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sweep, OpGradients, every_op(), name_of_case);

}  // namespace
}  // namespace sm::sweep
