#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shumai/tensor.hpp"
#include "util/buffer.hpp"

namespace sm::codec {

// Elements of one dtype, converted one after the other from the scalars of a
// JSON text into memory that becomes a tensor. Throws Error (kProtocol) for a
// value that the dtype can't hold.
class JsonElements {
 public:
  explicit JsonElements(DType dtype);

  void add_integer(int64_t value, std::string_view token) { store_->integer(grow(), value, token); }
  void add_number(std::string_view token) { store_->number(grow(), token); }
  void add_boolean(bool value) { store_->boolean(grow(), value); }
  void add_text(std::string_view text) { store_->text(grow(), text); }  // "NaN", "Infinity", "-Infinity"

  DType dtype() const noexcept { return dtype_; }
  int64_t count() const noexcept { return static_cast<int64_t>(used_ / size_of(dtype_)); }

  // `shape` has count() elements.
  Tensor take(const Shape& shape);

  struct Store {
    void (*integer)(std::byte* at, int64_t value, std::string_view token);
    void (*number)(std::byte* at, std::string_view token);
    void (*boolean)(std::byte* at, bool value);
    void (*text)(std::byte* at, std::string_view text);
  };

 private:
  static constexpr size_t kLeast = 64;

  // Room for one more element.
  std::byte* grow() {
    const size_t at = used_;
    used_ += size_of(dtype_);
    if (used_ > capacity_) reallocate(std::max(used_ * 2, kLeast));
    return buffer_->data() + at;
  }
  void reallocate(size_t capacity);

  DType dtype_;
  const Store* store_;
  util::BufferRef buffer_;
  size_t used_ = 0;
  size_t capacity_ = 0;
};

}  // namespace sm::codec
