#pragma once

#include <cstddef>

namespace sm::util {

// Memory for buffers. Large blocks that were freed are kept for the next ones
// of about their size: the system would take them back and give them out page
// by page again, at many times the cost of using them. Thread-safe.

// A block of at least `bytes`, aligned to `alignment` (a power of two), or null.
// `bytes` becomes what it really holds, which free_block needs.
void* allocate_block(size_t alignment, size_t& bytes) noexcept;
void free_block(void* block, size_t bytes) noexcept;

// Kept now, and at most.
size_t cached_block_bytes() noexcept;
inline constexpr size_t kMostCachedBlockBytes = size_t{128} << 20;

}  // namespace sm::util
