// Any bytes either fail with sm::Error or decode to tensors that can be read to
// the last byte, and that encode to a file which decodes to the same tensors.

#include <algorithm>

#include "codec/safetensors.hpp"
#include "fuzzing.hpp"

using namespace sm;
using namespace sm::fuzz;

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
