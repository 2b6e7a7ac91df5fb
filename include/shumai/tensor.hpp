#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "shumai/dtype.hpp"
#include "shumai/shape.hpp"
#include "shumai/task_fwd.hpp"

namespace sm {

class Gradients;
class Index;
class Node;
class Tensor;
class TensorImpl;

namespace util {
template <class T>
class Ref;
class Buffer;
}  // namespace util

template <class T>  // a number of a tensor, as C++ has it
concept Element = std::is_arithmetic_v<T> || std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;

struct BackwardOptions {
  // Keep the graph, so that backward can run through it again.
  bool retain_graph = false;
  // Record the gradients' own graph, so that those that backward returns can be
  // differentiated. Implies retain_graph.
  bool create_graph = false;
};

// A multi-dimensional array of one dtype, with the graph that computed it.
//
// A Tensor is a handle: copies share the same tensor, and are cheap. What an
// operation returns never changes afterwards; only a leaf (a weight, a buffer)
// can get a new value, through update(). Graphs and views keep the value that
// they saw.
//
// Copying and destroying handles is thread-safe, and so is reading one tensor
// from several threads. update(), requires_grad(bool) and backward need the
// caller to keep others away; inside a server its handlers are, by design.
class Tensor {
 public:
  // Undefined: no shape, no dtype; only defined(), assignment and comparison with itself make sense.
  Tensor() noexcept {}

  // A rank-0 constant. As an operand it adapts to the other's dtype within its
  // kind, like a Python number in PyTorch: `x * 2.0` keeps a float32 `x` float32.
  template <class T>
  requires std::is_arithmetic_v<T> Tensor(T value) : Tensor(make_number(value)) {}

  Tensor(const Tensor& other) noexcept;
  Tensor(Tensor&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Tensor& operator=(Tensor other) noexcept {
    std::swap(impl_, other.impl_);
    return *this;
  }
  ~Tensor();

  bool defined() const noexcept { return impl_ != nullptr; }
  // True when both are handles of one tensor.
  bool same_as(const Tensor& other) const noexcept { return impl_ == other.impl_; }

  const Shape& shape() const;
  const Dims& strides() const;  // in elements; 0 marks a broadcast axis
  int ndim() const;
  int64_t size(int axis) const;  // negative axes count from the end
  int64_t elements() const;
  DType dtype() const;
  size_t nbytes() const;  // of the elements, not of the storage that they are in
  bool is_contiguous() const;

  // Asks for gradients with respect to this tensor. Returns the same tensor.
  // Throws Error (kDTypeMismatch) for an integer tensor.
  Tensor requires_grad(bool required) const;
  bool requires_grad() const;

  // The gradient that the last backward left here, without a graph; undefined when there is none.
  Tensor grad() const;
  void set_grad(const Tensor& gradient) const;

  // The same values, cut off from the graph.
  Tensor detach() const;
  // The same values in storage of their own, cut off from the graph.
  Tensor copy() const;

  // Gives a leaf a new value of the same shape, cast to its dtype. Graphs that
  // saw the old value keep it. Throws Error for a tensor with a graph
  // (kInvalidArgument) or another shape (kShapeMismatch).
  void update(const Tensor& value) const;
  // Counts update() calls, from 0.
  uint64_t version() const;

  // Differentiates this tensor with respect to every leaf below it that
  // requires gradients. `jacobian` is the gradient flowing in, of this shape;
  // it may be left out for a tensor of one element. Sets .grad() on those
  // leaves and on the tensors between that are still held. Consumes the graph
  // unless told otherwise. Throws Error when the graph crosses the network
  // (use backward_async) or was consumed (kGone).
  Gradients backward(const Tensor& jacobian = {}, BackwardOptions options = {}) const;
  // The same, for graphs that may cross the network. Branches that wait for
  // other machines run concurrently. When it throws, the graph is intact.
  Task<Gradients> backward_async(Tensor jacobian = {}, BackwardOptions options = {}) const;

  // The only element, converted. Throws Error (kShapeMismatch) unless elements() == 1.
  template <class T>
  requires std::is_arithmetic_v<T> T item()
  const {
    if constexpr (std::is_floating_point_v<T>)
      return static_cast<T>(item_double());
    else
      return static_cast<T>(item_int64());
  }
  // All elements in row order, converted.
  template <Element T>
  std::vector<T> to_vector() const;
  // The elements in place. Throws Error unless contiguous and of this dtype.
  template <Element T>
  const T* data() const {
    return static_cast<const T*>(checked_data(dtype_of<T>));
  }

  // Readable, for people: "tensor([1, 2], float32)", with a line for each row
  // from rank 2 on, at most four digits after the point, and only the first and
  // last three along each axis above 1000 elements.
  std::string to_string() const;

  // Writes this tensor to a file, atomically: NumPy's format when `path` ends in
  // ".npy", else safetensors, under the name "tensor".
  void save(const std::string& path) const;

#include "shumai/tensor_methods.inc"

  // The part that `specs` pick, and a new tensor with another value there; see shumai/index.hpp.
  Tensor index(const std::vector<Index>& specs) const;
  Tensor indexed_assign(const Tensor& value, const std::vector<Index>& specs) const;

  // For the library itself.
  explicit Tensor(TensorImpl* impl) noexcept;
  struct Adopt {};
  Tensor(TensorImpl* impl, Adopt) noexcept : impl_(impl) {}  // takes over a reference that was counted
  TensorImpl* impl() const noexcept { return impl_; }
  TensorImpl& checked_impl() const;  // throws Error when undefined

 private:
  static Tensor make_number(double value);
  static Tensor make_number(int64_t value);
  static Tensor make_number(bool value);
  template <class T>
  static Tensor make_number(T value) {
    if constexpr (std::is_floating_point_v<T>)
      return make_number(static_cast<double>(value));
    else
      return make_number(static_cast<int64_t>(value));
  }
  double item_double() const;
  int64_t item_int64() const;
  const void* checked_data(DType dtype) const;

  TensorImpl* impl_ = nullptr;
};

// Writes to_string().
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

// Named tensors in a fixed order: what a route takes and returns when one
// tensor isn't enough, and what a file holds. Positional ones are named "0", "1", ...
class Tensors {
 public:
  using Entry = std::pair<std::string, Tensor>;

