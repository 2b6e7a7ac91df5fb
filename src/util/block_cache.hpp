#pragma once

#include <cstddef>

namespace sm::util {

// Memory for tensors and what surrounds them. Freed blocks are kept for the
// next ones of about their size. Small ones stay with the thread that freed
// them, at a fraction of the cost of an aligned malloc; large ones are shared
// by all threads, since the system would take them back and give them out page
// by page again, at many times the cost of using them. Thread-safe; a block
// may be freed by another thread than the one that got it.

// All blocks are aligned to this.
inline constexpr size_t kBlockAlignment = 64;

// A block of at least `bytes`, or null. `bytes` becomes what it really holds,
// which free_block needs.
void* allocate_block(size_t& bytes) noexcept;
void free_block(void* block, size_t bytes) noexcept;

// Large blocks kept now, and at most.
size_t cached_block_bytes() noexcept;
inline constexpr size_t kMostCachedBlockBytes = size_t{128} << 20;

// What operator new and delete of a class of small objects can be.
void* allocate_object(size_t size);
void free_object(void* object, size_t size) noexcept;

}  // namespace sm::util
