#include <gtest/gtest.h>

#include <functional>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

struct Mistake {
  const char* name;
  ErrorCode code;
  std::vector<const char*> parts;  // what the message must say
  std::function<void()> make;
};

class OpMistakes : public testing::TestWithParam<Mistake> {};

TEST_P(OpMistakes, AreToldWithOpAndWhatCame) {
  try {
    GetParam().make();
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), GetParam().code) << error.what();
    for (const char* part : GetParam().parts)
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << '"' << part << "\" isn't in: " << error.what();
  }
}

const Tensor& x23() {
  static const Tensor x = zeros({2, 3});
  return x;
}
Tensor ints() { return zeros({2}, DType::i32); }

std::vector<Mistake> mistakes() {
  constexpr auto kShape = ErrorCode::kShapeMismatch;
  constexpr auto kDType = ErrorCode::kDTypeMismatch;
  constexpr auto kArgument = ErrorCode::kInvalidArgument;
  constexpr auto kRange = ErrorCode::kOutOfRange;
  return {
      {"AddShapes",
       kShape,
       {"add: ", "[2, 3]", "[2, 4]", "equal or 1"},
       [] {
         x23() + zeros({2, 4});
       }},
      {"CompareShapes",
       kShape,
       {"lt: ", "[2, 3]", "[3, 3]"},
       [] {
         lt(x23(), zeros({3, 3}));
       }},
      {"WhereShapes", kShape, {"where: ", "[2, 3]", "[4]"}, [] { where(x23(), zeros({4}), 0.0); }},
      {"SumAxis", kRange, {"sum: ", "axis 2", "2 dimensions"}, [] { sum(x23(), 2); }},
      {"SumAxisTwice",
       kArgument,
       {"sum: ", "axis -1", "twice"},
       [] {
         sum(x23(), {1, -1});
       }},
      {"MaxOfNothing",
       kShape,
       {"amax: ", "[0, 3]"},
       [] {
         amax(zeros({0, 3}), 0);
       }},
      {"ArgmaxOfNothing", kShape, {"argmax: ", "at least one"}, [] { argmax(zeros({0})); }},
      {"ArgmaxAxes",
       kArgument,
       {"argmax: ", "[0, 1]"},
       [] {
         argmax(x23(), {0, 1});
       }},
      {"SoftmaxAxis", kRange, {"softmax: ", "axis 5"}, [] { softmax(x23(), 5); }},
      {"SoftmaxAxisOfNothing",
       kRange,
       {"log_softmax: ", "axis 5"},
       [] {
         log_softmax(zeros({0, 3}), 5);
       }},
      {"VarianceAxis", kRange, {"variance: ", "axis 2"}, [] { variance(x23(), 2); }},
      {"StdAxis", kRange, {"std: ", "axis 2"}, [] { sm::std(x23(), 2); }},
      {"StackAxis", kRange, {"stack: ", "axis 3"}, [] { stack({x23()}, 3); }},
      {"ReshapeOverflow",
       ErrorCode::kTooLarge,
       {"1099511627776"},
       [] {
         reshape(x23(), {int64_t{1} << 40, int64_t{1} << 40, -1});
       }},
      {"PadOverflow", ErrorCode::kTooLarge, {"pad: "}, [] { pad(zeros({2}), INT64_MAX, INT64_MAX); }},
      {"ReshapeSize",
       kShape,
       {"reshape: ", "[4, 2]", "[2, 3]", "6"},
       [] {
         reshape(x23(), {4, 2});
       }},
      {"ReshapeUnknown",
       kShape,
       {"reshape: ", "[4, -1]", "[2, 3]"},
       [] {
         reshape(x23(), {4, -1});
       }},
      {"ReshapeTwoUnknown",
       kArgument,
       {"reshape: ", "at most one -1"},
       [] {
         reshape(x23(), {-1, -1});
       }},
      {"ReshapeNegative",
       kArgument,
       {"reshape: ", "[-2, 3]"},
       [] {
         reshape(x23(), {-2, 3});
       }},
      {"TransposeAxes",
       kArgument,
       {"transpose: ", "[0, 0]"},
       [] {
         transpose(x23(), {0, 0});
       }},
      {"TransposeRank", kArgument, {"transpose: ", "[0]"}, [] { transpose(x23(), {0}); }},
      {"ExpandSize",
       kShape,
       {"expand: ", "[2, 3]", "[2, 4]"},
       [] {
         expand(x23(), {2, 4});
       }},
      {"ExpandRank", kShape, {"expand: ", "[2, 3]", "[3]"}, [] { expand(x23(), {3}); }},
      {"SqueezeSize", kShape, {"squeeze: ", "axis 0", "[2, 3]"}, [] { squeeze(x23(), 0); }},
      {"UnsqueezeAxis", kRange, {"unsqueeze: ", "axis 4"}, [] { unsqueeze(x23(), 4); }},
      {"SliceStep", kArgument, {"slice: ", "step"}, [] { slice(x23(), 0, 0, 1, 0); }},
      {"SliceRankZero", kShape, {"slice: ", "rank-0"}, [] { slice(scalar(1.f), 0, 0, 1); }},
      {"UnsliceShape",
       kShape,
       {"unslice: ", "[1, 3]", "[2, 3]"},
       [] {
         unslice(x23(), {4, 3}, 0, 0, 1);
       }},
      {"SumToShape", kShape, {"sum_to: ", "[2]", "[2, 3]"}, [] { sum_to(x23(), {2}); }},
      {"ConcatenateShapes",
       kShape,
       {"concatenate: ", "[2, 3]", "[2, 4]", "axis 0"},
       [] {
         concatenate({x23(), zeros({2, 4})});
       }},
      {"ConcatenateRanks",
       kShape,
       {"concatenate: ", "[2, 3]", "[3]"},
       [] {
         concatenate({x23(), zeros({3})});
       }},
      {"ConcatenateNothing", kArgument, {"concatenate: "}, [] { concatenate({}); }},
      {"ConcatenateRankZero", kShape, {"concatenate: ", "stack"}, [] { concatenate({scalar(1.f)}); }},
      {"StackShapes",
       kShape,
       {"stack: ", "[2, 3]", "[2]"},
       [] {
         stack({x23(), zeros({2})});
       }},
      {"StackNothing", kArgument, {"stack: ", "at least one"}, [] { stack({}); }},
      {"PadRank", kArgument, {"pad: ", "2 axes", "[1]"}, [] { pad(x23(), {1}, {1}); }},
      {"PadNegative",
       kArgument,
       {"pad: ", "[-1, 0]"},
       [] {
         pad(x23(), {-1, 0}, {0, 0});
       }},
      {"NegateBooleans", kDType, {"negative: ", "bool"}, [] { -tensor({true}); }},
      {"ShiftFloats", kDType, {"l_shift: ", "float32"}, [] { l_shift(x23(), ints()); }},
      {"ShiftBooleans", kDType, {"r_shift: ", "bool"}, [] { r_shift(tensor({true}), tensor({true})); }},
      {"BitwiseFloats", kDType, {"bitwise_not: ", "float32"}, [] { bitwise_not(x23()); }},
      {"OneHotFloats", kDType, {"one_hot: ", "float32"}, [] { one_hot(x23(), 3); }},
      {"OneHotLabel",
       kRange,
       {"one_hot: ", "label 3", "0 to 2"},
       [] {
         one_hot(tensor({0, 3}), 3);
       }},
      {"OneHotNegative", kRange, {"one_hot: ", "label -1"}, [] { one_hot(tensor({-1}), 3); }},
      {"OneHotClasses", kArgument, {"one_hot: ", "0"}, [] { one_hot(ints(), 0); }},
      {"ArangeStep", kArgument, {"arange: "}, [] { arange(0, 1, 0); }},
      {"LinspaceSteps", kArgument, {"linspace: ", "-1"}, [] { linspace(0, 1, -1); }},
      {"IdentitySize", kArgument, {"identity: ", "-2"}, [] { identity(-2); }},
      {"RandIntegers", kDType, {"rand: ", "int32"}, [] { rand({2}, DType::i32); }},
      {"TooManyElements",
       ErrorCode::kTooLarge,
       {"[1099511627776, 1099511627776]"},
       [] {
         zeros({int64_t{1} << 40, int64_t{1} << 40});
       }},
  };
}

INSTANTIATE_TEST_SUITE_P(Ops, OpMistakes, testing::ValuesIn(mistakes()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sm
