#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "http/message.hpp"

namespace sm::http {

// Collects a received body in one contiguous, aligned Buffer. A length that
// lies costs at most 1 MiB: the room for the rest is taken when that much has
// come, and its pages as they are written to.
class BodyBuffer {
 public:
  // The body will have `total` bytes. Without this call, as many as come.
  void expect(uint64_t total) noexcept;
  // Expected bytes that haven't come.
  uint64_t missing() const noexcept { return total_ - size_; }
  size_t size() const noexcept { return size_; }

  void append(std::string_view bytes);
  // Room for the next bytes, to be read into and then committed. At least one
  // byte, and at most what is missing of a body of known length.
  std::span<char> space();
  void commit(size_t bytes) noexcept { size_ += bytes; }

  // Hands the body over and starts anew.
  Body take();

 private:
  void grow(size_t needed);

  util::BufferRef buffer_;
  size_t size_ = 0;
  uint64_t total_ = 0;
  bool known_ = false;
};

}  // namespace sm::http
