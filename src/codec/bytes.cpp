#include "codec/bytes.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "tensor/impl.hpp"

namespace sm::codec {

std::optional<size_t> bytes_of(const Shape& shape, DType dtype) {
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  for (int64_t size : shape)
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) return std::nullopt;
  return shape.contains(0) ? 0 : static_cast<size_t>(bytes);
}

util::Slice elements_in_order(const Tensor& tensor) {
  TensorImpl& impl = tensor.checked_impl();
  const size_t bytes = tensor.nbytes();
  if (impl.is_contiguous) return {impl.storage(), impl.bytes(), bytes};
  util::BufferRef copy = util::Buffer::allocate(bytes);
  detail::to_bytes(tensor, impl.dtype, copy->data());
  const std::byte* data = copy->data();
  return {std::move(copy), data, bytes};
}

Tensor tensor_at(const util::BufferRef& body, size_t position, const Shape& shape, DType dtype) {
  const std::byte* data = body->data() + position;
  const size_t element = size_of(dtype);
  const bool aligned = position % element == 0 && reinterpret_cast<uintptr_t>(data) % element == 0;
  if (aligned) return make_from_buffer(body, position, shape, dtype);
  return detail::from_bytes(data, shape, dtype, elements_of(shape));
}

bool are_booleans(const std::byte* data, size_t count) {
  uint8_t seen = 0;
  for (size_t i = 0; i < count; ++i) seen |= static_cast<uint8_t>(data[i]);
  return seen <= 1;
}

util::Slice to_slice(std::string text) {
  auto owner = std::make_shared<std::string>(std::move(text));
  const size_t size = owner->size();
  util::BufferRef buffer = util::Buffer::wrap(owner->data(), size, owner, true);
  const std::byte* data = buffer->data();
  return {std::move(buffer), data, size};
}

}  // namespace sm::codec
