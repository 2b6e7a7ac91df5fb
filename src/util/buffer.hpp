#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "util/block_cache.hpp"
#include "util/ref.hpp"

namespace sm::util {

// A block of bytes shared by counting: what a tensor stores its elements in,
// and what a message body is read into, so that a body becomes a tensor
// without a copy. Data is aligned to kAlignment unless wrapped from outside.
// Counting is thread-safe; writing needs a sole owner (unique()) or care.
class Buffer final : public RefCounted {
 public:
  static constexpr size_t kAlignment = kBlockAlignment;

  // Uninitialised. Throws sm::Error (kTooLarge) when memory can't be had.
  static Ref<Buffer> allocate(size_t bytes);

  // Foreign memory, kept alive by `owner`. It may be written through the
  // buffer only when `writable`.
  static Ref<Buffer> wrap(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable);

  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }
  bool writable() const noexcept { return writable_; }
  // Whether others than the holders of this buffer may know the memory, and write to it.
  bool foreign() const noexcept { return owner_ != nullptr; }
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  static void destroy(Buffer* buffer) noexcept;

  // Bytes held now by all buffers that allocate() made. Thread-safe.
  static size_t bytes_in_use() noexcept;

 private:
  Buffer(std::byte* data, size_t size, std::shared_ptr<void> owner, bool writable, size_t block_bytes)
      : data_(data), size_(size), owner_(std::move(owner)), writable_(writable), block_bytes_(block_bytes) {}
  ~Buffer() = default;

  std::byte* data_;
  size_t size_;
  std::shared_ptr<void> owner_;  // set for foreign memory only
  bool writable_;
  size_t block_bytes_;  // of the block that holds this header, for its return
};

using BufferRef = Ref<Buffer>;

// Part of a buffer. `owner` may be null for bytes that live for ever.
struct Slice {
  BufferRef owner;
  const std::byte* data = nullptr;
  size_t size = 0;
};

}  // namespace sm::util
