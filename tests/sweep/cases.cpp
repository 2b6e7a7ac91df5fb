#include "sweep/cases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "tensor/impl.hpp"

namespace sm::sweep {
namespace {

using ops::Arg;
using ops::ArgKind;
using ops::Attr;
using ops::Op;
using ops::Range;
using ops::RefArray;

std::string text_of(const Attr& attr) {
  struct Printer {
    std::string operator()(std::monostate) const { return "-"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return std::to_string(value); }
    std::string operator()(const Dims& value) const { return value.to_string(); }
    std::string operator()(DType value) const { return std::string(name_of(value)); }
    std::string operator()(const std::string& value) const { return value; }
  };
  return std::visit(Printer{}, attr);
}

// The place of the dtype argument among the attributes.
std::optional<size_t> dtype_attr(const Op& op) {
  size_t place = 0;
  for (const Arg& arg : op.args) {
    if (arg.kind == ArgKind::kDType) return place;
    if (arg.kind > ArgKind::kTensors) ++place;
  }
  return std::nullopt;
}

const Range& range_of(const Op& op, size_t input) {
  return op.samples.ranges[std::min(input, op.samples.ranges.size() - 1)];
}

uint64_t draw_seed = 0;

std::mt19937_64 generator(const Case& one, size_t salt) {
  std::seed_seq seed{std::hash<std::string_view>{}(one.op.name), one.number, salt, draw_seed};
  return std::mt19937_64(seed);
}

double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// The whole numbers of [low, high) that `dtype` holds, as first and last; nothing when there are none.
std::optional<std::pair<int64_t, int64_t>> whole_numbers(const Range& range, DType dtype) {
  double low = std::ceil(range.low), high = std::ceil(range.high) - 1;
  if (!is_signed(dtype)) low = std::max(low, 0.0);
  if (dtype == DType::boolean) high = std::min(high, 1.0);
  if (low > high) return std::nullopt;
  return std::pair(static_cast<int64_t>(low), static_cast<int64_t>(high));
}

Tensor filled(const Shape& shape, DType dtype, const std::function<double()>& next) {
  std::vector<double> values(static_cast<size_t>(elements_of(shape)));
  for (double& value : values) value = next();
  return detail::cast(tensor(values, shape), dtype);
}

// Keeps numbers that a kinked function can be differentiated at.
class ClearOfKinks {
 public:
  ClearOfKinks(const Case& one, double width, int64_t count)
      : gap_(std::min(1e-3, width / (16.0 * double(count + 1)))) {
    for (const Attr& attr : one.attrs)
      if (const double* value = std::get_if<double>(&attr)) taken_.push_back(*value);
  }

  bool accept(double x, size_t input) {
    const auto near_whole = [&](double v) { return std::abs(v - std::round(v)) < gap_; };
    if (near_whole(2 * x)) return false;
    for (double other : taken_)
      if (std::abs(x - other) < gap_) return false;
    for (const auto& [other, from] : drawn_)
      if (from != input && (near_whole(x / other) || near_whole(other / x))) return false;
    taken_.push_back(x);
    if (drawn_.size() < 64) drawn_.emplace_back(x, input);
    return true;
  }

 private:
  double gap_;
  std::vector<double> taken_;
  std::vector<std::pair<double, size_t>> drawn_;
};

double rounding(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return 0x1p-11;
    case DType::bf16:
      return 0x1p-8;
    case DType::f32:
      return 0x1p-24;
    default:
      return 0x1p-53;
  }
}

// A float64 result as an integer tensor would hold it: towards zero, wrapped around.
int64_t wrapped(double value, DType dtype) {
  if (std::isnan(value)) return 0;
  const int64_t whole = static_cast<int64_t>(value);
  const Tensor held = detail::cast(tensor(std::vector<int64_t>{whole}), dtype);
  return held.to_vector<int64_t>()[0];
}

// One case a sample, and one more for each dtype that a dtype argument may be.
std::vector<Case> calls_of(const Op& op) {
  std::vector<Case> cases;
  const auto place = dtype_attr(op);
  for (size_t i = 0; i < op.samples.cases.size(); ++i) {
    const ops::Sample& sample = op.samples.cases[i];
    cases.push_back({op, sample.shapes, sample.attrs, i});
    if (!place) continue;
    for (int dtype = 0; dtype < kDTypeCount; ++dtype) {
      cases.push_back({op, sample.shapes, sample.attrs, i});
      cases.back().attrs[*place] = static_cast<DType>(dtype);
    }
  }
  return cases;
}

// Every output of one case.
std::vector<Tensor> run_all(const Case& one, const std::vector<Tensor>& inputs) {
  static const Tensor kLeftOut;
  std::vector<const Tensor*> pointers;
  pointers.reserve(inputs.size());
  for (const Tensor& input : inputs) pointers.push_back(&input);
  size_t wanted = 0;
  for (const Arg& arg : one.op.args) wanted += arg.kind == ArgKind::kTensor || arg.kind == ArgKind::kOptionalTensor;
  while (pointers.size() < wanted) pointers.push_back(&kLeftOut);
  if (one.op.forward_many) return ops::run_many(one.op, pointers, one.attrs);
  return {ops::run(one.op, pointers, one.attrs)};
}

}  // namespace

