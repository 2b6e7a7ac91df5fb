#include "util/block_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <thread>
#include <vector>

namespace sm::util {
namespace {

TEST(BlockCache, BlocksHoldWhatWasAskedForAndAreAligned) {
  for (size_t asked : {size_t{1}, size_t{64}, size_t{65'535}, size_t{65'536}, size_t{100'001}, size_t{5'000'000}}) {
    size_t bytes = asked;
    void* block = allocate_block(bytes);
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
    blocks.emplace_back(allocate_block(bytes), bytes);
  }
  for (auto& [block, bytes] : blocks) free_block(block, bytes);
  EXPECT_LE(cached_block_bytes(), kMostCachedBlockBytes);
}

// Every size has a class of its own size: what comes back fits what is asked for next.
TEST(BlockCache, BlocksDontOverlapAtAnySize) {
  std::vector<std::pair<unsigned char*, size_t>> blocks;
  for (size_t asked = 1; asked < 70'000; asked += asked < 2'000 ? 1 : 97) {
    for (int again = 0; again < 2; ++again) {
      size_t bytes = asked;
      auto* block = static_cast<unsigned char*>(allocate_block(bytes));
      ASSERT_GE(bytes, asked);
      std::memset(block, static_cast<int>(blocks.size() % 251), bytes);
      blocks.emplace_back(block, bytes);
    }
    const auto [freed, size] = blocks[blocks.size() / 2];
    ASSERT_EQ(freed[0], blocks.size() / 2 % 251);
    ASSERT_EQ(freed[size - 1], blocks.size() / 2 % 251);
    free_block(freed, size);
    size_t bytes = size;
    blocks[blocks.size() / 2] = {static_cast<unsigned char*>(allocate_block(bytes)), bytes};
    ASSERT_EQ(bytes, size);
    std::memset(blocks[blocks.size() / 2].first, static_cast<int>(blocks.size() / 2 % 251), bytes);
  }
  for (const auto& [block, bytes] : blocks) free_block(block, bytes);
}

// Gets blocks of `size`, all of them in use at once.
std::vector<void*> get(size_t count, size_t size) {
  std::vector<void*> blocks(count);
  for (void*& block : blocks) {
    size_t bytes = size;
    block = allocate_block(bytes);
    std::memset(block, 1, bytes);
    EXPECT_EQ(bytes, size);
  }
  return blocks;
}

TEST(BlockCache, WhatOneThreadFreesAnotherUsesAgain) {
  for (const size_t size : {size_t{256}, size_t{1024}, size_t{16} << 10, size_t{56} << 10}) {
    const size_t count = std::min<size_t>(300, kMostHandedOnBytes / 2 / size);
    const size_t bundle = std::min<size_t>(blocks::kBundle, (size_t{128} << 10) / size);
    const std::vector<void*> first = get(count, size);
    std::vector<void*> second;
    std::thread frees([&] {
      for (void* block : first) free_block(block, size);
      std::thread([&] { second = get(count, size); }).join();
    });
    frees.join();
    std::vector<void*> again, used = first;
    std::ranges::sort(used);
    std::ranges::sort(second);
    EXPECT_EQ(std::ranges::adjacent_find(second), second.end()) << "a block was given out twice";
    std::ranges::set_intersection(used, second, std::back_inserter(again));
    // What stays with the thread that freed them is two bundles at most.
    if (blocks::kKeepsAny) EXPECT_GE(again.size(), count - 2 * bundle) << size;
    for (void* block : second) free_block(block, size);
  }
}

TEST(BlockCache, WhatThreadsHandOnIsBounded) {
  constexpr size_t kSize = size_t{32} << 10;
  const std::vector<void*> all = get(1'000, kSize);
  std::thread([&] {
    for (void* block : all) free_block(block, kSize);
  }).join();
  EXPECT_LE(handed_on_bytes(kSize), kMostHandedOnBytes);
  if (blocks::kKeepsAny) EXPECT_GE(handed_on_bytes(kSize), kMostHandedOnBytes / 2);
}

TEST(BlockCache, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 500; ++i) {
        size_t bytes = 64 * 1024 + static_cast<size_t>(i % 7) * 10'000;
        auto* block = static_cast<char*>(allocate_block(bytes));
        block[0] = block[bytes - 1] = static_cast<char>(i);
        EXPECT_EQ(block[0], block[bytes - 1]);
        free_block(block, bytes);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(BlockCache, ObjectsOfEverySizeComeAlignedAndApart) {
  for (const size_t size : {size_t{1}, size_t{64}, size_t{65}, kLargestObject, kLargestObject + 1}) {
    void* first = allocate_object(size);
    void* second = allocate_object(size);
    EXPECT_NE(first, second);
    for (void* object : {first, second}) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(object) % kBlockAlignment, 0u);
      std::memset(object, 0x5a, size);
      free_object(object, size);
    }
  }
}

TEST(BlockCache, TheTallyIsThatOfAllThreadsAlsoOfThoseThatEnded) {
  const size_t before = tally();
  add_to_tally(100);
  std::thread([] { add_to_tally(1000); }).join();
  std::thread([&] {
    add_to_tally(-30);
    EXPECT_EQ(tally(), before + 1070);
  }).join();
  EXPECT_EQ(tally(), before + 1070);
  add_to_tally(-1070);
  EXPECT_EQ(tally(), before);
}

}  // namespace
}  // namespace sm::util
