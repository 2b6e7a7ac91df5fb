#include <algorithm>
#include <cstring>

#include "kernels/copy.hpp"
#include "kernels/elementwise.hpp"
#include "ops/common.hpp"
#include "ops/reference.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

Tensor tile_forward(const Call& call) {
  const Dims& repeats = call.dims(0);
  for (int64_t count : repeats)
    if (count < 0)
      throw Error(ErrorCode::kInvalidArgument, "tile: repeats must be 0 or more, got " + repeats.to_string());
  const Shape& shape = call.in(0).shape();
  const int ndim = std::max(shape.size(), repeats.size());
  // Each axis becomes two: the repeats, then its own.
  Shape apart, spread, together;
  for (int i = 0; i < ndim; ++i) {
    const int mine = i - (ndim - shape.size()), theirs = i - (ndim - repeats.size());
    const int64_t size = mine < 0 ? 1 : shape[mine], count = theirs < 0 ? 1 : repeats[theirs];
    for (int64_t part : {int64_t{1}, size}) apart.push_back(part);
    for (int64_t part : {count, size}) spread.push_back(part);
    together.push_back(elements_of({count, size}));
  }
  return reshape(expand(reshape(call.in(0), apart), spread), together);
}

Tensor flip_forward(const Call& call) {
  const Tensor& x = call.in(0);
  Tensor out = same_view(x);
  for (int64_t axis : normalize_axes(call.dims(0), x.ndim(), "flip"))
    out = slice(out, axis, -1, -x.shape()[static_cast<int>(axis)] - 1, -1);
  return out;
}

Tensor rolled(const Tensor& x, int64_t shift, int axis) {
  const int64_t size = x.ndim() ? x.shape()[axis] : 1;
  const int64_t by = size ? (shift % size + size) % size : 0;
  if (by == 0) return same_view(x);
  return concatenate({slice(x, axis, size - by, size), slice(x, axis, 0, size - by)}, axis);
}

Tensor roll_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims &shifts = call.dims(0), &axes = call.dims(1);
  if (axes.empty() ? shifts.size() != 1 : shifts.size() != axes.size())
    throw Error(ErrorCode::kInvalidArgument, "roll: needs one shift for each axis, or one in all, got shifts " +
                                                 shifts.to_string() + " and axes " + axes.to_string());
  if (axes.empty()) return reshape(rolled(reshape(x, -1), shifts[0], 0), x.shape());
  Tensor out = x;
  for (int i = 0; i < axes.size(); ++i) out = rolled(out, shifts[i], normalize_axis(axes[i], x.ndim(), "roll"));
  return out;
}

// Keeps what is on and above a diagonal (or on and below), row by row.
template <bool upper>
Tensor triangle_forward(const Call& call) {
  const Tensor x = kernels::contiguous(call.in(0));
  const int ndim = x.ndim();
  if (ndim < 2)
    throw Error(ErrorCode::kShapeMismatch,
                std::string(call.op.name) + ": expects at least 2 dimensions, got " + x.shape().to_string());
  Tensor out = make_tensor(x.shape(), x.dtype());
  if (x.elements() == 0) return out;
  const int64_t rows = x.shape()[ndim - 2], columns = x.shape()[ndim - 1];
  const int64_t diagonal = std::clamp(call.integer(0), -rows - 1, columns + 1);
  const int64_t size = static_cast<int64_t>(size_of(x.dtype()));
  const std::byte* from = x.impl()->bytes();
  std::byte* to = out.impl()->bytes();
  for (int64_t row = 0, all = x.elements() / columns; row < all; ++row) {
    const int64_t edge = std::clamp<int64_t>(row % rows + diagonal + (upper ? 0 : 1), 0, columns);
    const int64_t begin = upper ? edge : 0, end = upper ? columns : edge, at = row * columns;
    std::memset(to + at * size, 0, static_cast<size_t>(columns * size));
    std::memcpy(to + (at + begin) * size, from + (at + begin) * size, static_cast<size_t>((end - begin) * size));
  }
  return out;
}

