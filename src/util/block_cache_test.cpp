#include "util/block_cache.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace sm::util {
namespace {

TEST(BlockCache, BlocksHoldWhatWasAskedForAndAreAligned) {
  for (size_t asked : {size_t{1}, size_t{64}, size_t{65'535}, size_t{65'536}, size_t{100'001}, size_t{5'000'000}}) {
    size_t bytes = asked;
    void* block = allocate_block(64, bytes);
    ASSERT_NE(block, nullptr);
    EXPECT_GE(bytes, asked);
    EXPECT_LE(bytes, asked + asked / 8 + 64);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    free_block(block, bytes);
  }
}

TEST(BlockCache, NeverKeepsMoreThanItsLimit) {
  std::vector<std::pair<void*, size_t>> blocks;
  for (int i = 0; i < 40; ++i) {
    size_t bytes = 8 << 20;
    blocks.emplace_back(allocate_block(64, bytes), bytes);
  }
  for (auto& [block, bytes] : blocks) free_block(block, bytes);
  EXPECT_LE(cached_block_bytes(), kMostCachedBlockBytes);
}

TEST(BlockCache, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 500; ++i) {
        size_t bytes = 64 * 1024 + static_cast<size_t>(i % 7) * 10'000;
        auto* block = static_cast<char*>(allocate_block(64, bytes));
        block[0] = block[bytes - 1] = static_cast<char>(i);
        EXPECT_EQ(block[0], block[bytes - 1]);
        free_block(block, bytes);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace sm::util
