#include "util/block_cache.hpp"

#include <sys/mman.h>

#include <algorithm>
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

// Blocks of a class that go from one thread to another together: fewer of the larger ones.
uint32_t bundle_of(size_t size) {
  constexpr size_t kBytes = 128 * 1024;
  return size <= kFine ? blocks::kBundle : static_cast<uint32_t>(std::min<size_t>(blocks::kBundle, kBytes / size));
}

void free_all(void* first) noexcept {
  while (first) std::free(std::exchange(first, *static_cast<void**>(first)));
}

// Whole bundles that a thread had too many of, for one that has none.
class Depot {
 public:
  // Keeps the bundle, or frees it.
  void put(void* bundle, size_t size) noexcept {
    Shelf& shelf = shelves_[class_of(size)];
    {
      const std::lock_guard lock(mutex_);
      if ((shelf.count + 1) * bundle_of(size) * size <= kMostHandedOnBytes) {
        next_of(bundle) = shelf.first.load(std::memory_order_relaxed);
        shelf.first.store(bundle, std::memory_order_relaxed);
        ++shelf.count;
        return;
      }
    }
    free_all(bundle);
  }

  // Null when there is none.
  void* take(size_t size) noexcept {
    Shelf& shelf = shelves_[class_of(size)];
    if (!shelf.first.load(std::memory_order_relaxed)) return nullptr;
    const std::lock_guard lock(mutex_);
    void* bundle = shelf.first.load(std::memory_order_relaxed);
    if (!bundle) return nullptr;
    shelf.first.store(next_of(bundle), std::memory_order_relaxed);
    --shelf.count;
    return bundle;
  }

  size_t bytes(size_t size) noexcept {
    const std::lock_guard lock(mutex_);
    return shelves_[class_of(size)].count * bundle_of(size) * size;
  }

 private:
  struct Shelf {
    std::atomic<void*> first{nullptr};  // written under mutex_
    size_t count = 0;                   // guarded by mutex_
  };

  // In the bundle's first block, behind the address of the second.
  static void*& next_of(void* bundle) noexcept { return static_cast<void**>(bundle)[1]; }

  std::mutex mutex_;
  Shelf shelves_[blocks::kBlockClasses];
};

// Never destroyed: buffers may be freed while the process ends.
Depot& depot() {
  static Depot* instance = new Depot;
  return *instance;
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
    if (blocks::kKeepsAny) cache->most = blocks::kBundle;
    enter(cache);
  }
  ~Owner() {
    blocks::thread_cache = nullptr;
    thread_ends = true;
    leave(cache);
    for (const blocks::Kept& kept : cache->classes) {
      free_all(kept.head);
      free_all(kept.spare);
    }
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

void* take_small(blocks::Kept& kept, size_t size) noexcept {
  if (!kept.head) {
    kept.head = kept.spare ? std::exchange(kept.spare, nullptr) : depot().take(size);
    if (!kept.head) return nullptr;
    kept.count = bundle_of(size);
  }
  --kept.count;
  return std::exchange(kept.head, *static_cast<void**>(kept.head));
}

void keep_small(blocks::Kept& kept, void* block, size_t size) noexcept {
  if (kept.count == bundle_of(size)) {
    if (kept.spare) depot().put(kept.spare, size);
    kept.spare = std::exchange(kept.head, nullptr);
    kept.count = 0;
  }
  *static_cast<void**>(block) = kept.head;
  kept.head = block;
  ++kept.count;
}

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
  if (blocks::kKeepsAny && bytes < kLarge) {
    if (ThreadCache* cache = cache_of_thread())
      if (void* block = take_small(cache->classes[class_of(bytes)], bytes)) return block;
  } else if (blocks::kKeepsAny) {
    if (void* block = take_shared(bytes)) return block;
  }
  return bytes >= kHuge ? allocate_huge(bytes) : std::aligned_alloc(kBlockAlignment, bytes);
}

void blocks::free_block_anew(void* block, size_t bytes) noexcept {
  if (blocks::kKeepsAny && bytes < kLarge) {
    if (ThreadCache* cache = cache_of_thread()) return keep_small(cache->classes[class_of(bytes)], block, bytes);
  } else if (blocks::kKeepsAny && keep_shared(block, bytes)) {
    return;
  }
  std::free(block);
}

size_t cached_block_bytes() noexcept {
  const std::lock_guard lock(shared_cache().mutex);
  return shared_cache().bytes;
}

size_t handed_on_bytes(size_t size) noexcept { return depot().bytes(rounded(size)); }

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