// The view of `x` along a diagonal of two of its axes, as a new last axis.
Tensor diagonal_view(const Tensor& x, const char* op, int64_t offset, int64_t axis1, int64_t axis2) {
  if (x.ndim() < 2)
    throw Error(ErrorCode::kShapeMismatch,
                std::string(op) + ": expects at least 2 dimensions, got " + x.shape().to_string());
  const int row = normalize_axis(axis1, x.ndim(), op), column = normalize_axis(axis2, x.ndim(), op);
  if (row == column)
    throw Error(ErrorCode::kInvalidArgument, std::string(op) + ": expects two different axes, got " +
                                                 std::to_string(axis1) + " and " + std::to_string(axis2));
  Shape shape;
  Dims strides;
  for (int i = 0; i < x.ndim(); ++i) {
    if (i == row || i == column) continue;
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  offset = std::clamp(offset, -x.shape()[row], x.shape()[column]);
  const int64_t down = std::max<int64_t>(-offset, 0), right = std::max<int64_t>(offset, 0);
  const int64_t count = std::min(x.shape()[row] - down, x.shape()[column] - right);
  shape.push_back(count);
  strides.push_back(x.strides()[row] + x.strides()[column]);
  const int64_t start = count ? down * x.strides()[row] + right * x.strides()[column] : 0;
  return make_view(x, shape, strides, x.impl()->offset + start);
}

Tensor diagonal_forward(const Call& call) {
  return diagonal_view(call.in(0), "diagonal", call.integer(0), call.integer(1), call.integer(2));
}

Tensor undiagonal_forward(const Call& call) {
  Tensor out = make_tensor(call.dims(0), call.in(0).dtype());
  kernels::fill(out, 0);
  const Tensor target = diagonal_view(out, "undiagonal", call.integer(1), call.integer(2), call.integer(3));
  if (target.shape() != call.in(0).shape())
    throw Error(ErrorCode::kShapeMismatch, "undiagonal: the diagonal has shape " + target.shape().to_string() +
                                               ", got " + call.in(0).shape().to_string());
  kernels::copy(call.in(0), target);
  return out;
}

Tensor diag_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t offset = call.integer(0);
  if (x.ndim() == 2) return diagonal(x, offset);
  if (x.ndim() != 1)
    throw Error(ErrorCode::kShapeMismatch, "diag: expects 1 or 2 dimensions, got " + x.shape().to_string());
  int64_t size;
  if (offset == INT64_MIN || __builtin_add_overflow(x.elements(), std::abs(offset), &size))
    throw Error(ErrorCode::kTooLarge, "diag: diagonal " + std::to_string(offset) + " is too far out");
  return undiagonal(x, {size, size}, offset);
}

std::vector<Tensor> split_forward(const Call& call) {
  const Tensor& x = call.in(0);
  const Dims& sizes = call.dims(0);
  if (x.ndim() == 0) throw Error(ErrorCode::kShapeMismatch, "split: a rank-0 tensor has no axis to split");
  const int axis = normalize_axis(call.integer(1), x.ndim(), "split");
  const int64_t whole = x.shape()[axis];
  int64_t total = 0;
  bool good = !sizes.empty();
  for (int64_t size : sizes) good = good && size >= 0 && !__builtin_add_overflow(total, size, &total);
  if (good) good = sizes.size() == 1 ? sizes[0] > 0 || whole == 0 : total == whole;
  if (!good)
    throw Error(ErrorCode::kInvalidArgument, "split: expects one size above 0, or sizes that add up to " +
                                                 std::to_string(whole) + ", got " + sizes.to_string());
  std::vector<Tensor> parts;
  if (sizes.size() > 1) {
    int64_t start = 0;
    for (int64_t size : sizes) {
      parts.push_back(slice(x, axis, start, start + size));
      start += size;
    }
    return parts;
  }
  for (int64_t start = 0; start < whole; start += std::min(sizes[0], whole - start))
    parts.push_back(slice(x, axis, start, start + std::min(sizes[0], whole - start)));
  if (parts.empty()) parts.push_back(same_view(x));
  return parts;
}

// Where the elements before, in and after an axis of `size` come from.
using Place = int64_t (*)(int64_t at, int64_t size);

int64_t remainder(int64_t a, int64_t b) { return (a % b + b) % b; }

