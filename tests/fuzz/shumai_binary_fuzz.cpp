// Any bytes either fail with sm::Error or decode to a message that encodes to the same bytes.

#include <cstdlib>
#include <cstring>

#include "codec/shumai_binary.hpp"
#include "shumai/error.hpp"

namespace {

using namespace sm;

void require(bool condition) {
  if (!condition) std::abort();
}

// An exact-sized block, so that reading past the end is seen.
util::BufferRef copy_of(const uint8_t* data, size_t size) {
  auto block = std::shared_ptr<uint8_t>(static_cast<uint8_t*>(std::malloc(size ? size : 1)), std::free);
  if (size > 0) std::memcpy(block.get(), data, size);
  return util::Buffer::wrap(block.get(), size, block, true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const util::BufferRef body = copy_of(data, size);
  try {
    const codec::ShumaiBinary message = codec::decode_shumai_binary(body, 0, size);
    std::string again;
    for (const util::Slice& slice : codec::encode_shumai_binary(message))
      again.append(reinterpret_cast<const char*>(slice.data), slice.size);
    require(again.size() == size);
    // Of the flags only the lowest bit is kept.
    std::string expected(reinterpret_cast<const char*>(data), size);
    expected[16] &= 1;
    std::memset(expected.data() + 17, 0, 7);
    require(again == expected);
  } catch (const Error&) {
  }
  return 0;
}
