#include "shumai/tensor.hpp"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "shumai/error.hpp"
#include "tensor/impl.hpp"
#include "tensor/recording.hpp"

namespace sm {

constinit thread_local bool detail::recording = true;

namespace {

// Guards every tensor's pending_, for the moment of a copy.
std::mutex pending_mutex;

// The handle of a tensor that was just made.
Tensor first_handle(TensorImpl* impl) {
  impl->retain_first();
  return Tensor(impl, Tensor::Adopt());
}

bool contiguous_layout(const Shape& shape, const Dims& strides) {
  int64_t expected = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

template <class T>
Tensor number_of(T value) {
  Tensor out = make_tensor({}, dtype_of<T>);
  *out.impl()->as<T>() = value;
  out.impl()->is_number = true;
  return out;
}

}  // namespace

TensorImpl::TensorImpl(util::BufferRef storage, DType dtype_, Shape shape_, Dims strides_, int64_t offset_)
    : dtype(dtype_),
      offset(offset_),
      elements(elements_of(shape_)),
      shape(std::move(shape_)),
      strides(std::move(strides_)),
      storage_(std::move(storage)) {
  is_contiguous = elements == 0 || contiguous_layout(shape, strides);
}

TensorImpl::TensorImpl(util::BufferRef storage, DType dtype_, const Shape& shape_, int64_t elements_)
    : dtype(dtype_),
      is_contiguous(true),
      offset(0),
      elements(elements_),
      shape(shape_),
      strides(contiguous_strides(shape_)),
      storage_(std::move(storage)) {}

TensorImpl::TensorImpl(PendingRef pending, DType dtype_, Shape shape_)
    : dtype(dtype_),
      is_contiguous(true),
      offset(0),
      elements(elements_of(shape_)),
      shape(std::move(shape_)),
      strides(contiguous_strides(shape)),
      is_pending_(true),
      pending_(std::move(pending)) {}

TensorImpl::TensorImpl(Alias, const TensorImpl& other)
    : dtype(other.dtype), elements(other.elements), shape(other.shape) {
  share_elements(other);
}

TensorImpl::~TensorImpl() {
  if (node && node->output == this) node->output = nullptr;
}

PendingRef TensorImpl::pending() const {
  if (!is_pending_.load(std::memory_order_acquire)) return nullptr;
  const std::lock_guard lock(pending_mutex);
  return pending_;
}

void TensorImpl::settle() {
  const PendingRef pending = this->pending();
  if (!pending) return;
  util::BufferRef value = pending->value();
  const std::lock_guard lock(pending_mutex);
  if (!pending_) return;
  storage_ = std::move(value);
  pending_ = nullptr;
  is_pending_.store(false, std::memory_order_release);
}

void TensorImpl::share_elements(const TensorImpl& other) {
  PendingRef pending = other.pending();
  storage_ = pending ? nullptr : other.storage_;
  is_pending_.store(bool(pending), std::memory_order_relaxed);
  pending_ = std::move(pending);
  strides = other.strides;
  offset = other.offset;
  is_contiguous = other.is_contiguous;
}

void* TensorImpl::operator new(size_t size) { return util::allocate_object(size); }
void TensorImpl::operator delete(void* block) noexcept { util::free_object(block, sizeof(TensorImpl)); }

Dims contiguous_strides(const Shape& shape) {
  Dims strides = shape;
  int64_t step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i] > 0 ? shape[i] : 1;
  }
  return strides;
}

Tensor make_tensor(const Shape& shape, DType dtype) {
  const int64_t count = elements_of(shape);
  size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<size_t>(count), size_of(dtype), &bytes))
    throw Error(ErrorCode::kTooLarge, "shape: " + shape.to_string() + " has more bytes than fit in memory");
  return first_handle(new TensorImpl(util::Buffer::allocate(bytes), dtype, shape, count));
}

Tensor make_view(const Tensor& base, const Shape& shape, const Dims& strides, int64_t offset) {
  TensorImpl& impl = base.checked_impl();
  return first_handle(new TensorImpl(impl.storage(), impl.dtype, shape, strides, offset));
}

