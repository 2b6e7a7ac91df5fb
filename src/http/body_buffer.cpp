#include "http/body_buffer.hpp"

#include <algorithm>
#include <cstring>

namespace sm::http {
namespace {

constexpr size_t kFirst = 1 << 20;
constexpr size_t kFirstUnknown = 16 * 1024;
// Of an unknown length; each step copies what has come so far.
constexpr size_t kFactor = 4;

}  // namespace

void BodyBuffer::expect(uint64_t total) noexcept {
  total_ = total;
  known_ = true;
}

void BodyBuffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!buffer_ || buffer_->size() - size_ < bytes.size()) grow(size_ + bytes.size());
  std::memcpy(buffer_->data() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

std::span<char> BodyBuffer::space() {
  if (!buffer_ || buffer_->size() == size_) grow(size_ + 1);
  return {reinterpret_cast<char*>(buffer_->data()) + size_, buffer_->size() - size_};
}

void BodyBuffer::grow(size_t needed) {
  const size_t held = buffer_ ? buffer_->size() : 0;
  size_t capacity = held ? held * kFactor : kFirstUnknown;
  // Who has sent the first part is taken at its word: pages that nothing is written to cost no memory.
  if (known_) capacity = static_cast<size_t>(held ? total_ : std::min<uint64_t>(kFirst, total_));
  util::BufferRef larger = util::Buffer::allocate(std::max(capacity, needed));
  if (size_) std::memcpy(larger->data(), buffer_->data(), size_);
  buffer_ = std::move(larger);
}

Body BodyBuffer::take() {
  Body body;
  if (size_) {
    const std::byte* data = buffer_->data();
    body.push_back({std::move(buffer_), data, size_});
  }
  *this = BodyBuffer();
  return body;
}

}  // namespace sm::http
