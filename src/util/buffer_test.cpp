#include "util/buffer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>

#include "shumai/error.hpp"

namespace sm::util {
namespace {

TEST(Buffer, AllocatesAlignedWritableMemory) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{1'000'003}}) {
    const BufferRef buffer = Buffer::allocate(size);
    EXPECT_EQ(buffer->size(), size);
    EXPECT_TRUE(buffer->writable());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % Buffer::kAlignment, 0u);
    std::memset(buffer->data(), 0x5a, size);
    EXPECT_EQ(buffer->bytes().size(), size);
  }
}

TEST(Buffer, CountsTheBytesInUse) {
  const size_t before = Buffer::bytes_in_use();
  {
    const BufferRef buffer = Buffer::allocate(4096);
    const BufferRef other = buffer;
    EXPECT_EQ(Buffer::bytes_in_use(), before + 4096);
  }
  EXPECT_EQ(Buffer::bytes_in_use(), before);
}

TEST(Buffer, WrapsForeignMemoryAndLetsGoOfItsOwner) {
  std::array<std::byte, 16> bytes{};
  auto owner = std::make_shared<int>(0);
  const size_t before = Buffer::bytes_in_use();
  {
    const BufferRef buffer = Buffer::wrap(bytes.data(), bytes.size(), owner, false);
    EXPECT_EQ(buffer->data(), bytes.data());
    EXPECT_FALSE(buffer->writable());
    EXPECT_EQ(owner.use_count(), 2);
    EXPECT_EQ(Buffer::bytes_in_use(), before);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(Buffer, WrappedMemoryNeedsNoOwner) {
  std::array<std::byte, 16> bytes{};
  const size_t before = Buffer::bytes_in_use();
  { const BufferRef buffer = Buffer::wrap(bytes.data(), bytes.size(), nullptr, true); }
  EXPECT_EQ(Buffer::bytes_in_use(), before);
}

TEST(Buffer, RefusesWhatMemoryCannotHold) {
  const size_t before = Buffer::bytes_in_use();
  for (const size_t size : {std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max() / 2}) {
    try {
      Buffer::allocate(size);
      ADD_FAILURE() << "allocated " << size << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kTooLarge);
      EXPECT_NE(std::string_view(error.what()).find(std::to_string(size)), std::string_view::npos) << error.what();
    }
  }
  EXPECT_EQ(Buffer::bytes_in_use(), before);
}

}  // namespace
}  // namespace sm::util