Tensor make_pending(PendingRef pending, const Shape& shape, DType dtype) {
  return Tensor(new TensorImpl(std::move(pending), dtype, shape));
}

Tensor make_alias(const Tensor& tensor) {
  TensorImpl& impl = tensor.checked_impl();
  Tensor alias = first_handle(new TensorImpl(TensorImpl::Alias(), impl));
  alias.impl()->is_number = impl.is_number;
  return alias;
}

Tensor make_from_buffer(util::BufferRef storage, size_t byte_offset, const Shape& shape, DType dtype) {
  return Tensor(new TensorImpl(std::move(storage), dtype, shape, contiguous_strides(shape),
                               static_cast<int64_t>(byte_offset / size_of(dtype))));
}

int normalize_axis(int64_t axis, int ndim, const char* op) {
  const int64_t limit = ndim > 0 ? ndim : 1;
  if (axis < -limit || axis >= limit)
    throw Error(ErrorCode::kOutOfRange, std::string(op) + ": axis " + std::to_string(axis) + " is out of range for " +
                                            std::to_string(ndim) + " dimensions");
  return static_cast<int>(axis < 0 ? axis + limit : axis);
}

Tensor::Tensor(TensorImpl* impl) noexcept : impl_(impl) {
  if (impl_) impl_->retain();
}
Tensor::Tensor(const Tensor& other) noexcept : Tensor(other.impl_) {}
Tensor::~Tensor() {
  if (impl_ && impl_->drop()) TensorImpl::destroy(impl_);
}

Tensor Tensor::make_number(double value) { return number_of(value); }
Tensor Tensor::make_number(int64_t value) { return number_of(value); }
Tensor Tensor::make_number(bool value) { return number_of(value); }

TensorImpl& Tensor::checked_impl() const {
  if (!impl_)
    throw Error(ErrorCode::kInvalidArgument, "tensor is undefined: it was never given a value, or was disposed");
  return *impl_;
}

const Shape& Tensor::shape() const { return checked_impl().shape; }
const Dims& Tensor::strides() const { return checked_impl().strides; }
int Tensor::ndim() const { return checked_impl().shape.size(); }
int64_t Tensor::size(int axis) const { return shape()[normalize_axis(axis, ndim(), "size")]; }
int64_t Tensor::elements() const { return checked_impl().elements; }
DType Tensor::dtype() const { return checked_impl().dtype; }
size_t Tensor::nbytes() const { return static_cast<size_t>(elements()) * size_of(dtype()); }
bool Tensor::is_contiguous() const { return checked_impl().is_contiguous; }

Tensor Tensor::requires_grad(bool required) const {
  TensorImpl& impl = checked_impl();
  if (required && !is_floating(impl.dtype))
    throw Error(ErrorCode::kDTypeMismatch,
                "requires_grad: only floating-point tensors have gradients (convert with astype), got " +
                    std::string(name_of(impl.dtype)));
  if (!required && impl.node)
    throw Error(ErrorCode::kInvalidArgument,
                "requires_grad: a tensor with a graph can't be switched off, use detach()");
  impl.requires_grad = required;
  impl.is_number = false;
  return *this;
}
bool Tensor::requires_grad() const { return checked_impl().requires_grad; }

Tensor Tensor::grad() const { return to_tensor(checked_impl().grad); }
void Tensor::set_grad(const Tensor& gradient) const {
  TensorImpl& impl = checked_impl();
  if (gradient.defined() && gradient.shape() != impl.shape)
    throw Error(ErrorCode::kShapeMismatch, "set_grad: tensor has shape " + impl.shape.to_string() +
                                               ", gradient has shape " + gradient.shape().to_string());
  impl.grad = to_ref(gradient);
}

Tensor Tensor::detach() const { return make_alias(*this); }