Place place_of(const std::string& mode) {
  if (mode == "edge" || mode == "replicate")
    return [](int64_t at, int64_t size) { return std::clamp<int64_t>(at, 0, size - 1); };
  if (mode == "wrap" || mode == "circular") return remainder;
  if (mode == "reflect")
    return [](int64_t at, int64_t size) {
      if (size == 1) return int64_t{0};
      const int64_t in_period = remainder(at, 2 * size - 2);
      return std::min(in_period, 2 * size - 2 - in_period);
    };
  if (mode == "symmetric")
    return [](int64_t at, int64_t size) {
      const int64_t in_period = remainder(at, 2 * size);
      return std::min(in_period, 2 * size - 1 - in_period);
    };
  throw Error(ErrorCode::kInvalidArgument,
              "pad: expects mode constant, edge (or replicate), reflect, symmetric or wrap (or circular), got \"" +
                  mode + "\"");
}

Tensor pad_forward(const Call& call) {
  const std::string& mode = call.text(3);
  const Tensor& x = call.in(0);
  const Dims &before = call.dims(0), &after = call.dims(1);
  if (mode == "constant") return pad_constant(x, before, after, call.number(2));
  const Place place = place_of(mode);
  const auto negative = [](int64_t n) { return n < 0; };
  if (before.size() != x.ndim() || after.size() != x.ndim() || std::any_of(before.begin(), before.end(), negative) ||
      std::any_of(after.begin(), after.end(), negative))
    throw Error(ErrorCode::kInvalidArgument, "pad: needs a size of 0 or more before and after each of " +
                                                 std::to_string(x.ndim()) + " axes, got " + before.to_string() +
                                                 " and " + after.to_string());
  Tensor out = same_view(x);
  for (int axis = 0; axis < x.ndim(); ++axis) {
    const int64_t size = x.shape()[axis];
    if (before[axis] == 0 && after[axis] == 0) continue;
    if (size == 0)
      throw Error(ErrorCode::kShapeMismatch,
                  "pad: an empty axis has nothing to " + mode + ", got shape " + x.shape().to_string());
    int64_t total;
    if (__builtin_add_overflow(size, before[axis], &total) || __builtin_add_overflow(total, after[axis], &total))
      throw Error(ErrorCode::kTooLarge, "pad: the sizes along an axis don't fit in 63 bits");
    const Tensor sources = make_tensor(Shape(total), DType::i64);
    int64_t* source = sources.impl()->as<int64_t>();
    for (int64_t i = 0; i < total; ++i) source[i] = place(i - before[axis], size);
    out = take(out, sources, axis);
  }
  return out;
}

RefArray tile_reference(const RefCall& c) {
  const Shape& own = c.in(0).shape;
  const int ndim = std::max(own.size(), c.dims(0).size());
  Shape shape(ndim, 1);
  for (int i = 1; i <= own.size(); ++i) shape[ndim - i] = own[own.size() - i];
  for (int i = 1; i <= c.dims(0).size(); ++i) shape[ndim - i] *= c.dims(0)[c.dims(0).size() - i];
  return gathered(c.in(0), shape, 0, [&](const Dims& at) {
    Dims from = own;
    for (int i = 0; i < own.size(); ++i) from[i] = at[ndim - own.size() + i] % own[i];
    return from;
  });
}

RefArray flip_reference(const RefCall& c) {
  const Dims axes = normalize_axes(c.dims(0), c.in(0).shape.size(), "reference");
  return gathered(c.in(0), c.in(0).shape, 0, [&](const Dims& at) {
    Dims from = at;
    for (int64_t axis : axes)
      from[static_cast<int>(axis)] = c.in(0).shape[static_cast<int>(axis)] - 1 - from[static_cast<int>(axis)];
    return from;
  });
}

RefArray roll_reference(const RefCall& c) {
  RefArray out = c.in(0);
  const auto roll = [](RefArray x, int64_t shift, int64_t axis) {
    return along_axis(std::move(x), axis, [shift](std::vector<double>& row) {
      for (int64_t i = 0; i < shift; ++i) std::rotate(row.begin(), row.end() - 1, row.end());
      for (int64_t i = 0; i < -shift; ++i) std::rotate(row.begin(), row.begin() + 1, row.end());
    });
  };
  if (c.dims(1).empty()) {
    out.shape = Shape(out.data.size());
    out = roll(std::move(out), c.dims(0)[0], 0);
    out.shape = c.in(0).shape;
  }
  for (int i = 0; i < c.dims(1).size(); ++i) out = roll(std::move(out), c.dims(0)[i], c.dims(1)[i]);
  return out;
}

