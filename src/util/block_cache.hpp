#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace sm::util {

// Memory for tensors and what surrounds them. Freed blocks are kept for the
// next ones of about their size. Small ones stay with the thread that freed
// them, at a fraction of the cost of an aligned malloc, and go to other threads
// by the bundle (the magazines of Bonwick and Adams, USENIX 2001); large ones
// are shared by all threads, since the system would take them back and give them
// out page by page again, at many times the cost of using them. Thread-safe; a
// block may be freed by another thread than the one that got it.

// All blocks are aligned to this.
inline constexpr size_t kBlockAlignment = 64;

// A block of at least `bytes`, or null. `bytes` becomes what it really holds,
// which free_block needs.
void* allocate_block(size_t& bytes) noexcept;
void free_block(void* block, size_t bytes) noexcept;

// Large blocks kept now, and at most.
size_t cached_block_bytes() noexcept;
inline constexpr size_t kMostCachedBlockBytes = size_t{128} << 20;

// Blocks of a size below 64 kB that no thread has now, and at most. A thread keeps two bundles of each size, of 128 kB
// at most.
size_t handed_on_bytes(size_t size) noexcept;
inline constexpr size_t kMostHandedOnBytes = size_t{2} << 20;

// Bytes that somebody counts, on all threads together: add_to_tally changes a
// number of this thread's own, so it costs no more than an addition. Thread-safe.
void add_to_tally(int64_t bytes) noexcept;
size_t tally() noexcept;

// What operator new and delete of a class of small objects can be: of one of at
// most kLargestObject bytes these are a few instructions.
void* allocate_object(size_t size);
void free_object(void* object, size_t size) noexcept;
inline constexpr size_t kLargestObject = 1024;

// --- Implementation of what is above. ---

namespace blocks {

// Sanitizers see wrong accesses only in memory that really comes and goes.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kKeepsAny = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kKeepsAny = false;
#else
inline constexpr bool kKeepsAny = true;
#endif
#else
inline constexpr bool kKeepsAny = true;
#endif

inline constexpr size_t kObjectClasses = kLargestObject / kBlockAlignment;
inline constexpr size_t kBlockClasses = kObjectClasses + 6 * 8 + 1;  // eight for each doubling up to the large ones
inline constexpr uint32_t kBundle = 64;                              // objects that go from one thread to another

// Free blocks of one size, each holding the address of the next.
struct Kept {
  void* head = nullptr;
  void* spare = nullptr;  // a whole bundle more
  uint32_t count = 0;     // from head on, at most a bundle
};

struct ThreadCache {
  Kept classes[kBlockClasses];
  uint32_t most = 0;              // kBundle where anything is kept
  std::atomic<int64_t> tally{0};  // written by this thread alone
  ThreadCache* next = nullptr;    // in the list of all, which has a lock
};

// Of this thread; null before it is first used, and when the thread ends. The
// library may be loaded late, which leaves room for few such variables that are
// reached directly: beside this `recording` (tensor/recording.hpp), `numbers` (tensor/node.cpp).
[[gnu::tls_model("initial-exec")]] extern constinit thread_local ThreadCache* thread_cache;

void* allocate_block_anew(size_t& bytes) noexcept;
void free_block_anew(void* block, size_t bytes) noexcept;
void* allocate_object_anew(size_t size);
void free_object_anew(void* object, size_t size) noexcept;
void add_to_tally_anew(int64_t bytes) noexcept;

constexpr size_t object_size(size_t size) { return (size + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment; }

// A kept block for an object of `size`, or null.
inline void* take(size_t size) noexcept {
  ThreadCache* cache = thread_cache;
  if (!cache || size - 1 >= kLargestObject) return nullptr;
  Kept& kept = cache->classes[(size - 1) / kBlockAlignment];
  if (!kept.head) return nullptr;
  --kept.count;
  return std::exchange(kept.head, *static_cast<void**>(kept.head));
}

// False when the block is to go another way.
inline bool keep(void* block, size_t size) noexcept {
  ThreadCache* cache = thread_cache;
  if (!cache || size - 1 >= kLargestObject) return false;
  Kept& kept = cache->classes[(size - 1) / kBlockAlignment];
  if (kept.count >= cache->most) return false;
  *static_cast<void**>(block) = kept.head;
  kept.head = block;
  ++kept.count;
  return true;
}

}  // namespace blocks

inline void* allocate_block(size_t& bytes) noexcept {
  if (void* block = blocks::take(bytes)) {
    bytes = blocks::object_size(bytes);
    return block;
  }
  return blocks::allocate_block_anew(bytes);
}

inline void free_block(void* block, size_t bytes) noexcept {
  if (!blocks::keep(block, bytes)) blocks::free_block_anew(block, bytes);
}

inline void add_to_tally(int64_t bytes) noexcept {
  blocks::ThreadCache* cache = blocks::thread_cache;
  if (!cache) return blocks::add_to_tally_anew(bytes);
  cache->tally.store(cache->tally.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

inline void* allocate_object(size_t size) {
  void* object = blocks::take(size);
  return object ? object : blocks::allocate_object_anew(size);
}

inline void free_object(void* object, size_t size) noexcept {
  if (object && !blocks::keep(object, size)) blocks::free_object_anew(object, size);
}

}  // namespace sm::util