void seed_draws(uint64_t seed) { draw_seed = seed; }

std::string Case::to_string() const {
  std::string text = std::string(op.name) + " #" + std::to_string(number);
  for (const Shape& shape : shapes) text += " " + shape.to_string();
  text += " (";
  for (size_t i = 0; i < attrs.size(); ++i) text += (i ? ", " : "") + text_of(attrs[i]);
  return text + ")" + (op.forward_many ? ", output " + std::to_string(output) : "");
}

std::vector<Case> cases_of(const Op& op) {
  std::vector<Case> calls = calls_of(op);
  if (!op.forward_many) return calls;
  std::vector<Case> cases;
  for (Case one : calls) {
    const size_t count = run_all(one, *draw(one, DType::f64)).size();
    for (one.output = 0; one.output < count; ++one.output) cases.push_back(one);
  }
  return cases;
}

std::vector<DType> admitted(const Op& op) {
  std::vector<DType> dtypes;
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = static_cast<DType>(i);
    const bool fits = op.dtypes == ops::DTypes::kAny || (op.dtypes == ops::DTypes::kFloating && is_floating(dtype)) ||
                      (op.dtypes == ops::DTypes::kIntegral && is_integral(dtype)) ||
                      (op.dtypes == ops::DTypes::kNumeric && dtype != DType::boolean);
    if (fits) dtypes.push_back(dtype);
  }
  return dtypes;
}

bool is_index(const Op& op, size_t input) {
  const bool all =
      std::all_of(op.samples.ranges.begin(), op.samples.ranges.end(), [](const Range& r) { return r.integer; });
  return !all && range_of(op, input).integer;
}

std::optional<std::vector<Tensor>> draw(const Case& one, DType dtype) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < one.shapes.size(); ++i) {
    const Range& range = range_of(one.op, i);
    const DType mine = is_index(one.op, i) ? DType::i64 : dtype;
    auto random = generator(one, i);
    if (range.integer || is_integral(mine)) {
      const auto span = whole_numbers(range, mine);
      if (!span) return std::nullopt;
      const uint64_t count = static_cast<uint64_t>(span->second - span->first + 1);
      inputs.push_back(filled(one.shapes[i], mine, [&] { return double(span->first) + double(random() % count); }));
    } else {
      inputs.push_back(
          filled(one.shapes[i], mine, [&] { return range.low + (range.high - range.low) * uniform(random); }));
    }
  }
  return inputs;
}

std::vector<Tensor> draw_differentiable(const Case& one) {
  std::vector<Tensor> inputs = *draw(one, DType::f64);
  if (one.op.samples.smooth) return inputs;
  int64_t count = 0;
  for (const Tensor& input : inputs) count += input.elements();
  double width = 1e300;
  for (const Range& range : one.op.samples.ranges)
    if (!range.integer) width = std::min(width, range.high - range.low);
  ClearOfKinks kinks(one, width, count);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Range& range = range_of(one.op, i);
    if (range.integer) continue;
    auto random = generator(one, 100 + i);
    inputs[i] = filled(one.shapes[i], DType::f64, [&] {
      while (true)
        if (const double x = range.low + (range.high - range.low) * uniform(random); kinks.accept(x, i)) return x;
    });
  }
  return inputs;
}

Tensor direction(const Shape& shape, uint64_t seed) {
  std::mt19937_64 random(seed);
  return filled(shape, DType::f64, [&] { return 2 * uniform(random) - 1; });
}

Tensor run(const Case& one, const std::vector<Tensor>& inputs) { return run_all(one, inputs)[one.output]; }

RefArray reference(const Case& one, const std::vector<Tensor>& inputs) {
  ops::RefCall call{{}, one.attrs, one.output};
  for (const Tensor& input : inputs) call.inputs.push_back({input.shape(), input.to_vector<double>()});
  return one.op.reference(call);
}

