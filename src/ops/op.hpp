#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "shumai/tensor.hpp"

// One row declares an op: its name in both languages, its arguments, its
// documentation, how it is computed, its gradient, a float64 reference and
// sample inputs. The C++ functions and methods, the JavaScript bindings,
// docs/ops.md and the sweep test all come from the rows.
namespace sm::ops {

// The value of an argument that isn't a tensor. std::monostate: not given.
using Attr = std::variant<std::monostate, bool, int64_t, double, Dims, DType, std::string>;
using Attrs = std::span<const Attr>;
using Inputs = std::span<const Tensor* const>;

enum class ArgKind : uint8_t { kTensor, kOptionalTensor, kTensors, kBool, kInt, kFloat, kDims, kDType, kString };

struct Arg {
  std::string_view name;
  ArgKind kind = ArgKind::kTensor;
  Attr fallback{};  // used when the caller leaves it out; std::monostate: it must be given
  bool optional = false;
  bool index = false;  // a tensor of integers, whatever the others are
};

inline Arg tensor_arg(std::string_view name) { return {name, ArgKind::kTensor, {}, false}; }
inline Arg index_arg(std::string_view name) { return {name, ArgKind::kTensor, {}, false, true}; }
inline Arg optional_tensor_arg(std::string_view name) { return {name, ArgKind::kOptionalTensor, {}, true}; }
inline Arg tensors_arg(std::string_view name) { return {name, ArgKind::kTensors, {}, false}; }
inline Arg bool_arg(std::string_view name, bool fallback) { return {name, ArgKind::kBool, fallback, true}; }
inline Arg int_arg(std::string_view name) { return {name, ArgKind::kInt, {}, false}; }
inline Arg int_arg(std::string_view name, int64_t fallback) { return {name, ArgKind::kInt, fallback, true}; }
inline Arg float_arg(std::string_view name) { return {name, ArgKind::kFloat, {}, false}; }
inline Arg float_arg(std::string_view name, double fallback) { return {name, ArgKind::kFloat, fallback, true}; }
inline Arg dims_arg(std::string_view name) { return {name, ArgKind::kDims, {}, false}; }
inline Arg dims_arg(std::string_view name, Dims fallback) { return {name, ArgKind::kDims, fallback, true}; }
inline Arg dtype_arg(std::string_view name) { return {name, ArgKind::kDType, {}, false}; }
inline Arg dtype_arg(std::string_view name, DType fallback) { return {name, ArgKind::kDType, fallback, true}; }
inline Arg string_arg(std::string_view name) { return {name, ArgKind::kString, {}, false}; }
inline Arg string_arg(std::string_view name, std::string fallback) {
  return {name, ArgKind::kString, std::move(fallback), true};
}

struct Op;

// One use of an op: what forward sees. Tensor arguments and the others are
// numbered separately, each from 0 in the order of the row's arguments.
struct Call {
  const Op& op;
  Inputs inputs;
  Attrs attrs;

  const Tensor& in(int i) const { return *inputs[i]; }
  int count() const { return static_cast<int>(inputs.size()); }
  bool flag(int i) const { return std::get<bool>(attrs[i]); }
  int64_t integer(int i) const { return std::get<int64_t>(attrs[i]); }
  double number(int i) const { return std::get<double>(attrs[i]); }
  const Dims& dims(int i) const { return std::get<Dims>(attrs[i]); }
  DType dtype(int i) const { return std::get<DType>(attrs[i]); }
  const std::string& text(int i) const { return std::get<std::string>(attrs[i]); }
};

class OpNode;

// What a gradient rule sees: the gradient of the output, and those inputs and
// the output that the rule said it reads.
class GradientCall {
 public:
  GradientCall(OpNode& node, const Tensor& gradient, int index) : gradient(gradient), node_(node), index_(index) {}

  const Tensor& gradient;

