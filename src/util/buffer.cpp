#include "util/buffer.hpp"

#include <new>
#include <string>

#include "shumai/error.hpp"
#include "util/block_cache.hpp"

namespace sm::util {
namespace {

// Above it no machine of today has memory, and sizes no longer round up.
constexpr size_t kMost = size_t{1} << 60;

constexpr size_t kHeader = (sizeof(Buffer) + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;

}  // namespace

BufferRef Buffer::allocate(size_t bytes) {
  // One block: the header, then the elements on the next cache line.
  size_t total = kHeader + bytes;
  void* block = bytes <= kMost ? allocate_block(total) : nullptr;
  if (!block) throw Error(ErrorCode::kTooLarge, "out of memory: can't allocate " + std::to_string(bytes) + " bytes");
  add_to_tally(static_cast<int64_t>(bytes));
  return BufferRef::first(new (block) Buffer(static_cast<std::byte*>(block) + kHeader, bytes, nullptr, true, total));
}

BufferRef Buffer::wrap(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable) {
  size_t total = kHeader;
  void* block = allocate_block(total);
  if (!block) throw Error(ErrorCode::kTooLarge, "out of memory");
  if (!owner) owner = std::shared_ptr<void>(data, [](void*) {});
  return BufferRef::first(new (block) Buffer(static_cast<std::byte*>(data), bytes, std::move(owner), writable, total));
}

void Buffer::destroy(Buffer* buffer) noexcept {
  if (!buffer->owner_) add_to_tally(-static_cast<int64_t>(buffer->size_));
  const size_t block_bytes = buffer->block_bytes_;
  buffer->~Buffer();
  free_block(buffer, block_bytes);
}

size_t Buffer::bytes_in_use() noexcept { return tally(); }

}  // namespace sm::util