  Tensors() = default;
  Tensors(std::initializer_list<Entry> entries) : entries_(entries) {}
  explicit Tensors(Tensor only) { set("0", std::move(only)); }

  // Throws Error (kNotFound) that names the key and those that exist.
  const Tensor& operator[](std::string_view name) const;
  const Tensor* find(std::string_view name) const noexcept;
  bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }
  void set(std::string_view name, Tensor tensor);  // replaces one of that name
  size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }
  const Entry& at(size_t position) const { return entries_.at(position); }

 private:
  std::vector<Entry> entries_;
};

// --- Making tensors. All are leaves without gradients until asked. ---

// A rank-0 tensor.
template <Element T>
Tensor scalar(T value);

// Copies `count` elements of T from `data`, row by row.
template <Element T>
Tensor from_data(const T* data, const Shape& shape);

// Copies a flat list; rank 1, or `shape` when given. Throws Error
// (kShapeMismatch) when the shape needs another number of elements.
template <Element T>
Tensor tensor(const std::vector<T>& values);
template <Element T>
Tensor tensor(const std::vector<T>& values, const Shape& shape);
// Nested braces: tensor({1.f, 2.f}) has shape [2], tensor({{1, 2}, {3, 4}}) has [2, 2].
template <Element T>
Tensor tensor(std::initializer_list<T> values) {
  return tensor(std::vector<T>(values));
}
template <Element T>
Tensor tensor(std::initializer_list<std::initializer_list<T>> rows);

// Uninitialised elements, for code that fills them through mutable_data().
Tensor empty(const Shape& shape, DType dtype = DType::f32);
// Elements for writing; throws Error unless the tensor is contiguous, of this
// dtype, a leaf, and the only user of its storage.
template <Element T>
T* mutable_data(const Tensor& tensor);

// Tensors of a safetensors file, or of a .npy file of NumPy's, whose only one is
// named "tensor". Throws Error (kNotFound, kProtocol, kDTypeMismatch).
Tensors load(const std::string& path);
// Writes named tensors to a safetensors file, atomically (a new file, renamed);
// or a single one to a .npy file, when `path` ends so. Throws Error
// (kInvalidArgument) for several in one .npy, kDTypeMismatch for bfloat16 there.
void save(const std::string& path, const Tensors& tensors);

// Whether operations record graphs on this thread; true at first.
bool grad_enabled() noexcept;

// Turns graph recording off for its lifetime, on this thread. Must not be held across co_await.
class NoGrad {
 public:
  NoGrad() noexcept;
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

// --- Implementation of the templates above. ---

namespace detail {
Tensor from_bytes(const void* data, const Shape& shape, DType dtype, int64_t count);
Tensor cast(const Tensor& tensor, DType dtype);               // without a graph
void to_bytes(const Tensor& tensor, DType dtype, void* out);  // converts, row by row
void* mutable_bytes(const Tensor& tensor, DType dtype);
}  // namespace detail

template <Element T>
Tensor scalar(T value) {
  return detail::from_bytes(&value, {}, dtype_of<T>, 1);
}

template <Element T>
Tensor from_data(const T* data, const Shape& shape) {
  return detail::from_bytes(data, shape, dtype_of<T>, elements_of(shape));
}

template <Element T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  if constexpr (std::is_same_v<T, bool>) {
    const std::unique_ptr<bool[]> bytes(new bool[values.size()]);
    for (size_t i = 0; i < values.size(); ++i) bytes[i] = values[i];
    return detail::from_bytes(bytes.get(), shape, DType::boolean, static_cast<int64_t>(values.size()));
  } else {
    return detail::from_bytes(values.data(), shape, dtype_of<T>, static_cast<int64_t>(values.size()));
  }
}

template <Element T>
Tensor tensor(const std::vector<T>& values) {
  return tensor(values, Shape(static_cast<int64_t>(values.size())));
}

template <Element T>
Tensor tensor(std::initializer_list<std::initializer_list<T>> rows) {
  std::vector<T> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  const int64_t columns = rows.size() ? static_cast<int64_t>(rows.begin()->size()) : 0;
  return tensor(flat, Shape{static_cast<int64_t>(rows.size()), columns});
}

template <Element T>
T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(detail::mutable_bytes(tensor, dtype_of<T>));
}

template <Element T>
std::vector<T> Tensor::to_vector() const {
  if constexpr (std::is_same_v<T, bool>) {
    const std::vector<uint8_t> bytes = to_vector<uint8_t>();
    return std::vector<bool>(bytes.begin(), bytes.end());
  } else {
    std::vector<T> out(static_cast<size_t>(elements()));
    detail::to_bytes(*this, dtype_of<T>, out.data());
    return out;
  }
}

}  // namespace sm
