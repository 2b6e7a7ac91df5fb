#include <algorithm>
#include <charconv>
#include <cstdint>

#include "ops/common.hpp"
#include "ops/indices.hpp"
#include "shumai/index.hpp"
#include "shumai/ops.hpp"

namespace sm {
namespace {

[[noreturn]] void reject_text(const std::string& text) {
  throw Error(ErrorCode::kInvalidArgument,
              "index: expects text such as \"2\", \"1:5\", \"::-1\" or \"...\", got \"" + text + "\"");
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The number between two colons; nothing where none is written.
std::optional<int64_t> number_in(const std::string& part, const std::string& text) {
  const std::string digits = trimmed(part);
  if (digits.empty()) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) reject_text(text);
  return value;
}

// What specs pick from a tensor: a window, of which some axes of size 1 then go, and tensors for axes of what is left.
struct Picked {
  Dims starts, counts, steps;
  Dims dropped;
  struct Along {
    int axis;
    Tensor positions;
  };
  std::vector<Along> tensors;
};

// The axes that a spec is for.
int width_of(const Index& spec) {
  const Tensor* tensor = std::get_if<Tensor>(&spec.value());
  if (tensor && tensor->dtype() == DType::boolean) return tensor->ndim();
  return std::holds_alternative<Index::Rest>(spec.value()) ? 0 : 1;
}

class Picker {
 public:
  Picker(const char* op, const Shape& shape) : op_(op), shape_(shape) {}

  Picked pick(const std::vector<Index>& specs) {
    int width = 0, rests = 0;
    for (const Index& spec : specs) {
      width += width_of(spec);
      rests += std::holds_alternative<Index::Rest>(spec.value());
    }
    if (width > shape_.size() || rests > 1)
      throw Error(ErrorCode::kInvalidArgument,
                  op_ + ": expects at most one spec an axis and one \"...\", got specs for " + std::to_string(width) +
                      " axes and " + std::to_string(rests) + " \"...\" for shape " + shape_.to_string());
    for (const Index& spec : specs) {
      if (std::holds_alternative<Index::Rest>(spec.value()))
        whole(shape_.size() - width);
      else
        std::visit([this](const auto& value) { add(value); }, spec.value());
    }
    whole(shape_.size() - axis());
    return std::move(out_);
  }

 private:
  int axis() const { return out_.starts.size(); }

  void push(int64_t start, int64_t count, int64_t step) {
    out_.starts.push_back(start);
    out_.counts.push_back(count);
    out_.steps.push_back(step);
  }

  void whole(int axes) {
    for (int i = 0; i < axes; ++i) push(0, shape_[axis()], 1);
  }

  void add(Index::Rest) {}

  void add(int64_t position) {
    const int64_t size = shape_[axis()];
    if (position < -size || position >= size)
      throw Error(ErrorCode::kOutOfRange, op_ + ": position " + std::to_string(position) +
                                              " is out of range for axis " + std::to_string(axis()) + " of size " +
                                              std::to_string(size));
    out_.dropped.push_back(axis());
    push(position < 0 ? position + size : position, 1, 1);
  }

  void add(const Slice& slice) {
    const int64_t size = shape_[axis()];
    if (slice.step == 0) throw Error(ErrorCode::kInvalidArgument, op_ + ": a slice's step can't be 0");
    // A longer step reaches no further element, but may overflow.
    const int64_t step = std::clamp(slice.step.value_or(1), -size - 1, size + 1);
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto place = [&](std::optional<int64_t> bound, int64_t missing) {
      if (!bound) return missing;
      return std::clamp(*bound < 0 ? std::max(*bound, -size - 1) + size : *bound, low, high);
    };
    const int64_t start = place(slice.start, step > 0 ? low : high), stop = place(slice.stop, step > 0 ? high : low);
    const int64_t span = step > 0 ? stop - start : start - stop, stride = step > 0 ? step : -step;
    const int64_t count = span > 0 ? (span - 1) / stride + 1 : 0;
    push(count ? start : 0, count, step);
  }

  void add(const Tensor& tensor) {
    if (tensor.dtype() == DType::boolean) return add_mask(tensor.detach());
    add_positions(tensor.detach());
    whole(1);
  }

  void add_positions(const Tensor& positions) { out_.tensors.push_back({axis() - out_.dropped.size(), positions}); }

  void add_mask(const Tensor& mask) {
    bool fits = mask.ndim() > 0;
    for (int i = 0; fits && i < mask.ndim(); ++i) fits = mask.shape()[i] == shape_[axis() + i];
    if (!fits)
      throw Error(ErrorCode::kShapeMismatch, op_ + ": a mask of shape " + mask.shape().to_string() +
                                                 " doesn't fit shape " + shape_.to_string() + " from axis " +
                                                 std::to_string(axis()) + " on");
    const Tensor positions = nonzero(mask);
    for (int i = 0; i < mask.ndim(); ++i) {
      add_positions(squeeze(slice(positions, 1, i, i + 1), 1));
      whole(1);
    }
  }