  const Tensor& in(int i) const;  // never the gradient itself: it may be a leaf
  Tensor out() const;
  const Shape& shape(int i) const;      // of an input, always known
  DType dtype(int i) const;             // of an input, always known
  int index() const { return index_; }  // the input whose gradient is asked for
  bool has(int i) const;                // whether an optional input was given, and saved
  bool wants(int i) const;              // whether anything needs the gradient of an input
  // Whether an input is a matrix that lies column by column, as a transposed weight does. Its gradient had better, too:
  // what transposes it back is then contiguous.
  bool is_transposed(int i) const;
  int count() const;
  bool flag(int i) const { return std::get<bool>(attr(i)); }
  int64_t integer(int i) const { return std::get<int64_t>(attr(i)); }
  double number(int i) const { return std::get<double>(attr(i)); }
  const Dims& dims(int i) const { return std::get<Dims>(attr(i)); }
  const std::string& text(int i) const { return std::get<std::string>(attr(i)); }

 private:
  const Attr& attr(int i) const;
  OpNode& node_;
  int index_;
};

// What a gradient rule reads, saved by the graph until backward.
enum Reads : uint32_t { kNothing = 0, kIn0 = 1, kIn1 = 2, kIn2 = 4, kIn3 = 8, kAllInputs = 0xffff, kOut = 1u << 31 };

// The gradient of one input. A null function: the output doesn't vary with this input.
struct InputRule {
  uint32_t reads = kNothing;
  Tensor (*function)(const GradientCall&) = nullptr;
};

// The gradients of all inputs that are wanted at once, in a pass that isn't itself recorded: kernels that share work
// between them, and take some dtypes only. It reads what the rules read. False: nothing was done, ask the rules.
using JointRule = bool (*)(const GradientCall&, std::span<Tensor> input_gradients);

// How an op is differentiated. A row can't be written without saying.
// A rule may return the shape that broadcasting gave; it is summed down to the input's.
class Gradient {
 public:
  Gradient(std::initializer_list<InputRule> rules) : rules_(rules) {}
  Gradient(std::initializer_list<InputRule> rules, JointRule joint) : rules_(rules), joint_(joint) {}
  // The output doesn't vary with the inputs, for `reason`.
  static Gradient none(std::string_view reason) { return Gradient(false, reason); }
  // Forward is made of differentiable ops.
  static Gradient composed() { return Gradient(true, ""); }

  bool has_rules() const { return !rules_.empty(); }
  bool is_composed() const { return composed_; }
  bool differentiable() const { return composed_ || has_rules(); }
  std::string_view reason() const { return reason_; }
  // The last rule serves any further inputs, as in concatenate.
  const InputRule& rule(size_t i) const { return rules_[i < rules_.size() ? i : rules_.size() - 1]; }
  JointRule joint() const { return joint_; }

 private:
  Gradient(bool composed, std::string_view reason) : composed_(composed), reason_(reason) {}
  std::vector<InputRule> rules_;
  JointRule joint_ = nullptr;
  bool composed_ = false;
  std::string_view reason_;
};

// A float64 array for references: row-major, no graph, no views.
struct RefArray {
  Shape shape;
  std::vector<double> data;
};

struct RefCall {
  std::vector<RefArray> inputs;
  std::vector<Attr> attrs;
  size_t output = 0;  // which one is asked for, of an op with several
  const RefArray& in(int i) const { return inputs[i]; }
  bool flag(int i) const { return std::get<bool>(attrs[i]); }
  int64_t integer(int i) const { return std::get<int64_t>(attrs[i]); }
  double number(int i) const { return std::get<double>(attrs[i]); }
  const Dims& dims(int i) const { return std::get<Dims>(attrs[i]); }
  const std::string& text(int i) const { return std::get<std::string>(attrs[i]); }
};

// What the op should compute, written apart from the kernels and as plainly as can be.
class Reference {
 public:
  template <std::convertible_to<double (*)(double)> F>
  Reference(F unary) : unary_(unary) {}
  template <std::convertible_to<double (*)(double, double)> F>
  Reference(F binary) : binary_(binary) {}
  template <std::convertible_to<RefArray (*)(const RefCall&)> F>
  Reference(F general) : general_(general) {}
  // Nothing to compare with: random values, or no fixed result.
  static Reference none() { return Reference(); }