template <bool upper>
RefArray triangle_reference(const RefCall& c) {
  return gathered(c.in(0), c.in(0).shape, 0, [&](const Dims& at) {
    const int64_t above = at.back() - at[at.size() - 2] - c.integer(0);
    return (upper ? above >= 0 : above <= 0) ? at : Dims(at.size(), -1);
  });
}

RefArray diagonal_reference(const RefCall& c) {
  const Shape& x = c.in(0).shape;
  const int row = normalize_axis(c.integer(1), x.size(), "reference");
  const int column = normalize_axis(c.integer(2), x.size(), "reference");
  Shape shape;
  for (int i = 0; i < x.size(); ++i)
    if (i != row && i != column) shape.push_back(x[i]);
  int64_t count = 0;
  for (int64_t i = 0; i < x[row]; ++i) count += i + c.integer(0) >= 0 && i + c.integer(0) < x[column];
  shape.push_back(count);
  return gathered(c.in(0), shape, 0, [&](const Dims& at) {
    Dims from;
    for (int i = 0, next = 0; i < x.size(); ++i) {
      const bool picked = i == row || i == column;
      from.push_back(picked ? at.back() : at[next]);
      next += !picked;
    }
    from[row] -= std::min<int64_t>(c.integer(0), 0);
    from[column] += std::max<int64_t>(c.integer(0), 0);
    return from;
  });
}

// Puts each element where diagonal_reference finds it.
RefArray undiagonal_reference(const RefCall& c) {
  RefArray numbers = reference_zeros(c.dims(0));
  for (size_t i = 0; i < numbers.data.size(); ++i) numbers.data[i] = static_cast<double>(i);
  const RefArray places = diagonal_reference({{numbers}, {c.attrs[1], c.attrs[2], c.attrs[3]}});
  RefArray out = reference_zeros(c.dims(0));
  for (size_t i = 0; i < places.data.size(); ++i) out.data[static_cast<size_t>(places.data[i])] = c.in(0).data[i];
  return out;
}

RefArray diag_reference(const RefCall& c) {
  const int64_t offset = c.integer(0), size = elements_of(c.in(0).shape) + std::abs(offset);
  if (c.in(0).shape.size() == 2) return diagonal_reference({c.inputs, {offset, int64_t{0}, int64_t{1}}});
  return undiagonal_reference({c.inputs, {Shape{size, size}, offset, int64_t{0}, int64_t{1}}});
}

RefArray split_reference(const RefCall& c) {
  const int axis = normalize_axis(c.integer(1), c.in(0).shape.size(), "reference");
  int64_t start = 0, size = c.dims(0)[0];
  for (size_t i = 0; i < c.output; ++i) {
    start += size;
    if (c.dims(0).size() > 1) size = c.dims(0)[static_cast<int>(i) + 1];
  }
  Shape shape = c.in(0).shape;
  shape[axis] = std::min(size, shape[axis] - start);
  return gathered(c.in(0), shape, 0, [&](const Dims& at) {
    Dims from = at;
    from[axis] += start;
    return from;
  });
}

// Bounces or steps until inside, one element at a time.
int64_t reference_place(const std::string& mode, int64_t at, int64_t size) {
  while (at < 0 || at >= size) {
    if (mode == "constant") return -1;
    if (mode == "edge") at += at < 0 ? 1 : -1;
    if (mode == "wrap") at += at < 0 ? size : -size;
    if (mode == "reflect") at = at < 0 ? -at : 2 * (size - 1) - at;
    if (mode == "symmetric") at = at < 0 ? -1 - at : 2 * size - 1 - at;
  }
  return at;
}

RefArray pad_reference(const RefCall& c) {
  Shape shape = c.in(0).shape;
  for (int i = 0; i < shape.size(); ++i) shape[i] += c.dims(0)[i] + c.dims(1)[i];
  return gathered(c.in(0), shape, c.number(2), [&](const Dims& at) {
    Dims from = at;
    for (int i = 0; i < at.size(); ++i) from[i] = reference_place(c.text(3), at[i] - c.dims(0)[i], c.in(0).shape[i]);
    return from;
  });
}

std::vector<Sample> triangle_cases() {
  return {{{Shape{3, 4}}, {int64_t{0}}},   {{Shape{4, 3}}, {int64_t{1}}},  {{Shape{2, 3, 3}}, {int64_t{-1}}},
          {{Shape{2, 3}}, {int64_t{9}}},   {{Shape{2, 3}}, {int64_t{-9}}}, {{Shape{0, 3}}, {int64_t{0}}},
          {{Shape{2, 2, 0}}, {int64_t{0}}}};
}