  std::string op_;
  const Shape& shape_;
  Picked out_;
};

// `tensor` picked along several axes at once, whose positions broadcast together.
Tensor pick_along(const char* op, Tensor tensor, const std::vector<Picked::Along>& picks) {
  const int width = static_cast<int>(picks.size());
  Shape common;
  for (const auto& [axis, positions] : picks) common = broadcast(common, positions.shape(), op);
  std::vector<int64_t> flat(static_cast<size_t>(elements_of(common)), 0);
  int64_t span = 1;
  for (const auto& [axis, positions] : picks) {
    const int64_t size = tensor.shape()[axis];
    const ops::Positions mine = ops::checked_indices(op, expand(positions, common), size, ops::FromEnd::kNegative);
    for (size_t i = 0; i < flat.size(); ++i) flat[i] = flat[i] * size + mine[i];
    span *= size;
  }
  int axis = picks[0].axis;
  if (picks.back().axis - axis != width - 1) {
    Dims order;
    for (const Picked::Along& pick : picks) order.push_back(pick.axis);
    for (int i = 0; i < tensor.ndim(); ++i)
      if (!order.contains(i)) order.push_back(i);
    tensor = transpose(tensor, order);
    axis = 0;
  }
  if (width > 1) {
    Shape joined;
    for (int i = 0; i < tensor.ndim(); ++i)
      if (i <= axis || i >= axis + width) joined.push_back(i == axis ? span : tensor.shape()[i]);
    tensor = reshape(tensor, joined);
  }
  return take(tensor, sm::tensor(flat, common), axis);
}

Tensor apply(const char* op, const Tensor& tensor, const Picked& picked) {
  Tensor out = window(tensor, picked.starts, picked.counts, picked.steps);
  if (!picked.dropped.empty()) out = squeeze(out, picked.dropped);
  return picked.tensors.empty() ? out : pick_along(op, out, picked.tensors);
}

// `value` broadcast to `shape`; axes of size 1 that it has in front of that go.
Tensor spread(const Tensor& value, const Shape& shape) {
  Shape own = value.shape();
  while (own.size() > shape.size() && own[0] == 1) own.erase(0);
  if (!ops::broadcasts_to(own, shape))
    throw Error(ErrorCode::kShapeMismatch, "indexed_assign: a value of shape " + value.shape().to_string() +
                                               " doesn't broadcast to the part's shape " + shape.to_string());
  return expand(reshape(value, own), shape);
}

// The mask, when it is all that is given and is for all axes.
const Tensor* only_mask(const Tensor& tensor, const std::vector<Index>& specs) {
  const Tensor* mask = specs.size() == 1 ? std::get_if<Tensor>(&specs[0].value()) : nullptr;
  return mask && mask->dtype() == DType::boolean && mask->shape() == tensor.shape() ? mask : nullptr;
}

}  // namespace

Index::Index(const std::string& given) : value_(int64_t{0}) {
  const std::string text = trimmed(given);
  if (text == "...") {
    value_ = Rest::kAll;
    return;
  }
  std::vector<std::optional<int64_t>> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(':', begin), text.size());
    parts.push_back(number_in(text.substr(begin, end - begin), given));
    begin = end + 1;
  }
  if (parts.size() > 3 || (parts.size() == 1 && !parts[0])) reject_text(given);
  if (parts.size() == 1)
    value_ = *parts[0];
  else
    value_ = Slice{parts[0], parts[1], parts.size() > 2 ? parts[2] : std::nullopt};
}

Tensor index(const Tensor& tensor, const std::vector<Index>& specs) {
  return apply("index", tensor, Picker("index", tensor.shape()).pick(specs));
}

Tensor indexed_assign(const Tensor& tensor, const Tensor& value, const std::vector<Index>& specs) {
  ops::check_holds("indexed_assign", tensor.dtype(), value);
  if (const Tensor* mask = only_mask(tensor, specs); mask && value.ndim() == 0)
    return masked_fill(tensor, *mask, value);
  const Picked picked = Picker("indexed_assign", tensor.shape()).pick(specs);
  if (picked.tensors.empty()) {
    Shape part;
    for (int i = 0; i < picked.counts.size(); ++i)
      if (!picked.dropped.contains(i)) part.push_back(picked.counts[i]);
    Tensor whole = spread(value, part);
    for (int64_t axis : picked.dropped) whole = unsqueeze(whole, axis);
    return assign_window(tensor, whole, picked.starts, picked.counts, picked.steps);
  }
  std::vector<int64_t> order(static_cast<size_t>(tensor.elements()));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  const Tensor places = apply("indexed_assign", sm::tensor(order, tensor.shape()), picked);
  const Tensor values = reshape(spread(value, places.shape()), -1);
  return reshape(scatter(reshape(tensor, -1), reshape(places, -1), values), tensor.shape());
}

Tensor Tensor::index(const std::vector<Index>& specs) const { return sm::index(*this, specs); }
Tensor Tensor::indexed_assign(const Tensor& value, const std::vector<Index>& specs) const {
  return sm::indexed_assign(*this, value, specs);
}

}  // namespace sm
