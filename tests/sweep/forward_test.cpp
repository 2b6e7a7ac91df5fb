#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "shumai/error.hpp"
#include "sweep/cases.hpp"
#include "sweep/every_op.hpp"
#include "sweep/random_rows.hpp"

namespace sm::sweep {
namespace {

class OpTable : public EveryOp {};

// Runs the case and compares result and dtype with what the row says.
void expect_reference(const Case& one, const std::vector<Tensor>& inputs) {
  const Tensor got = run(one, inputs);
  ASSERT_EQ(name_of(got.dtype()), name_of(documented_dtype(one, inputs)));
  expect_close(got, reference(one, inputs), one.op.dtypes == ops::DTypes::kIntegral);
}

void expect_rejected(const Case& one, const std::vector<Tensor>& inputs) {
  try {
    run(one, inputs);
    ADD_FAILURE() << "accepted a dtype that its row rules out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kDTypeMismatch) << error.what();
    EXPECT_EQ(std::string_view(error.what()).find(std::string(one.op.name) + ": "), 0u) << error.what();
  }
}

TEST_P(OpTable, MatchesItsReferenceInEveryDType) {
  if (!op().reference.exists()) return;
  for (const Case& one : cases_of(op())) {
    if (one.shapes.empty()) {
      SCOPED_TRACE(one.to_string());
      expect_reference(one, {});
      continue;
    }
    int tried = 0;
    for (DType dtype : admitted(op())) {
      SCOPED_TRACE(one.to_string() + " on " + std::string(name_of(dtype)));
      const auto inputs = draw(one, dtype);
      if (!inputs) continue;
      ++tried;
      if (dtype == DType::boolean && op().dtypes == ops::DTypes::kIntegral) {
        // Some ops of integers have no meaning on truth values.
        try {
          run(one, *inputs);
        } catch (const Error&) {
          expect_rejected(one, *inputs);
          continue;
        }
      }
      expect_reference(one, *inputs);
      if (HasFailure()) return;
    }
    EXPECT_GT(tried, 0) << one.to_string();
  }
}

TEST_P(OpTable, RejectsOtherDTypesByName) {
  const bool floats = op().dtypes == ops::DTypes::kFloating, integers = op().dtypes == ops::DTypes::kIntegral;
  if (!floats && !integers) return;
  for (const Case& one : cases_of(op())) {
    SCOPED_TRACE(one.to_string());
    if (one.shapes.empty()) continue;
    if (const auto inputs = draw(one, floats ? DType::i32 : DType::f32)) expect_rejected(one, *inputs);
  }
}

TEST_P(OpTable, BooleansAreComputedOrRejectedByName) {
  if (op().dtypes != ops::DTypes::kNumeric) return;
  for (const Case& one : cases_of(op())) {
    SCOPED_TRACE(one.to_string());
    const auto inputs = one.shapes.empty() ? std::nullopt : draw(one, DType::boolean);
    if (!inputs) continue;
    Tensor got;
    try {
      got = run(one, *inputs);
    } catch (const Error&) {
      expect_rejected(one, *inputs);
      continue;
    }
    expect_close(got, reference(one, *inputs));
    if (HasFailure()) return;
  }
}

// Replaces some inputs (a mask) by the same values in another layout.
std::vector<Tensor> relaid_some(const std::vector<Tensor>& inputs, Layout layout, unsigned mask) {
  std::vector<Tensor> out = inputs;
  for (size_t i = 0; i < out.size(); ++i)
    if (mask >> i & 1) out[i] = relaid(inputs[i], layout);
  return out;
}

TEST_P(OpTable, LayoutOfTheInputsDoesNotMatter) {
  if (!op().reference.exists()) return;
  for (const Case& one : cases_of(op())) {
    for (DType dtype : admitted(op())) {
      const auto inputs = one.shapes.empty() || dtype == DType::boolean ? std::nullopt : draw(one, dtype);
      if (!inputs) continue;
      for (Layout layout : kLayouts) {
        for (unsigned mask = 1; mask < 1u << inputs->size(); ++mask) {
          SCOPED_TRACE(one.to_string() + " on " + std::string(name_of(dtype)) + ", layout " +
                       std::to_string(int(layout)) + " of inputs " + std::to_string(mask));
          const std::vector<Tensor> views = relaid_some(*inputs, layout, mask);
          std::vector<Tensor> copies;
          for (const Tensor& view : views) copies.push_back(view.copy());
          expect_same(run(one, views), run(one, copies));
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST_P(OpTable, InputsStayAsTheyWere) {
  for (const Case& one : cases_of(op())) {
    const auto inputs = one.shapes.empty() ? std::nullopt : draw(one, admitted(op()).back());
    if (!inputs) continue;
    std::vector<std::vector<double>> before;
    for (const Tensor& input : *inputs) before.push_back(input.to_vector<double>());
    run(one, *inputs);
    for (size_t i = 0; i < inputs->size(); ++i)
      EXPECT_EQ((*inputs)[i].to_vector<double>(), before[i]) << one.to_string();
  }
}

TEST_P(OpTable, RowIsComplete) {
  EXPECT_FALSE(op().doc.empty());
  EXPECT_TRUE(op().doc.empty() || op().doc.back() == '.') << op().doc;
  EXPECT_FALSE(op().js.empty());
  ASSERT_NE(op().forward == nullptr, op().forward_many == nullptr);
  EXPECT_EQ(op().outputs.empty(), op().forward != nullptr);
  EXPECT_FALSE(op().forward_many && op().gradient.has_rules()) << "several outputs have no rules, compose them";
  const bool random = random_rows().count(std::string(op().name)) > 0;
  EXPECT_EQ(op().reference.exists(), !random) << "a row without a reference needs its own test in random_test.cpp";
  EXPECT_TRUE(random || !op().samples.cases.empty());
  EXPECT_TRUE(op().gradient.differentiable() || !op().gradient.reason().empty());
  size_t attrs = 0;
  for (const ops::Arg& arg : op().args) attrs += arg.kind > ops::ArgKind::kTensors;
  for (const ops::Sample& sample : op().samples.cases) {
    EXPECT_EQ(sample.attrs.size(), attrs);
    EXPECT_TRUE(sample.shapes.empty() || !op().samples.ranges.empty());
  }
}

TEST(OpNames, NoTwoRowsShareOne) {
  std::set<std::string> cpp, js;
  for (const ops::Op* op : ops::table()) {
    EXPECT_TRUE(cpp.insert(std::string(op->name)).second) << op->name;
    std::istringstream names{std::string(op->js)};
    for (std::string name; names >> name;) EXPECT_TRUE(js.insert(name).second) << name << " of " << op->name;
    EXPECT_EQ(&ops::find(op->name), op);
  }
  EXPECT_GE(cpp.size(), 60u);
}

INSTANTIATE_TEST_SUITE_P(Sweep, OpTable, every_op(), name_of_case);

}  // namespace
}  // namespace sm::sweep