// What the row calls the output of the case.
static std::string_view output_name(const Case& one) {
  std::string_view names = one.op.outputs;
  for (size_t i = 0; i < one.output; ++i)
    if (const size_t comma = names.find(", "); comma != std::string_view::npos) names.remove_prefix(comma + 2);
  return names.substr(0, names.find(", "));
}

DType documented_dtype(const Case& one, const std::vector<Tensor>& inputs) {
  if (const auto place = dtype_attr(one.op)) return std::get<DType>(one.attrs[*place]);
  if (output_name(one).starts_with("int64")) return DType::i64;
  const std::string_view doc = one.op.doc;
  const auto says = [&](std::string_view words) { return doc.find(words) != std::string_view::npos; };
  if (says("; boolean")) return DType::boolean;
  if (says("; int64")) return DType::i64;
  if (says("; float32")) return DType::f32;
  std::optional<DType> common;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!is_index(one.op, i)) common = common ? promote(*common, inputs[i].dtype()) : inputs[i].dtype();
  if (is_integral(*common)) {
    if (says("ntegers give float32") || says("ntegers are divided as float32")) return DType::f32;
    if (says("give int64")) return DType::i64;
  }
  return *common;
}

void expect_close(const Tensor& got, const RefArray& expected, bool low_bit_of_booleans) {
  ASSERT_EQ(got.shape(), expected.shape) << "got " << got.shape().to_string() << ", expected "
                                         << expected.shape.to_string();
  const DType dtype = got.dtype();
  if (is_integral(dtype)) {
    const std::vector<int64_t> values = got.to_vector<int64_t>();
    for (size_t i = 0; i < values.size(); ++i) {
      const double x = expected.data[i];
      const int64_t want = dtype != DType::boolean ? wrapped(x, dtype) : low_bit_of_booleans ? int64_t(x) & 1 : x != 0;
      ASSERT_EQ(values[i], want) << "element " << i << " of " << values.size();
    }
    return;
  }
  // 16-bit results are computed wider and rounded once or twice; wider ones gather the error of a whole sum.
  const double steps = size_of(dtype) == 2 ? 3 : 64;
  const std::vector<double> values = got.to_vector<double>();
  for (size_t i = 0; i < values.size(); ++i) {
    const double want = expected.data[i];
    if (std::isnan(want) && std::isnan(values[i])) continue;
    if (want == values[i]) continue;
    ASSERT_NEAR(values[i], want, steps * rounding(dtype) * std::max(1.0, std::abs(want)))
        << "element " << i << " of " << values.size();
  }
}

void expect_same(const Tensor& got, const Tensor& expected) {
  ASSERT_EQ(name_of(got.dtype()), name_of(expected.dtype()));
  if (is_floating(got.dtype())) return expect_close(got, {expected.shape(), expected.to_vector<double>()});
  ASSERT_EQ(got.shape(), expected.shape());
  ASSERT_EQ(got.to_vector<int64_t>(), expected.to_vector<int64_t>());
}

Tensor relaid(const Tensor& x, Layout layout) {
  const Shape& shape = x.shape();
  Dims strides = contiguous_strides(shape);
  int64_t room = x.elements(), offset = 0;
  switch (layout) {
    case Layout::kTransposed: {
      int64_t step = 1;
      for (int i = 0; i < shape.size(); ++i) {
        strides[i] = step;
        step *= std::max<int64_t>(shape[i], 1);
      }
      break;
    }
    case Layout::kEverySecond:
      for (int64_t& stride : strides) stride *= 2;
      room *= 2;
      break;
    case Layout::kReversed:
      for (int64_t& stride : strides) stride = -stride;
      offset = std::max<int64_t>(room - 1, 0);
      break;
    case Layout::kOffset:
      room += offset = 3;
      break;
    case Layout::kBroadcastFirst:
      if (!shape.empty()) strides[0] = 0;
      break;
    case Layout::kBroadcastLast:
      if (!shape.empty()) strides[shape.size() - 1] = 0;
      break;
  }
  const size_t size = size_of(x.dtype());
  const Tensor store = make_tensor(Shape(room), x.dtype());
  std::memset(store.impl()->bytes(), 0xff, store.nbytes());
  // Backwards, so that index 0 of a broadcast axis is written last.
  for (int64_t flat = x.elements(); flat-- > 0;) {
    int64_t rest = flat, at = offset;
    for (int axis = shape.size() - 1; axis >= 0; --axis) {
      at += rest % shape[axis] * strides[axis];
      rest /= shape[axis];
    }
    std::memcpy(store.impl()->bytes() + at * int64_t(size), x.impl()->bytes() + flat * int64_t(size), size);
  }
  return make_view(store, shape, strides, offset);
}

}  // namespace sm::sweep
