#include "util/block_cache.hpp"

#include <sys/mman.h>

#include <bit>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace sm::util {

constinit thread_local blocks::ThreadCache* blocks::thread_cache = nullptr;

namespace {

using blocks::ThreadCache;

// Sanitizers see wrong accesses only in memory that really comes and goes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCaches = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kCaches = false;
#else
constexpr bool kCaches = true;
#endif
#else
constexpr bool kCaches = true;
#endif

constexpr size_t kLarge = 64 * 1024;  // from here on, shared by all threads
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kHuge = kHugePage;       // from here on, in huge pages where the system has them
constexpr size_t kFine = kLargestObject;  // up to here, sizes are multiples of the alignment

// Eight sizes from one power of two to the next, so that at most an eighth is wasted.
size_t rounded(size_t bytes) {
  const size_t step = bytes <= kFine ? kBlockAlignment : std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

size_t class_of(size_t size) {
  if (size <= kFine) return size / kBlockAlignment - 1;
  const size_t floor = std::bit_floor(size - 1);
  return blocks::kObjectClasses + static_cast<size_t>(std::countr_zero(floor / kFine)) * 8 +
         (size - floor - 1) / (floor / 8);
}

// The caches of all threads, for the sum of their tallies.
struct Registry {
  std::mutex mutex;
  ThreadCache* first = nullptr;      // guarded by mutex
  std::atomic<int64_t> departed{0};  // of threads that ended
};

// Never destroyed: buffers may be freed while the process ends.
Registry& registry() {
  static Registry* instance = new Registry;
  return *instance;
}

void enter(ThreadCache* cache) {
  const std::lock_guard lock(registry().mutex);
  cache->next = std::exchange(registry().first, cache);
}

void leave(ThreadCache* cache) {
  const std::lock_guard lock(registry().mutex);
  ThreadCache** link = &registry().first;
  while (*link != cache) link = &(*link)->next;
  *link = cache->next;
  registry().departed += cache->tally.load(std::memory_order_relaxed);
}

// What is freed while a thread ends finds out that its cache is gone.
thread_local bool thread_ends = false;

struct Owner {
  ThreadCache* cache;
  Owner() : cache(new ThreadCache) {
    if (kCaches) cache->most = blocks::kMostSmallBytes;
    enter(cache);
  }
  ~Owner() {
    blocks::thread_cache = nullptr;
    thread_ends = true;
    leave(cache);
    for (void* head : cache->heads)
      while (head) std::free(std::exchange(head, *static_cast<void**>(head)));
    delete cache;
  }
};

// Null while the thread ends.
ThreadCache* open_thread_cache() {
  if (thread_ends) return nullptr;
  static thread_local const Owner owner;
  return blocks::thread_cache = owner.cache;
}

ThreadCache* cache_of_thread() { return blocks::thread_cache ? blocks::thread_cache : open_thread_cache(); }

struct SharedCache {
  std::mutex mutex;
  std::map<size_t, std::vector<void*>> blocks;  // by size; guarded by mutex
  size_t bytes = 0;                             // guarded by mutex
};

// Never destroyed: buffers may be freed while the process ends.
SharedCache& shared_cache() {
  static SharedCache* instance = new SharedCache;
  return *instance;
}

// Each first touch of a page costs as much as copying two, and a product reads more pages than have room in the
// processor's tables: so pages should be large. The system has them for whole ones alone.
void* allocate_huge(size_t bytes) noexcept {
  // aligned_alloc wants a size that is a multiple of the alignment; some take that seriously.
  void* block = nullptr;
  if (::posix_memalign(&block, kHugePage, bytes) != 0) return nullptr;
  ::madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return block;
}

void* take_shared(size_t bytes) noexcept {
  SharedCache& cache = shared_cache();
  const std::lock_guard lock(cache.mutex);
  const auto found = cache.blocks.find(bytes);
  if (found == cache.blocks.end() || found->second.empty()) return nullptr;
  void* block = found->second.back();
  found->second.pop_back();
  cache.bytes -= bytes;
  return block;
}

bool keep_shared(void* block, size_t bytes) noexcept {
  SharedCache& cache = shared_cache();
  const std::lock_guard lock(cache.mutex);
  if (bytes > kMostCachedBlockBytes / 4 * 3 || cache.bytes + bytes > kMostCachedBlockBytes) return false;
  try {
    cache.blocks[bytes].push_back(block);
  } catch (const std::bad_alloc&) {  // no room to remember it
    return false;
  }
  cache.bytes += bytes;
  return true;
}

}  // namespace

void* blocks::allocate_block_anew(size_t& bytes) noexcept {
  bytes = rounded(bytes ? bytes : 1);
  if (kCaches && bytes < kLarge) {
    ThreadCache* cache = cache_of_thread();
    if (void** head = cache ? &cache->heads[class_of(bytes)] : nullptr; head && *head) {
      cache->bytes -= bytes;
      return std::exchange(*head, *static_cast<void**>(*head));
    }
  } else if (kCaches) {
    if (void* block = take_shared(bytes)) return block;
  }
  return bytes >= kHuge ? allocate_huge(bytes) : std::aligned_alloc(kBlockAlignment, bytes);
}

void blocks::free_block_anew(void* block, size_t bytes) noexcept {
  if (kCaches && bytes < kLarge) {
    ThreadCache* cache = cache_of_thread();
    if (cache && cache->bytes < cache->most) {
      void*& head = cache->heads[class_of(bytes)];
      *static_cast<void**>(block) = head;
      head = block;
      cache->bytes += bytes;
      return;
    }
  } else if (kCaches && keep_shared(block, bytes)) {
    return;
  }
  std::free(block);
}

size_t cached_block_bytes() noexcept {
  const std::lock_guard lock(shared_cache().mutex);
  return shared_cache().bytes;
}

size_t tally() noexcept {
  const std::lock_guard lock(registry().mutex);
  int64_t sum = registry().departed;
  for (const ThreadCache* cache = registry().first; cache; cache = cache->next)
    sum += cache->tally.load(std::memory_order_relaxed);
  return static_cast<size_t>(sum);
}

namespace blocks {

void add_to_tally_anew(int64_t bytes) noexcept {
  if (cache_of_thread())
    add_to_tally(bytes);
  else
    registry().departed += bytes;
}

void* allocate_object_anew(size_t size) {
  void* object = allocate_block(size);
  if (!object) throw std::bad_alloc();
  return object;
}

void free_object_anew(void* object, size_t size) noexcept {
  // What allocate_block made of the size, again.
  free_block_anew(object, rounded(size));
}

}  // namespace blocks
}  // namespace sm::util
