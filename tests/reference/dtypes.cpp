#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/recorder.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::reference {
namespace {

using Binary = Tensor (*)(const Tensor&, const Tensor&);
using Unary = Tensor (*)(const Tensor&);

struct BinaryRow {
  const char* name;
  Binary function;
  bool numbers = true;  // whether PyTorch's takes Python's numbers, too
};

constexpr BinaryRow kBinary[] = {
    {"add", [](const Tensor& a, const Tensor& b) { return a + b; }},
    {"sub", [](const Tensor& a, const Tensor& b) { return a - b; }},
    {"mul", [](const Tensor& a, const Tensor& b) { return a * b; }},
    {"div", [](const Tensor& a, const Tensor& b) { return a / b; }},
    {"mod", [](const Tensor& a, const Tensor& b) { return mod(a, b); }},
    {"power", [](const Tensor& a, const Tensor& b) { return power(a, b); }},
    {"maximum", [](const Tensor& a, const Tensor& b) { return maximum(a, b); }, false},
    {"where",
     [](const Tensor& a, const Tensor& b) {
       return where(tensor({true, false, true}), a, b);
     }},
    {"eq", [](const Tensor& a, const Tensor& b) { return eq(a, b); }},
    {"lt", [](const Tensor& a, const Tensor& b) { return lt(a, b); }},
    {"bitwise_and", [](const Tensor& a, const Tensor& b) { return bitwise_and(a, b); }},
    {"l_shift", [](const Tensor& a, const Tensor& b) { return l_shift(a, b); }},
    {"r_shift", [](const Tensor& a, const Tensor& b) { return r_shift(a, b); }},
    {"logical_or", [](const Tensor& a, const Tensor& b) { return logical_or(a, b); }, false},
    {"concatenate",
     [](const Tensor& a, const Tensor& b) {
       return concatenate({a, b});
     },
     false},
    {"matmul", [](const Tensor& a, const Tensor& b) { return matmul(a, b); }, false},
};

constexpr std::pair<const char*, Unary> kUnary[] = {
    {"sum", [](const Tensor& x) { return sum(x); }},
    {"mean", [](const Tensor& x) { return mean(x); }},
    {"prod", [](const Tensor& x) { return prod(x); }},
    {"cumsum", [](const Tensor& x) { return cumsum(x, 0); }},
    {"variance", [](const Tensor& x) { return variance(x); }},
    {"amax", [](const Tensor& x) { return amax(x); }},
    {"argmax", [](const Tensor& x) { return argmax(x); }},
    {"softmax", [](const Tensor& x) { return softmax(x, 0); }},
    {"exp", [](const Tensor& x) { return exp(x); }},
    {"sqrt", [](const Tensor& x) { return sqrt(x); }},
    {"negative", [](const Tensor& x) { return negative(x); }},
    {"absolute", [](const Tensor& x) { return absolute(x); }},
    {"sign", [](const Tensor& x) { return sign(x); }},
    {"square", [](const Tensor& x) { return square(x); }},
    {"relu", [](const Tensor& x) { return relu(x); }},
    {"floor", [](const Tensor& x) { return floor(x); }},
    {"bitwise_not", [](const Tensor& x) { return bitwise_not(x); }},
};

std::vector<DType> dtypes() {
  std::vector<DType> all;
  for (int i = 0; i < kDTypeCount; ++i)
    if (in_pytorch(static_cast<DType>(i))) all.push_back(static_cast<DType>(i));
  return all;
}

std::string text(DType dtype) { return std::string(name_of(dtype)); }

// kind/name, with what the function gives or the error that it throws.
void record(Recorder& recorder, const char* kind, const std::string& name, const std::string& text, Json args,
            const std::function<Tensor()>& function) {
  Json record = Json::object({{"args", std::move(args)}});
  try {
    record["result"] = recorder.keep(function());
  } catch (const Error& error) {
    record["result"] = Json::object({{"error", error.what()}});
  }
  recorder.add(kind, name, name + " " + text, record);
}

Tensor values(DType dtype, const Shape& shape, double first) {
  std::vector<double> all;
  for (int64_t i = 0; i < elements_of(shape); ++i) all.push_back(std::fmod(first + double(i), 3) + 1);
  return astype(tensor(all, shape), dtype);
}

void record_pairs(Recorder& recorder, const BinaryRow& row) {
  for (DType a : dtypes())
    for (DType b : dtypes())
      for (int ranks = 0; ranks < 4; ++ranks) {
        const Shape left = ranks & 1 ? Shape() : Shape(3), right = ranks & 2 ? Shape() : Shape(3);
        const Tensor x = values(a, left, 1), y = values(b, right, 0);
        record(recorder, "promotion", row.name, text(a) + left.to_string() + " " + text(b) + right.to_string(),
               Json::array({recorder.keep(x), recorder.keep(y)}), [&] { return row.function(x, y); });
      }
}

void record_numbers(Recorder& recorder, const BinaryRow& row) {
  const std::pair<Tensor, Json> numbers[] = {
      {Tensor(true), true}, {Tensor(2), 2}, {Tensor(2.5), Json::object({{"number", 2.5}})}};
  for (const auto& [value, json] : numbers)
    for (DType dtype : dtypes())
      for (const Shape& shape : {Shape(3), Shape()}) {
        const Tensor x = values(dtype, shape, 1), number = value;
        const Json kept = recorder.keep(x);
        const std::string what = text(dtype) + shape.to_string() + " and " + json.dump();
        record(recorder, "promotion", row.name, what, Json::array({kept, json}),
               [&] { return row.function(x, number); });
        record(recorder, "promotion", row.name, what + " first", Json::array({json, kept}),
               [&] { return row.function(number, x); });
      }
}

std::pair<int64_t, int64_t> limits(DType dtype) {
  const int bits = static_cast<int>(size_of(dtype)) * 8 - is_signed(dtype);
  const int64_t high = static_cast<int64_t>((uint64_t{1} << bits) - 1);
  return {is_signed(dtype) ? -high - 1 : 0, high};
}

std::vector<DType> integers() { return {DType::u8, DType::i8, DType::i16, DType::i32, DType::i64}; }

Tensor as(DType dtype, const std::vector<int64_t>& numbers) { return astype(tensor(numbers), dtype); }

void record_integer_pair(Recorder& recorder, const char* name, const Tensor& a, const Tensor& b,
                         const std::string& what) {
  const BinaryRow& row = *std::find_if(std::begin(kBinary), std::end(kBinary),
                                       [&](const BinaryRow& row) { return std::string_view(row.name) == name; });
  record(recorder, "integers", name, text(a.dtype()) + what, Json::array({recorder.keep(a), recorder.keep(b)}),
         [&] { return row.function(a, b); });
}

void record_limits(Recorder& recorder, DType dtype) {
  const auto [low, high] = limits(dtype);
  const Tensor x = as(dtype, {low, low + 1, high, high - 1, 0, 1, 2, 7, high / 2, high / 3}),
               rows = reshape(x, {-1, 1});
  for (const char* name : {"add", "sub", "mul", "maximum", "lt", "eq", "bitwise_and", "div"})
    record_integer_pair(recorder, name, rows, x, " at its limits");
  for (const auto& [name, function] : kUnary)
    record(recorder, "integers", name, text(dtype) + " at its limits", Json::array({recorder.keep(x)}),
           [&, f = function] { return f(x); });
  std::vector<int64_t> counts, divisors = {1, 2, 3, 7};
  for (int i = 0; i < int(size_of(dtype)) * 8; ++i) counts.push_back(i);
  if (is_signed(dtype)) divisors.insert(divisors.end(), {-1, -2, -3, -7});
  for (const char* name : {"l_shift", "r_shift"})
    record_integer_pair(recorder, name, rows, as(dtype, counts), " by less than its width");
  // Without the lowest: PyTorch dies of the lowest number modulo -1.
  record_integer_pair(recorder, "mod", slice(rows, 0, 1, x.elements()), as(dtype, divisors), "");
  record_integer_pair(recorder, "mod", rows, as(dtype, {0}), " by zero");
}

void record_integers(Recorder& recorder) {
  for (DType dtype : integers()) {
    record_limits(recorder, dtype);
    std::vector<int64_t> bases = {2, 1, 3, 7}, exponents = {0, 1, 2, 3, 9, 40};
    if (is_signed(dtype)) bases.insert(bases.end(), {-1, -5}), exponents.insert(exponents.end(), {-1, -2});
    record_integer_pair(recorder, "power", reshape(as(dtype, bases), {-1, 1}), as(dtype, exponents), "");
    record_integer_pair(recorder, "power", as(dtype, {0}), as(dtype, {0, 1, 5}), " of zero");
  }
}

void record_cast(Recorder& recorder, const Tensor& x, DType to, const char* what) {
  record(recorder, "cast", "astype", text(x.dtype()) + " to " + text(to) + what,
         Json::array({recorder.keep(x), Json::object({{"dtype", text(to)}})}), [&] { return astype(x, to); });
}

void record_casts(Recorder& recorder) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (DType to : dtypes()) {
    for (DType from : {DType::f16, DType::bf16, DType::f32, DType::f64}) {
      record_cast(recorder, astype(tensor({0.0, -0.0, 0.5, 0.99, 1.5, 2.5, 7.9, 100.0, 127.0}), from), to, "");
      record_cast(recorder, astype(tensor({-0.5, -0.99, -1.0, -1.5, -2.5, -100.0, -128.0}), from), to, ", negative");
      record_cast(recorder, astype(tensor({200.0, 255.0, 300.0, 1000.0, 30000.0}), from), to, ", above 127");
      record_cast(recorder, astype(tensor(std::vector<double>{NAN}), from), to, ", NaN");
      record_cast(recorder, astype(tensor({kInf, -kInf}), from), to, ", infinite");
      record_cast(recorder, astype(tensor({65504.0, 65519.0, 65520.0, 1e-8, 6e-8, 1.0 / 3, 1e5, 3e38}), from), to,
                  ", of all sizes");
    }
    for (DType from : integers()) {
      const auto [low, high] = limits(from);
      record_cast(recorder, as(from, {low, low + 1, high, high - 1, 0, 1, 5, high / 3}), to, ", at its limits");
    }
    record_cast(recorder, tensor({true, false}), to, "");
  }
}

}  // namespace

void record_dtypes(Recorder& recorder) {
  for (const BinaryRow& row : kBinary) {
    record_pairs(recorder, row);
    if (row.numbers) record_numbers(recorder, row);
  }
  for (const auto& [name, function] : kUnary)
    for (DType dtype : dtypes()) {
      const Tensor x = values(dtype, 3, 1);
      record(recorder, "promotion", name, text(dtype), Json::array({recorder.keep(x)}),
             [&, f = function] { return f(x); });
    }
  record_integers(recorder);
  record_casts(recorder);
}

}  // namespace sm::reference