void Tensor::update(const Tensor& value) const {
  TensorImpl& impl = checked_impl();
  if (impl.node)
    throw Error(ErrorCode::kInvalidArgument, "update: this tensor is the result of " + std::string(impl.node->name()) +
                                                 "; only weights and other tensors made from data can be updated");
  if (value.shape() != impl.shape)
    throw Error(ErrorCode::kShapeMismatch, "update: tensor has shape " + impl.shape.to_string() + ", value has shape " +
                                               value.shape().to_string());
  const Tensor source = value.dtype() == impl.dtype ? value : detail::cast(value, impl.dtype);
  impl.share_elements(source.checked_impl());
  ++impl.version;
}
uint64_t Tensor::version() const { return checked_impl().version; }

double Tensor::item_double() const {
  double value = 0;
  if (elements() != 1)
    throw Error(ErrorCode::kShapeMismatch, "item: needs exactly one element, got shape " + shape().to_string());
  detail::to_bytes(*this, DType::f64, &value);
  return value;
}

int64_t Tensor::item_int64() const {
  int64_t value = 0;
  if (elements() != 1)
    throw Error(ErrorCode::kShapeMismatch, "item: needs exactly one element, got shape " + shape().to_string());
  detail::to_bytes(*this, DType::i64, &value);
  return value;
}

const void* Tensor::checked_data(DType dtype) const {
  TensorImpl& impl = checked_impl();
  if (impl.dtype != dtype)
    throw Error(ErrorCode::kDTypeMismatch,
                "data: tensor is " + std::string(name_of(impl.dtype)) + ", asked for " + std::string(name_of(dtype)));
  if (!impl.is_contiguous)
    throw Error(ErrorCode::kInvalidArgument, "data: tensor isn't contiguous, call contiguous() first");
  return impl.bytes();
}

Tensor empty(const Shape& shape, DType dtype) { return make_tensor(shape, dtype); }

namespace detail {

Tensor from_bytes(const void* data, const Shape& shape, DType dtype, int64_t count) {
  if (elements_of(shape) != count)
    throw Error(ErrorCode::kShapeMismatch, "tensor: shape " + shape.to_string() + " needs " +
                                               std::to_string(elements_of(shape)) + " elements, got " +
                                               std::to_string(count));
  Tensor out = make_tensor(shape, dtype);
  if (count > 0) std::memcpy(out.impl()->bytes(), data, static_cast<size_t>(count) * size_of(dtype));
  return out;
}

void* mutable_bytes(const Tensor& tensor, DType dtype) {
  TensorImpl& impl = tensor.checked_impl();
  if (impl.dtype != dtype || !impl.is_contiguous || impl.node || !impl.storage()->unique() ||
      !impl.storage()->writable())
    throw Error(ErrorCode::kInvalidArgument, "mutable_data: needs a contiguous " + std::string(name_of(dtype)) +
                                                 " tensor that is a leaf and shares its storage with no other, got " +
                                                 std::string(name_of(impl.dtype)) + " of shape " +
                                                 impl.shape.to_string());
  return impl.bytes();
}

}  // namespace detail

const Tensor& Tensors::operator[](std::string_view name) const {
  if (const Tensor* found = find(name)) return *found;
  std::string names;
  for (const Entry& entry : entries_) names += (names.empty() ? "\"" : ", \"") + entry.first + "\"";
  throw Error(ErrorCode::kNotFound, "tensors: no \"" + std::string(name) + "\" among {" + names + "}");
}

const Tensor* Tensors::find(std::string_view name) const noexcept {
  for (const Entry& entry : entries_)
    if (entry.first == name) return &entry.second;
  return nullptr;
}

void Tensors::set(std::string_view name, Tensor tensor) {
  for (Entry& entry : entries_)
    if (entry.first == name) {
      entry.second = std::move(tensor);
      return;
    }
  entries_.emplace_back(name, std::move(tensor));
}

bool grad_enabled() noexcept { return detail::recording; }

NoGrad::NoGrad() noexcept : before_(std::exchange(detail::recording, false)) {}
NoGrad::~NoGrad() { detail::recording = before_; }

}  // namespace sm
