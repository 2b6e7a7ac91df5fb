#include "ops/op.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/recorder.hpp"
#include "shumai/error.hpp"
#include "shumai/gradients.hpp"
#include "shumai/ops.hpp"
#include "sweep/cases.hpp"

namespace sm::reference {
namespace {

using ops::ArgKind;
using ops::Attr;
using sweep::Case;

Json json_of(const Attr& attr) {
  struct Writer {
    Json operator()(std::monostate) const { return nullptr; }
    Json operator()(bool value) const { return value; }
    Json operator()(int64_t value) const { return value; }
    // Apart from whole numbers, which JSON doesn't tell from it; infinities, which it lacks, as text.
    Json operator()(double value) const {
      if (std::isinf(value)) return Json::object({{"number", value > 0 ? "inf" : "-inf"}});
      return Json::object({{"number", value}});
    }
    Json operator()(const std::string& value) const { return value; }
    Json operator()(DType value) const { return Json::object({{"dtype", name_of(value)}}); }
    Json operator()(const Dims& value) const {
      Json list = Json::array();
      for (int64_t item : value) list.push_back(item);
      return list;
    }
  };
  return std::visit(Writer{}, attr);
}

// The arguments in the order of the row.
Json arguments(Recorder& recorder, const Case& one, const std::vector<Tensor>& inputs) {
  Json args = Json::array();
  size_t input = 0, attr = 0;
  for (const ops::Arg& arg : one.op.args) {
    if (arg.kind == ArgKind::kTensors) {
      args.push_back(recorder.keep(std::vector<Tensor>(inputs.begin() + int64_t(input), inputs.end())));
      input = inputs.size();
    } else if (arg.kind == ArgKind::kTensor || arg.kind == ArgKind::kOptionalTensor) {
      args.push_back(recorder.keep(input < inputs.size() ? inputs[input] : Tensor()));
      ++input;
    } else {
      args.push_back(json_of(one.attrs[attr++]));
    }
  }
  return args;
}

// Runs the case and records it, with the gradients along a random direction if there are any.
void record(Recorder& recorder, const Case& one, const std::vector<Tensor>& inputs, bool gradients,
            const std::string& how) {
  Json record = Json::object({{"args", arguments(recorder, one, inputs)}, {"output", one.output}});
  for (const Tensor& input : inputs)
    if (gradients && is_floating(input.dtype())) input.requires_grad(true);
  try {
    const Tensor out = sweep::run(one, inputs);
    record["result"] = recorder.keep(out);
    if (out.requires_grad()) {
      const Tensor along = uniform(out.shape(), out.dtype());
      const Gradients found = out.backward(along);
      record["along"] = recorder.keep(along);
      record["gradients"] = Json::array();
      for (const Tensor& input : inputs) record["gradients"].push_back(recorder.keep(found.of(input)));
    }
  } catch (const Error& error) {
    record["result"] = Json::object({{"error", error.what()}});
  }
  recorder.add("op", one.op.name, one.to_string() + " " + how, std::move(record));
}

bool knows_dtypes(const Case& one) {
  return std::all_of(one.attrs.begin(), one.attrs.end(), [](const Attr& attr) {
    const DType* dtype = std::get_if<DType>(&attr);
    return !dtype || in_pytorch(*dtype);
  });
}

// Whole numbers, so that ties and the points between the pieces of a function come up.
std::vector<Tensor> rounded(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> out = inputs;
  for (Tensor& x : out)
    if (is_floating(x.dtype())) x = rint(x);
  return out;
}

// `summable`: nothing so large or small that what a sum or a product gives depends on its order.
Tensor extreme(const Shape& shape, DType dtype, bool with_nan, bool summable) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  std::vector<double> kinds = {0.0, -0.0, 1, -1, 0.5, -0.5, 2.5, 90, -90, 3, kInf, -kInf};
  if (!summable) kinds.insert(kinds.end(), {-1e30, 1e30, 1e-30});
  if (with_nan) kinds.push_back(NAN);
  const Tensor picks = whole(shape, 0, int64_t(kinds.size()));
  std::vector<double> values;
  values.reserve(size_t(picks.elements()));
  for (int64_t pick : picks.to_vector<int64_t>()) values.push_back(kinds[size_t(pick)]);
  return astype(tensor(values, shape), dtype);
}

bool among(const ops::Op& op, std::initializer_list<std::span<const ops::Op>> families) {
  return std::any_of(families.begin(), families.end(),
                     [&](auto rows) { return &op >= rows.data() && &op < rows.data() + rows.size(); });
}

bool sums(const ops::Op& op) { return among(op, {ops::reduce_ops(), ops::scan_ops()}); }

// Rows where infinities and NaN have a meaning of their own.
bool takes_extremes(const ops::Op& op) {
  return sums(op) || among(op, {ops::unary_ops(), ops::binary_ops(), ops::compare_ops(), ops::sort_ops()});
}

void record_extremes(Recorder& recorder, const Case& one) {
  for (DType dtype : {DType::f64, DType::f32}) {
    for (int with_nan = 0; with_nan < 2; ++with_nan) {
      std::vector<Tensor> inputs = *sweep::draw(one, dtype);
      for (Tensor& x : inputs)
        if (is_floating(x.dtype())) x = extreme(x.shape(), dtype, with_nan, sums(one.op));
      record(recorder, one, inputs, false, with_nan ? "with NaN" : "with infinities");
    }
  }
}

void record_case(Recorder& recorder, const Case& one) {
  const bool floats = one.op.dtypes != ops::DTypes::kIntegral;
  if (one.shapes.empty()) return record(recorder, one, {}, false, "");
  if (floats) {
    const std::vector<Tensor> inputs = sweep::draw_differentiable(one);
    for (DType dtype : {DType::f64, DType::f32})
      record(recorder, one, converted(inputs, dtype), true, "on " + std::string(name_of(dtype)));
    if (!one.op.samples.smooth) record(recorder, one, rounded(inputs), true, "on whole numbers");
    if (takes_extremes(one.op)) record_extremes(recorder, one);
  }
  for (DType dtype : sweep::admitted(one.op)) {
    if (!in_pytorch(dtype) || dtype == DType::f64 || dtype == DType::f32) continue;
    if (const auto inputs = sweep::draw(one, dtype))
      record(recorder, one, *inputs, false, "on " + std::string(name_of(dtype)));
  }
}

}  // namespace

void record_ops(Recorder& recorder) {
  for (const ops::Op* op : ops::table()) {
    recorder.expect("op", op->name);
    for (const Case& one : sweep::cases_of(*op))
      if (knows_dtypes(one)) record_case(recorder, one);
  }
}

}  // namespace sm::reference