[[gnu::cold]] std::vector<Op> moving_rows() {
  return {
      {.name = "tile",
       .js = "tile",
       .args = {tensor_arg("tensor"), dims_arg("repeats")},
       .doc = "The tensor repeated `repeats[i]` times along each axis. The shorter of its shape and `repeats` is "
              "extended by ones at the front.",
       .forward = tile_forward,
       .gradient = Gradient::composed(),
       .reference = tile_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 3}}, {Dims{2, 2}}},
                    {{Shape{3}}, {Dims{2, 1, 3}}},
                    {{Shape{2, 3}}, {Dims{2}}},
                    {{Shape{}}, {Dims{3}}},
                    {{Shape{2}}, {Dims{0}}},
                    {{Shape{0, 2}}, {Dims{2, 2}}}}},
       .dtypes = DTypes::kAny},
      {.name = "flip",
       .js = "flip",
       .args = {tensor_arg("tensor"), dims_arg("axes", Dims())},
       .doc = "The elements in reverse order along `axes`, all of them when empty. A view.",
       .forward = flip_forward,
       .gradient = Gradient::composed(),
       .reference = flip_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 3}}, {Dims()}},
                    {{Shape{2, 3, 2}}, {Dims{-1, 0}}},
                    {{Shape{}}, {Dims()}},
                    {{Shape{0, 3}}, {Dims()}}}},
       .dtypes = DTypes::kAny},
      {.name = "roll",
       .js = "roll",
       .args = {tensor_arg("tensor"), dims_arg("shifts"), dims_arg("axes", Dims())},
       .doc = "The elements moved on by `shifts[i]` along `axes[i]`, those at the end to the start. Without axes one "
              "shift moves all elements in row order.",
       .forward = roll_forward,
       .gradient = Gradient::composed(),
       .reference = roll_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 3}}, {Dims{1}, Dims()}},
                    {{Shape{4, 3}}, {Dims{-5, 1}, Dims{0, 1}}},
                    {{Shape{4}}, {Dims{8}, Dims{0}}},
                    {{Shape{}}, {Dims{1}, Dims()}},
                    {{Shape{0, 3}}, {Dims{1}, Dims{0}}}}},
       .dtypes = DTypes::kAny},
      {.name = "split",
       .js = "split",
       .args = {tensor_arg("tensor"), dims_arg("sizes"), int_arg("axis", 0)},
       .doc = "Parts along `axis`: of one size, the last maybe smaller, or of several sizes that add up to the axis's, "
              "as PyTorch's split. Views.",
       .forward_many = split_forward,
       .outputs = "parts",
       .gradient = Gradient::composed(),
       .reference = split_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{5, 2}}, {Dims{2}, int64_t{0}}},
                    {{Shape{2, 6}}, {Dims{1, 0, 5}, int64_t{-1}}},
                    {{Shape{3}}, {Dims{9}, int64_t{0}}},
                    {{Shape{0, 2}}, {Dims{4}, int64_t{0}}}}},
       .dtypes = DTypes::kAny},
      {.name = "pad",
       .js = "pad",
       .args = {tensor_arg("tensor"), dims_arg("before"), dims_arg("after"), float_arg("value", 0.0),
                string_arg("mode", "constant")},
       .doc = "`before[i]` and `after[i]` more elements along each axis i, by `mode`: constant (`value`), edge (or "
              "replicate: the nearest), reflect (mirrored without the edge), symmetric (with it), wrap (or circular).",
       .forward = pad_forward,
       .gradient = Gradient::composed(),
       .reference = pad_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{2, 3}}, {Dims{1, 0}, Dims{0, 2}, 0.0, std::string("constant")}},
                    {{Shape{2, 3}}, {Dims{1, 0}, Dims{2, 2}, 0.0, std::string("edge")}},
                    {{Shape{2, 3}}, {Dims{1, 5}, Dims{0, 4}, 0.0, std::string("reflect")}},
                    {{Shape{1, 3}}, {Dims{1, 4}, Dims{2, 7}, 0.0, std::string("symmetric")}},
                    {{Shape{3, 2}}, {Dims{4, 0}, Dims{1, 5}, 0.0, std::string("wrap")}},
                    {{Shape{0, 2}}, {Dims{0, 1}, Dims{0, 1}, 0.0, std::string("edge")}},
                    {{Shape{}}, {Dims(), Dims(), 0.0, std::string("wrap")}}}}},
  };
}

