#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sm {

// A short list of integers: the sizes, strides or axes of a tensor. Lists of up
// to kInline live in the object; longer ones, to kMaxRank, on the heap. An
// integer or a braced list converts, so `reshape(x, {2, -1})` and `sum(x, 0)` read well.
class Dims {
 public:
  static constexpr int kInline = 5;
  static constexpr int kMaxRank = 64;

  Dims() noexcept = default;
  template <std::integral T>
  Dims(T only) : size_(1) {
    local_[0] = static_cast<int64_t>(only);
  }
  Dims(std::initializer_list<int64_t> values) : Dims(std::span(values.begin(), values.size())) {}
  Dims(std::span<const int64_t> values);
  Dims(const std::vector<int64_t>& values) : Dims(std::span(values)) {}
  // `count` times `value`. Throws Error (kOutOfRange) above kMaxRank.
  Dims(int count, int64_t value);
  Dims(const Dims& other) : size_(other.size_) {
    if (size_ > kInline)
      copy_long(other);
    else
      std::memcpy(local_, other.local_, sizeof local_);
  }
  Dims(Dims&& other) noexcept : size_(other.size_) {
    std::memcpy(local_, other.local_, sizeof local_);  // or the address of the list
    other.size_ = 0;
  }
  Dims& operator=(const Dims& other) {
    if (this != &other) *this = Dims(other);
    return *this;
  }
  Dims& operator=(Dims&& other) noexcept {
    if (this == &other) return *this;
    this->~Dims();
    return *new (this) Dims(std::move(other));
  }
  ~Dims() {
    if (size_ > kInline) delete[] heap_;
  }

  int size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  int64_t* data() noexcept { return size_ > kInline ? heap_ : local_; }
  const int64_t* data() const noexcept { return size_ > kInline ? heap_ : local_; }
  int64_t* begin() noexcept { return data(); }
  int64_t* end() noexcept { return data() + size_; }
  const int64_t* begin() const noexcept { return data(); }
  const int64_t* end() const noexcept { return data() + size_; }
  int64_t& operator[](int i) noexcept { return data()[i]; }
  int64_t operator[](int i) const noexcept { return data()[i]; }
  int64_t back() const noexcept { return data()[size_ - 1]; }
  std::span<const int64_t> span() const noexcept { return {data(), static_cast<size_t>(size_)}; }
  std::vector<int64_t> to_vector() const { return {begin(), end()}; }

  void push_back(int64_t value) {
    if (size_ < kInline)
      local_[size_++] = value;
    else
      insert(size_, value);
  }
  void insert(int position, int64_t value);
  void erase(int position);
  bool contains(int64_t value) const noexcept;

  friend bool operator==(const Dims& a, const Dims& b) noexcept {
    if (a.size_ != b.size_) return false;
    for (int i = 0; i < a.size_; ++i)
      if (a[i] != b[i]) return false;
    return true;
  }

  // "[2, 3]"
  std::string to_string() const;

 private:
  void copy_long(const Dims& other);

  int32_t size_ = 0;
  union {
    int64_t local_[kInline];
    int64_t* heap_;
  };
};

using Shape = Dims;  // the sizes of the axes

// The product of the sizes; 1 for rank 0. Throws Error (kTooLarge) when it
// doesn't fit in 63 bits, kInvalidArgument for a negative size.
int64_t elements_of(const Shape& shape);

// The shape that both broadcast to under NumPy's rules. Throws Error
// (kShapeMismatch) that names `op` and both shapes.
Shape broadcast(const Shape& a, const Shape& b, const char* op);

}  // namespace sm
