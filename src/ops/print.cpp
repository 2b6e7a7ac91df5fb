#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "kernels/types.hpp"
#include "tensor/impl.hpp"

namespace sm {
namespace {

constexpr int64_t kAbbreviateAbove = 1000;  // elements
constexpr int64_t kEdge = 3;                // indices shown at either end of an abbreviated axis
constexpr size_t kLineWidth = 80;
constexpr int64_t kGap = -1;  // stands for the indices left out
constexpr int kDigits = 4;    // after the point, at most

std::vector<int64_t> shown_indices(int64_t size, bool abbreviate) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < size; ++i) {
    if (abbreviate && size > 2 * kEdge && i == kEdge) {
      indices.push_back(kGap);
      i = size - kEdge;
    }
    indices.push_back(i);
  }
  return indices;
}

// How all numbers of one tensor are written, so that they line up.
struct Notation {
  bool scientific = false;
  int digits = 0;

  std::string operator()(double value) const {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
    return scientific ? fmt::format("{:.{}e}", value, digits) : fmt::format("{:.{}f}", value, digits);
  }

  // Digits after the point without the zeros at their end.
  int needed(double value) const {
    const std::string text = Notation{scientific, kDigits}(value);
    int left = kDigits;
    for (size_t at = text.find('.') + kDigits; left > 0 && text[at] == '0'; --at) --left;
    return left;
  }
};

Notation notation_for(const std::vector<double>& values) {
  Notation notation;
  for (double value : values)
    if (const double size = std::abs(value); std::isfinite(value) && value != 0)
      notation.scientific = notation.scientific || size >= 1e8 || size < 1e-4;
  int digits = 0;
  for (double value : values)
    if (std::isfinite(value)) digits = std::max(digits, notation.needed(value));
  notation.digits = digits;
  return notation;
}

class Printer {
 public:
  explicit Printer(const Tensor& tensor) : impl_(*tensor.impl()) {
    for (int64_t size : impl_.shape) shown_.push_back(shown_indices(size, impl_.elements > kAbbreviateAbove));
    read(0, impl_.offset);
    align();
  }

  std::string body() {
    std::string out = "tensor(";
    column_ = out.size();
    write(out, 0);
    return out;
  }

 private:
  int rank() const { return impl_.shape.size(); }

  // Collects the shown elements in the order in which they are written.
  void read(int axis, int64_t at) {
    if (axis == rank()) return read_element(at);
    for (int64_t index : shown_[static_cast<size_t>(axis)])
      if (index != kGap) read(axis + 1, at + index * impl_.strides[axis]);
  }

  void read_element(int64_t at) {
    const std::byte* place = impl_.storage()->data() + at * static_cast<int64_t>(size_of(impl_.dtype));
    kernels::with_type(impl_.dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      const T value = *reinterpret_cast<const T*>(place);
      if constexpr (std::is_integral_v<T>)
        texts_.push_back(fmt::format("{}", value));
      else
        floats_.push_back(kernels::convert<double>(value));
    });
  }

  void align() {
    const Notation notation = notation_for(floats_);
    for (double value : floats_) texts_.push_back(notation(value));
    size_t width = 0;
    for (const std::string& text : texts_) width = std::max(width, text.size());
    for (std::string& text : texts_) text.insert(0, width - text.size(), ' ');
  }

  void write(std::string& out, int axis) {
    if (axis == rank()) {
      out += texts_[next_++];
      return;
    }
    out += '[';
    ++column_;
    bool first = true;
    for (int64_t index : shown_[static_cast<size_t>(axis)]) {
      if (!first) separate(out, axis);
      first = false;
      if (index == kGap)
        out += "...";
      else
        write(out, axis + 1);
    }
    --column_;
    out += ']';
  }

  // Rows stand below each other, matrices with a blank line between; long rows are broken.
  void separate(std::string& out, int axis) {
    const int inner = rank() - 1 - axis;
    const size_t line = out.size() - (out.rfind('\n') + 1);  // npos + 1 is 0
    if (inner > 0)
      out += "," + std::string(static_cast<size_t>(inner), '\n') + std::string(column_, ' ');
    else if (line + 2 + texts_[0].size() >= kLineWidth)
      out += ",\n" + std::string(column_, ' ');
    else
      out += ", ";
  }

  TensorImpl& impl_;
  std::vector<std::vector<int64_t>> shown_;
  std::vector<double> floats_;
  std::vector<std::string> texts_;
  size_t next_ = 0;
  size_t column_ = 0;
};

}  // namespace

std::string Tensor::to_string() const {
  if (!defined()) return "tensor(undefined)";
  const std::string dtype(name_of(this->dtype()));
  if (elements() == 0)
    return ndim() == 1 ? "tensor([], " + dtype + ")" : "tensor([], shape=" + shape().to_string() + ", " + dtype + ")";
  return Printer(*this).body() + ", " + dtype + ")";
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) { return out << tensor.to_string(); }

}  // namespace sm
