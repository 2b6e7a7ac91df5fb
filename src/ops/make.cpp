#include <cmath>

#include "kernels/elementwise.hpp"
#include "ops/common.hpp"
#include "ops/generated.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

Tensor filled(const Shape& shape, DType dtype, double value) {
  Tensor out = make_tensor(shape, dtype);
  kernels::fill(out, value);
  return out;
}

Tensor arange_forward(const Call& call) {
  const double start = call.number(0), stop = call.number(1), step = call.number(2);
  const double count = std::ceil((stop - start) / step);
  if (!std::isfinite(count) || std::abs(count) > 9e15)
    throw Error(ErrorCode::kInvalidArgument, "arange: no finite number of steps of " + std::to_string(step) + " from " +
                                                 std::to_string(start) + " to " + std::to_string(stop));
  return generated(Shape(static_cast<int64_t>(std::max(0.0, count))), call.dtype(3),
                   [=](int64_t i) { return start + static_cast<double>(i) * step; });
}

Tensor linspace_forward(const Call& call) {
  const double start = call.number(0), stop = call.number(1);
  const int64_t steps = call.integer(2);
  if (steps < 0)
    throw Error(ErrorCode::kInvalidArgument, "linspace: steps must be 0 or more, got " + std::to_string(steps));
  const double gap = steps > 1 ? (stop - start) / static_cast<double>(steps - 1) : 0;
  return generated(Shape(steps), call.dtype(3),
                   [=](int64_t i) { return i + 1 == steps && i > 0 ? stop : start + static_cast<double>(i) * gap; });
}

Tensor identity_forward(const Call& call) {
  const int64_t n = call.integer(0);
  if (n < 0) throw Error(ErrorCode::kInvalidArgument, "identity: n must be 0 or more, got " + std::to_string(n));
  return generated(Shape{n, n}, call.dtype(1), [n](int64_t i) { return i / n == i % n ? 1.0 : 0.0; });
}

// Counts in row order through `shape`, tiled as `tile` does.
Tensor iota_forward(const Call& call) {
  Shape shape = call.dims(0);
  Dims tiles = call.dims(1);
  while (shape.size() < tiles.size()) shape.insert(0, 1);
  while (tiles.size() < shape.size()) tiles.insert(0, 1);
  const Tensor once = reshape(arange(0, static_cast<double>(elements_of(shape)), 1, call.dtype(2)), shape);
  return tile(once, tiles);
}

RefArray iota_reference(const RefCall& c) {
  const Shape& shape = c.dims(0);
  Dims tiles = c.dims(1);
  while (tiles.size() < shape.size()) tiles.insert(0, 1);
  RefArray out;
  for (int i = 0; i < tiles.size(); ++i)
    out.shape.push_back(tiles[i] * (i < tiles.size() - shape.size() ? 1 : shape[i - tiles.size() + shape.size()]));
  for (int64_t flat = 0; flat < elements_of(out.shape); ++flat) {
    int64_t rest = flat, value = 0, step = 1;
    for (int i = out.shape.size() - 1, mine = shape.size() - 1; mine >= 0; --i, --mine) {
      value += rest % out.shape[i] % shape[mine] * step;
      step *= shape[mine];
      rest /= out.shape[i];
    }
    out.data.push_back(static_cast<double>(value));
  }
  return out;
}

RefArray counted(const RefCall& c, int64_t count, double (*f)(const RefCall&, int64_t)) {
  RefArray out{Shape(count), {}};
  for (int64_t i = 0; i < count; ++i) out.data.push_back(f(c, i));
  return out;
}

RefArray constant_reference(const RefCall& c, double value) {
  return {c.dims(0), std::vector<double>(static_cast<size_t>(elements_of(c.dims(0))), value)};
}

}  // namespace