[[gnu::cold]] std::vector<Op> diagonal_rows() {
  const Samples triangles{{{-2, 2}}, triangle_cases()};
  const std::vector<Arg> triangle_args = {tensor_arg("tensor"), int_arg("diagonal", 0)};
  const std::vector<Arg> axes = {int_arg("offset", 0), int_arg("axis1", 0), int_arg("axis2", 1)};
  return {
      {.name = "triu",
       .js = "triu",
       .args = triangle_args,
       .doc = "The last two axes' elements on and above the `diagonal`-th diagonal, zeros elsewhere.",
       .forward = triangle_forward<true>,
       .gradient = {{kNothing, [](const GradientCall& c) { return triu(c.gradient, c.integer(0)); }}},
       .reference = triangle_reference<true>,
       .samples = triangles,
       .dtypes = DTypes::kAny},
      {.name = "tril",
       .js = "tril",
       .args = triangle_args,
       .doc = "The last two axes' elements on and below the `diagonal`-th diagonal, zeros elsewhere.",
       .forward = triangle_forward<false>,
       .gradient = {{kNothing, [](const GradientCall& c) { return tril(c.gradient, c.integer(0)); }}},
       .reference = triangle_reference<false>,
       .samples = triangles,
       .dtypes = DTypes::kAny},
      {.name = "diagonal",
       .js = "diagonal",
       .args = {tensor_arg("tensor"), axes[0], axes[1], axes[2]},
       .doc = "The elements of `axis1` and `axis2` whose positions differ by `offset`, as a new last axis. A view.",
       .forward = diagonal_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       return undiagonal(c.gradient, c.shape(0), c.integer(0), c.integer(1), c.integer(2));
                     }}},
       .reference = diagonal_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 4}}, {int64_t{0}, int64_t{0}, int64_t{1}}},
                    {{Shape{4, 3}}, {int64_t{-2}, int64_t{0}, int64_t{1}}},
                    {{Shape{2, 3, 4}}, {int64_t{1}, int64_t{-2}, int64_t{-1}}},
                    {{Shape{3, 2, 3}}, {int64_t{-1}, int64_t{2}, int64_t{0}}},
                    {{Shape{2, 2}}, {int64_t{5}, int64_t{0}, int64_t{1}}}}},
       .dtypes = DTypes::kAny},
      {.name = "undiagonal",
       .js = "undiagonal",
       .args = {tensor_arg("tensor"), dims_arg("shape"), axes[0], axes[1], axes[2]},
       .doc = "Zeros of `shape` with the tensor where diagonal of the same arguments would look: its gradient.",
       .forward = undiagonal_forward,
       .gradient = {{kNothing,
                     [](const GradientCall& c) {
                       return diagonal(c.gradient, c.integer(1), c.integer(2), c.integer(3));
                     }}},
       .reference = undiagonal_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3}}, {Dims{3, 4}, int64_t{0}, int64_t{0}, int64_t{1}}},
                    {{Shape{2, 3}}, {Dims{2, 3, 4}, int64_t{1}, int64_t{1}, int64_t{2}}},
                    {{Shape{0}}, {Dims{2, 2}, int64_t{5}, int64_t{0}, int64_t{1}}}}},
       .dtypes = DTypes::kAny},
      {.name = "diag",
       .js = "diag",
       .args = {tensor_arg("tensor"), int_arg("offset", 0)},
       .doc = "Of a vector, the square matrix with it on the `offset`-th diagonal; of a matrix, that diagonal.",
       .forward = diag_forward,
       .gradient = Gradient::composed(),
       .reference = diag_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3}}, {int64_t{0}}},
                    {{Shape{2}}, {int64_t{-2}}},
                    {{Shape{3, 4}}, {int64_t{1}}},
                    {{Shape{0}}, {int64_t{0}}}}},
       .dtypes = DTypes::kAny},
  };
}

}  // namespace

std::span<const Op> rearrange_ops() {
  static const std::vector<Op> rows = joined({moving_rows(), diagonal_rows()});
  return rows;
}

}  // namespace sm::ops
