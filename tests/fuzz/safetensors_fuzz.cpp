// Any bytes either fail with sm::Error or decode to tensors that can be read to
// the last byte, and that encode to a file which decodes to the same tensors.

#include <cstdlib>
#include <cstring>

#include "codec/safetensors.hpp"
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

void require_same(const Tensors& a, const Tensors& b) {
  require(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const auto& [name, x] = a.at(i);
    const auto& [other_name, y] = b.at(i);
    require(name == other_name && x.dtype() == y.dtype() && x.shape() == y.shape());
    require(x.nbytes() == 0 || std::memcmp(x.impl()->bytes(), y.impl()->bytes(), x.nbytes()) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The first byte moves the file within its buffer, so that alignment varies.
  const size_t offset = size > 0 ? std::min<size_t>(data[0] % 9, size) : 0;
  const util::BufferRef body = copy_of(data, size);
  try {
    codec::Metadata metadata;
    const Tensors tensors = codec::decode_safetensors(body, offset, size - offset, &metadata);
    const util::BufferRef again = join(codec::encode_safetensors(tensors, metadata));
    require(again->size() == codec::safetensors_size(tensors, metadata));
    codec::Metadata metadata_again;
    require_same(tensors, codec::decode_safetensors(again, 0, again->size(), &metadata_again));
    require(metadata == metadata_again);
  } catch (const Error&) {
  }
  return 0;
}