std::span<const Op> make_ops() {
  const Gradient kFixed = Gradient::none("has no tensor inputs");
  static const Arg kDType = dtype_arg("dtype", DType::f32);
  static const std::vector<Op> rows = {
      {.name = "zeros",
       .js = "zeros",
       .args = {dims_arg("shape"), kDType},
       .doc = "All zeros.",
       .forward = [](const Call& call) { return filled(call.dims(0), call.dtype(1), 0); },
       .gradient = kFixed,
       .reference = [](const RefCall& c) { return constant_reference(c, 0); },
       .samples = {{}, {{{}, {Dims{2, 3}, DType::f64}}, {{}, {Dims(), DType::i32}}, {{}, {Dims{0, 2}, DType::f32}}}}},
      {.name = "ones",
       .js = "ones",
       .args = {dims_arg("shape"), kDType},
       .doc = "All ones.",
       .forward = [](const Call& call) { return filled(call.dims(0), call.dtype(1), 1); },
       .gradient = kFixed,
       .reference = [](const RefCall& c) { return constant_reference(c, 1); },
       .samples = {{}, {{{}, {Dims{2, 3}, DType::f64}}, {{}, {Dims{4}, DType::boolean}}}}},
      {.name = "full",
       .js = "full",
       .args = {dims_arg("shape"), float_arg("value"), kDType},
       .doc = "Every element is `value`.",
       .forward = [](const Call& call) { return filled(call.dims(0), call.dtype(2), call.number(1)); },
       .gradient = kFixed,
       .reference = [](const RefCall& c) { return constant_reference(c, c.number(1)); },
       .samples = {{}, {{{}, {Dims{2, 3}, 1.5, DType::f64}}, {{}, {Dims{2}, -3.0, DType::i8}}}}},
      {.name = "arange",
       .js = "arange",
       .args = {float_arg("start"), float_arg("stop"), float_arg("step", 1.0), kDType},
       .doc = "start, start + step, ... before `stop`; rank 1.",
       .forward = arange_forward,
       .gradient = kFixed,
       .reference =
           [](const RefCall& c) {
             RefArray out{Shape(0), {}};
             for (int i = 0; (c.number(1) - c.number(0) - i * c.number(2)) * c.number(2) > 0; ++i)
               out.data.push_back(c.number(0) + i * c.number(2));
             out.shape = Shape(out.data.size());
             return out;
           },
       .samples = {{},
                   {{{}, {0.0, 5.0, 1.0, DType::f32}},
                    {{}, {3.0, -1.0, -0.5, DType::f64}},
                    {{}, {1.0, 1.0, 1.0, DType::f32}},
                    {{}, {0.0, 10.0, 3.0, DType::i64}}}}},
      {.name = "linspace",
       .js = "linspace",
       .args = {float_arg("start"), float_arg("stop"), int_arg("steps"), kDType},
       .doc = "`steps` values evenly spaced from `start` to `stop`, both included; rank 1.",
       .forward = linspace_forward,
       .gradient = kFixed,
       .reference =
           [](const RefCall& c) {
             return counted(c, c.integer(2), [](const RefCall& call, int64_t i) {
               const double part =
                   call.integer(2) > 1 ? static_cast<double>(i) / static_cast<double>(call.integer(2) - 1) : 0;
               return call.number(0) * (1 - part) + call.number(1) * part;
             });
           },
       .samples = {{},
                   {{{}, {0.0, 1.0, int64_t{5}, DType::f64}},
                    {{}, {2.0, -2.0, int64_t{1}, DType::f32}},
                    {{}, {0.0, 1.0, int64_t{0}, DType::f32}}}}},
      {.name = "identity",
       .js = "identity ident eye",
       .args = {int_arg("n"), kDType},
       .doc = "The n by n matrix with ones on its diagonal.",
       .forward = identity_forward,
       .gradient = kFixed,
       .reference =
           [](const RefCall& c) {
             const int64_t n = c.integer(0);
             RefArray out{Shape{n, n}, std::vector<double>(static_cast<size_t>(n * n), 0.0)};
             for (int64_t i = 0; i < n; ++i) out.data[static_cast<size_t>(i * n + i)] = 1;
             return out;
           },
       .samples = {{}, {{{}, {int64_t{3}, DType::f64}}, {{}, {int64_t{0}, DType::f32}}}}},
      {.name = "iota",
       .js = "iota",
       .args = {dims_arg("shape"), dims_arg("tiles", Dims()), kDType},
       .doc = "0, 1, 2, ... in row order in `shape`, repeated `tiles[i]` times along each axis as `tile` does.",
       .forward = iota_forward,
       .gradient = kFixed,
       .reference = iota_reference,
       .samples = {{},
                   {{{}, {Dims{2, 3}, Dims(), DType::f32}},
                    {{}, {Dims{2, 2}, Dims{2}, DType::i64}},
                    {{}, {Dims{2}, Dims{3, 2}, DType::f64}},
                    {{}, {Dims{0, 2}, Dims{2}, DType::f32}},
                    {{}, {Dims(), Dims(), DType::f32}}}}},
  };
  return rows;
}

}  // namespace sm::ops
