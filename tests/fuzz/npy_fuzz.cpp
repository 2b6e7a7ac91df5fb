// Any bytes either fail with sm::Error or decode to a tensor that can be read
// to the last byte, and that encodes to a file which decodes to the same tensor.

#include "codec/npy.hpp"
#include "fuzzing.hpp"

using namespace sm;
using namespace sm::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The last byte moves the file within its buffer, so that alignment varies.
  const size_t offset = size > 0 ? data[size - 1] % 9 : 0;
  std::vector<uint8_t> moved(offset, 0);
  if (size > 0) moved.insert(moved.end(), data, data + size - 1);
  const util::BufferRef body = copy_of(moved.data(), moved.size());
  try {
    const Tensor x = codec::decode_npy(body, offset, moved.size() - offset);
    const util::BufferRef again = join(codec::encode_npy(x));
    require_same(x, codec::decode_npy(again, 0, again->size()));
  } catch (const Error&) {
  }
  return 0;
}
