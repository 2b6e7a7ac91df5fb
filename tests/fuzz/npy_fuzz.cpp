// Any bytes either fail with sm::Error or decode to a tensor that can be read
// to the last byte, and that encodes to a file which decodes to the same tensor.

#include <cstdlib>
#include <cstring>

#include "codec/npy.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

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

util::BufferRef join(const std::vector<util::Slice>& slices) {
  std::vector<uint8_t> bytes;
  for (const util::Slice& slice : slices) {
    const auto* from = reinterpret_cast<const uint8_t*>(slice.data);
    bytes.insert(bytes.end(), from, from + slice.size);
  }
  return copy_of(bytes.data(), bytes.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The last byte moves the file within its buffer, so that alignment varies.
  const size_t offset = size > 0 ? data[size - 1] % 9 : 0;
  std::vector<uint8_t> moved(offset, 0);
  if (size > 0) moved.insert(moved.end(), data, data + size - 1);
  const util::BufferRef body = copy_of(moved.data(), moved.size());
  try {
    const Tensor x = codec::decode_npy(body, offset, moved.size() - offset);
    const util::BufferRef again = join(codec::encode_npy(x));
    const Tensor y = codec::decode_npy(again, 0, again->size());
    require(x.dtype() == y.dtype() && x.shape() == y.shape() && x.is_contiguous() && y.is_contiguous());
    require(x.nbytes() == 0 || std::memcmp(x.impl()->bytes(), y.impl()->bytes(), x.nbytes()) == 0);
  } catch (const Error&) {
  }
  return 0;
}
