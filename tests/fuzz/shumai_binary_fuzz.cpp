// Any bytes either fail with sm::Error or decode to a message that encodes to the same bytes.

#include "codec/shumai_binary.hpp"
#include "fuzzing.hpp"

using namespace sm;
using namespace sm::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const util::BufferRef body = copy_of(data, size);
  try {
    const codec::ShumaiBinary message = codec::decode_shumai_binary(body, 0, size);
    const std::string again = text_of(codec::encode_shumai_binary(message));
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
