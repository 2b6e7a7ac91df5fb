#include "codec/shumai_binary.hpp"

#include <array>
#include <bit>
#include <cstring>

#include "codec/bytes.hpp"
#include "shumai/error.hpp"
#include "tensor/impl.hpp"

namespace sm::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

constexpr size_t kWord = sizeof(int64_t);
constexpr size_t kHeadWords = 5;
enum Field { kRank, kProvenance, kFlags, kElementBytes, kPropsBytes };
constexpr int64_t kRequiresGrad = 1;

[[noreturn]] void fail(const std::string& what) { throw Error(ErrorCode::kProtocol, "shumai binary: " + what); }

Shape read_shape(const std::byte* words, int64_t rank) {
  Shape shape(static_cast<int>(rank), 0);
  if (rank > 0) std::memcpy(shape.data(), words, static_cast<size_t>(rank) * kWord);
  for (int64_t size : shape)
    if (size < 0) fail("a negative size in the shape " + shape.to_string());
  return shape;
}

Tensor elements_at(const util::BufferRef& body, size_t position, const Shape& shape) {
  const std::byte* data = body->data() + position;
  const bool aligned = position % sizeof(float) == 0 && reinterpret_cast<uintptr_t>(data) % sizeof(float) == 0;
  if (aligned) return make_from_buffer(body, position, shape, DType::f32);
  return detail::from_bytes(data, shape, DType::f32, elements_of(shape));
}

}  // namespace

std::vector<util::Slice> encode_shumai_binary(const ShumaiBinary& message) {
  if (!message.tensor.defined()) throw Error(ErrorCode::kInvalidArgument, "shumai binary: the tensor is undefined");
  const Tensor floats =
      message.tensor.dtype() == DType::f32 ? message.tensor : detail::cast(message.tensor, DType::f32);
  std::vector<int64_t> words(kHeadWords);
  words[kRank] = floats.ndim();
  words[kProvenance] = message.provenance;
  words[kFlags] = message.requires_grad ? kRequiresGrad : 0;
  words[kElementBytes] = static_cast<int64_t>(floats.nbytes());
  words[kPropsBytes] = static_cast<int64_t>(message.props.size());
  words.insert(words.end(), floats.shape().begin(), floats.shape().end());
  std::vector<util::Slice> pieces;
  pieces.push_back(to_slice(std::string(reinterpret_cast<const char*>(words.data()), words.size() * kWord)));
  pieces.push_back(elements_in_order(floats));
  if (!message.props.empty()) pieces.push_back(to_slice(message.props));
  return pieces;
}

ShumaiBinary decode_shumai_binary(const util::BufferRef& body, size_t offset, size_t size) {
  constexpr size_t kHeadBytes = kHeadWords * kWord;
  if (size < kHeadBytes) fail("the head needs " + std::to_string(kHeadBytes) + " bytes, got " + std::to_string(size));
  const std::byte* data = body->data() + offset;
  std::array<int64_t, kHeadWords> head;
  std::memcpy(head.data(), data, kHeadBytes);
  const int64_t rank = head[kRank];
  if (rank < 0 || rank > Dims::kMaxRank)
    fail("rank " + std::to_string(rank) + ", expected 0 to " + std::to_string(Dims::kMaxRank));
  const size_t shape_bytes = static_cast<size_t>(rank) * kWord;
  if (size - kHeadBytes < shape_bytes) fail("the shape needs " + std::to_string(shape_bytes) + " bytes");
  const Shape shape = read_shape(data + kHeadBytes, rank);
  const std::optional<size_t> expected = bytes_of(shape, DType::f32);
  if (!expected) fail("the shape " + shape.to_string() + " has more bytes than fit in memory");
  const size_t rest = size - kHeadBytes - shape_bytes;
  const auto elements = static_cast<size_t>(head[kElementBytes]), props = static_cast<size_t>(head[kPropsBytes]);
  if (elements != *expected)
    fail("the shape " + shape.to_string() + " needs " + std::to_string(*expected) +
         " bytes of elements, the head says " + std::to_string(head[kElementBytes]));
  if (elements > rest || props != rest - elements)
    fail(std::to_string(head[kElementBytes]) + " bytes of elements and " + std::to_string(head[kPropsBytes]) +
         " of props, but " + std::to_string(rest) + " follow");
  const size_t position = offset + kHeadBytes + shape_bytes;
  ShumaiBinary message;
  message.tensor = elements_at(body, position, shape);
  message.provenance = head[kProvenance];
  message.requires_grad = (head[kFlags] & kRequiresGrad) != 0;
  message.props.assign(reinterpret_cast<const char*>(body->data() + position + elements), props);
  return message;
}

}  // namespace sm::codec