  bool exists() const { return unary_ || binary_ || general_; }
  RefArray operator()(const RefCall& call) const;

 private:
  Reference() = default;
  double (*unary_)(double) = nullptr;
  double (*binary_)(double, double) = nullptr;
  RefArray (*general_)(const RefCall&) = nullptr;
};

// Inputs that the sweep tries. Values are drawn from [low, high), whole numbers for integer inputs.
struct Range {
  double low = -2;
  double high = 2;
  bool integer = false;  // an index: drawn as int64
};

struct Sample {
  std::vector<Shape> shapes;
  std::vector<Attr> attrs;
};

struct Samples {
  std::vector<Range> ranges;  // per input; the last serves the rest
  std::vector<Sample> cases;
  bool smooth = true;  // second derivatives exist on the ranges
};

enum class DTypes : uint8_t { kAny, kNumeric, kFloating, kIntegral };

struct Op {
  std::string_view name;  // C++; snake_case
  std::string_view js;    // JavaScript; further names after spaces are aliases
  std::vector<Arg> args;
  std::string_view doc;  // shapes, dtypes, errors; the paper behind a formula
  Tensor (*forward)(const Call&) = nullptr;
  // In its place, for an op that gives several tensors; made of other ops, which
  // record themselves. `outputs` says what they are, as in "values, int64
  // indices"; the last serves the rest.
  std::vector<Tensor> (*forward_many)(const Call&) = nullptr;
  std::string_view outputs;
  Gradient gradient;
  Reference reference;
  Samples samples;
  DTypes dtypes = DTypes::kNumeric;
};

// Computes `op` and, where an input requires gradients, records it. The one
// way into every op.
Tensor run(const Op& op, Inputs inputs, Attrs attrs);
// The same for an op with several outputs.
std::vector<Tensor> run_many(const Op& op, Inputs inputs, Attrs attrs);

// All rows, in the order of the documentation. Built on first use.
std::span<const Op* const> table();
// Throws Error (kNotFound). The pointer lives for ever.
const Op& find(std::string_view name);

// The rows of each family; table() joins them. Cold: they run once, so their code had better be small than fast.
[[gnu::cold]] std::span<const Op> make_ops();
[[gnu::cold]] std::span<const Op> unary_ops();
[[gnu::cold]] std::span<const Op> activation_ops();
[[gnu::cold]] std::span<const Op> binary_ops();
[[gnu::cold]] std::span<const Op> compare_ops();
[[gnu::cold]] std::span<const Op> reduce_ops();
[[gnu::cold]] std::span<const Op> softmax_ops();
[[gnu::cold]] std::span<const Op> shape_ops();
[[gnu::cold]] std::span<const Op> matmul_ops();
[[gnu::cold]] std::span<const Op> conv_ops();
[[gnu::cold]] std::span<const Op> index_ops();
[[gnu::cold]] std::span<const Op> window_ops();
[[gnu::cold]] std::span<const Op> gather_ops();
[[gnu::cold]] std::span<const Op> sort_ops();
[[gnu::cold]] std::span<const Op> scan_ops();
[[gnu::cold]] std::span<const Op> rearrange_ops();
[[gnu::cold]] std::span<const Op> nn_ops();
[[gnu::cold]] std::span<const Op> random_ops();
[[gnu::cold]] std::span<const Op> conv1d_ops();
[[gnu::cold]] std::span<const Op> linalg_ops();
[[gnu::cold]] std::span<const Op> einsum_ops();
[[gnu::cold]] std::span<const Op> attention_ops();

}  // namespace sm::ops
