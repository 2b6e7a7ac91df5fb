#include "shumai/dlpack.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "codec/bytes.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm {
namespace {

using dlpack::Array;
using dlpack::DataType;

static_assert(sizeof(void*) == 8 && sizeof(Array) == 48 && offsetof(Array, shape) == 24 &&
              sizeof(dlpack::Managed) == 64 && sizeof(dlpack::ManagedVersioned) == 80 &&
              offsetof(dlpack::ManagedVersioned, array) == 32);

enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kBool = 6 };

[[noreturn]] void fail(ErrorCode code, const std::string& what) { throw Error(code, "dlpack: " + what); }

DataType type_of(DType dtype) {
  Code code = is_floating(dtype) ? kFloat : is_signed(dtype) ? kInt : kUInt;
  if (dtype == DType::bf16) code = kBfloat;
  if (dtype == DType::boolean) code = kBool;
  return {code, static_cast<uint8_t>(8 * size_of(dtype)), 1};
}

DType dtype_of_array(const DataType& type) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    const DataType known = type_of(dtype);
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) return dtype;
  }
  fail(ErrorCode::kDTypeMismatch, "no dtype for elements of code " + std::to_string(type.code) + ", " +
                                      std::to_string(type.bits) + " bits, " + std::to_string(type.lanes) + " lanes");
}

// What an array given away owns: the memory, and the lists that the struct points to.
template <class Struct>
struct Given {
  Struct managed;
  util::BufferRef storage;
  Dims shape;
  Dims strides;

  static void release(Struct* self) { delete static_cast<Given*>(self->context); }
};

template <class Struct>
Struct* give(const Tensor& tensor) {
  TensorImpl& impl = tensor.checked_impl();
  auto given = std::make_unique<Given<Struct>>();
  given->storage = impl.storage();
  given->shape = impl.shape;
  given->strides = impl.strides;
  Array& array = given->managed.array;
  array.data = impl.bytes();
  array.ndim = impl.shape.size();
  array.dtype = type_of(impl.dtype);
  array.shape = given->shape.data();
  array.strides = given->strides.data();
  given->managed.context = given.get();
  given->managed.deleter = Given<Struct>::release;
  return &given.release()->managed;
}

// The bytes before and from the first element that the strides reach.
struct Reach {
  int64_t before = 0;
  int64_t after = 0;
};

Reach reach_of(const Shape& shape, const Dims& strides, DType dtype) {
  Reach reach;
  if (shape.contains(0)) return reach;
  bool fits = true;
  for (int i = 0; i < shape.size(); ++i) {
    int64_t way = 0;
    fits = fits && !__builtin_mul_overflow(shape[i] - 1, strides[i], &way);
    int64_t& side = way < 0 ? reach.before : reach.after;
    fits = fits && !__builtin_sub_overflow(side, way < 0 ? way : -way, &side);
  }
  const auto element = static_cast<int64_t>(size_of(dtype));
  fits = fits && !__builtin_mul_overflow(reach.before, element, &reach.before) &&
         !__builtin_mul_overflow(reach.after + 1, element, &reach.after);
  if (!fits) fail(ErrorCode::kInvalidArgument, "strides " + strides.to_string() + " reach too far");
  return reach;
}

void check(const Array& array) {
  if (array.device.type != 1 && array.device.type != 3 && array.device.type != 11)
    fail(ErrorCode::kInvalidArgument,
         "the array is on a device of type " + std::to_string(array.device.type) + ", expected the CPU (1)");
  if (array.ndim < 0 || array.ndim > Dims::kMaxRank)
    fail(ErrorCode::kInvalidArgument,
         std::to_string(array.ndim) + " dimensions, expected 0 to " + std::to_string(Dims::kMaxRank));
  if (array.ndim > 0 && !array.shape) fail(ErrorCode::kInvalidArgument, "the array has no shape");
}

template <class Struct>
Tensor take(Struct* managed, bool writable) {
  const Array& array = managed->array;
  check(array);
  const DType dtype = dtype_of_array(array.dtype);
  const size_t rank = static_cast<size_t>(array.ndim);
  const Shape shape(std::span<const int64_t>(array.shape, rank));
  for (int64_t size : shape)
    if (size < 0) fail(ErrorCode::kInvalidArgument, "a negative size in " + shape.to_string());
  if (!codec::bytes_of(shape, dtype)) fail(ErrorCode::kTooLarge, "shape " + shape.to_string() + " is too large");
  const Dims strides = array.strides ? Dims(std::span<const int64_t>(array.strides, rank)) : contiguous_strides(shape);
  const Reach reach = reach_of(shape, strides, dtype);
  auto* first = static_cast<std::byte*>(array.data) + array.byte_offset;
  if (reach.after > 0 && !array.data) fail(ErrorCode::kInvalidArgument, "the array has no data");
  if (reinterpret_cast<uintptr_t>(first) % size_of(dtype) != 0)
    fail(ErrorCode::kInvalidArgument, "elements of " + std::string(name_of(dtype)) + " aren't aligned");
  // The owner is armed last: what throws before leaves the array to the caller.
  auto armed = std::make_shared<bool>(false);
  const std::shared_ptr<void> owner(static_cast<void*>(managed), [armed](void* of) {
    auto* back = static_cast<Struct*>(of);
    if (*armed && back->deleter) back->deleter(back);
  });
  util::BufferRef buffer =
      util::Buffer::wrap(first - reach.before, static_cast<size_t>(reach.before + reach.after), owner, writable);
  const int64_t offset = reach.before / static_cast<int64_t>(size_of(dtype));
  Tensor out(new TensorImpl(std::move(buffer), dtype, shape, strides, offset));
  *armed = true;
  return out;
}

}  // namespace

dlpack::ManagedVersioned* to_dlpack(const Tensor& tensor, bool copy) {
  auto* managed = give<dlpack::ManagedVersioned>(copy ? tensor.copy() : tensor);
  managed->flags = copy ? dlpack::kCopied : dlpack::kReadOnly;
  return managed;
}

dlpack::Managed* to_dlpack_unversioned(const Tensor& tensor) { return give<dlpack::Managed>(tensor.copy()); }

Tensor from_dlpack(dlpack::ManagedVersioned* array) {
  if (!array) fail(ErrorCode::kInvalidArgument, "the array is null");
  if (array->version.major != 1)
    fail(ErrorCode::kInvalidArgument, "version " + std::to_string(array->version.major) + "." +
                                          std::to_string(array->version.minor) + ", expected 1");
  return take(array, (array->flags & dlpack::kReadOnly) == 0);
}

Tensor from_dlpack(dlpack::Managed* array) {
  if (!array) fail(ErrorCode::kInvalidArgument, "the array is null");
  return take(array, true);
}

}  // namespace sm
