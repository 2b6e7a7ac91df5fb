#include "util/buffer.hpp"

#include <cstdlib>
#include <new>
#include <string>

#include "shumai/error.hpp"

namespace sm::util {
namespace {

std::atomic<size_t> in_use{0};

constexpr size_t kHeader = (sizeof(Buffer) + Buffer::kAlignment - 1) / Buffer::kAlignment * Buffer::kAlignment;

}  // namespace

BufferRef Buffer::allocate(size_t bytes) {
  // One block: the header, then the elements on the next cache line.
  const size_t total = kHeader + (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* block = total > bytes ? std::aligned_alloc(kAlignment, total) : nullptr;
  if (!block) throw Error(ErrorCode::kTooLarge, "out of memory: can't allocate " + std::to_string(bytes) + " bytes");
  in_use.fetch_add(bytes, std::memory_order_relaxed);
  return BufferRef(new (block) Buffer(static_cast<std::byte*>(block) + kHeader, bytes, nullptr, true));
}

BufferRef Buffer::wrap(void* data, size_t bytes, std::shared_ptr<void> owner, bool writable) {
  void* block = std::aligned_alloc(kAlignment, kHeader);
  if (!block) throw Error(ErrorCode::kTooLarge, "out of memory");
  if (!owner) owner = std::shared_ptr<void>(data, [](void*) {});
  return BufferRef(new (block) Buffer(static_cast<std::byte*>(data), bytes, std::move(owner), writable));
}

void Buffer::destroy(Buffer* buffer) noexcept {
  if (!buffer->owner_) in_use.fetch_sub(buffer->size_, std::memory_order_relaxed);
  buffer->~Buffer();
  std::free(buffer);
}

size_t Buffer::bytes_in_use() noexcept { return in_use.load(std::memory_order_relaxed); }

}  // namespace sm::util
