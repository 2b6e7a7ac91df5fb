#include "util/block_cache.hpp"

#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace sm::util {
namespace {

// Smaller ones stay with malloc, whose own caches serve them well. Sanitizers
// see wrong accesses only in memory that really comes and goes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kSmallestCached = SIZE_MAX;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr size_t kSmallestCached = SIZE_MAX;
#else
constexpr size_t kSmallestCached = 64 * 1024;
#endif
#else
constexpr size_t kSmallestCached = 64 * 1024;
#endif

struct Cache {
  std::mutex mutex;
  std::map<size_t, std::vector<void*>> blocks;  // by size; guarded by mutex
  size_t bytes = 0;                             // guarded by mutex
};

// Never destroyed: buffers may be freed while the process ends.
Cache& cache() {
  static Cache* instance = new Cache;
  return *instance;
}

// Eight sizes from one power of two to the next, so that at most an eighth is wasted.
size_t size_class(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

}  // namespace

void* allocate_block(size_t alignment, size_t& bytes) noexcept {
  if (bytes < kSmallestCached) {
    bytes = (bytes + alignment - 1) / alignment * alignment;
    return std::aligned_alloc(alignment, bytes);
  }
  bytes = size_class(bytes);
  {
    const std::lock_guard lock(cache().mutex);
    const auto found = cache().blocks.find(bytes);
    if (found != cache().blocks.end() && !found->second.empty()) {
      void* block = found->second.back();
      found->second.pop_back();
      cache().bytes -= bytes;
      return block;
    }
  }
  return std::aligned_alloc(alignment, bytes);
}

void free_block(void* block, size_t bytes) noexcept {
  if (bytes >= kSmallestCached && bytes <= kMostCachedBlockBytes / 4) {
    const std::lock_guard lock(cache().mutex);
    if (cache().bytes + bytes <= kMostCachedBlockBytes) {
      try {
        cache().blocks[bytes].push_back(block);
        cache().bytes += bytes;
        return;
      } catch (const std::bad_alloc&) {  // no room to remember it: it goes back
      }
    }
  }
  std::free(block);
}

size_t cached_block_bytes() noexcept {
  const std::lock_guard lock(cache().mutex);
  return cache().bytes;
}

}  // namespace sm::util
