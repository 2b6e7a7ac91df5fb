#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "kernels/pointwise.hpp"
#include "ops/op.hpp"

namespace sm::sweep {

// A test of every row of the op table: each as small tensors are computed, and
// recorded and fused as large ones are.
class EveryOp : public testing::TestWithParam<std::tuple<const ops::Op*, bool>> {
 protected:
  void SetUp() override { kernels::set_recording_threshold(std::get<bool>(GetParam()) ? 1 : INT64_MAX); }
  void TearDown() override { kernels::set_recording_threshold(usual_); }
  const ops::Op& op() const { return *std::get<0>(GetParam()); }

 private:
  int64_t usual_ = kernels::recording_threshold();
};

inline auto every_op() {
  return testing::Combine(testing::ValuesIn(ops::table().begin(), ops::table().end()), testing::Bool());
}

inline std::string name_of_case(const testing::TestParamInfo<EveryOp::ParamType>& info) {
  return std::string(std::get<0>(info.param)->name) + (std::get<bool>(info.param) ? "_recorded" : "");
}

}  // namespace sm::sweep
