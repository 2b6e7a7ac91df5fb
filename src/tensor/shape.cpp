#include "shumai/shape.hpp"

#include <algorithm>

#include "shumai/error.hpp"

namespace sm {

Dims::Dims(int count, int64_t value) : size_(count) {
  if (count < 0 || count > kMaxRank)
    throw Error(ErrorCode::kOutOfRange, "shape: " + std::to_string(count) + " dimensions, at most 64 are supported");
  if (count > kInline) heap_ = new int64_t[count];
  std::fill_n(data(), count, value);
}

Dims::Dims(std::span<const int64_t> values) : Dims(static_cast<int>(std::min<size_t>(values.size(), 1u << 20)), 0) {
  std::copy(values.begin(), values.end(), data());
}

void Dims::copy_long(const Dims& other) {
  heap_ = new int64_t[static_cast<size_t>(size_)];
  std::copy_n(other.heap_, size_, heap_);
}

void Dims::insert(int position, int64_t value) {
  Dims grown(size_ + 1, value);
  std::copy_n(data(), position, grown.data());
  std::copy(data() + position, data() + size_, grown.data() + position + 1);
  *this = std::move(grown);
}

void Dims::erase(int position) {
  Dims shrunk(size_ - 1, 0);
  std::copy_n(data(), position, shrunk.data());
  std::copy(data() + position + 1, data() + size_, shrunk.data() + position);
  *this = std::move(shrunk);
}

bool Dims::contains(int64_t value) const noexcept { return std::find(begin(), end(), value) != end(); }

std::string Dims::to_string() const {
  std::string text = "[";
  for (int i = 0; i < size_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
  return text + "]";
}

int64_t elements_of(const Shape& shape) {
  int64_t count = 1;
  bool overflow = false;
  bool empty = false;
  for (int64_t size : shape) {
    if (size < 0) throw Error(ErrorCode::kInvalidArgument, "shape: negative size in " + shape.to_string());
    if (size == 0)
      empty = true;
    else
      overflow |= __builtin_mul_overflow(count, size, &count);
  }
  if (empty) return 0;
  if (overflow)
    throw Error(ErrorCode::kTooLarge, "shape: " + shape.to_string() + " has more elements than fit in memory");
  return count;
}

Shape broadcast(const Shape& a, const Shape& b, const char* op) {
  if (a == b) return a;
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const int shift = longer.size() - shorter.size();
  for (int i = 0; i < shorter.size(); ++i) {
    const int64_t size = shorter[i];
    int64_t& mine = out[shift + i];
    if (mine == 1)
      mine = size;
    else if (size != 1 && size != mine)
      throw Error(ErrorCode::kShapeMismatch, std::string(op) + ": shapes don't broadcast, got " + a.to_string() +
                                                 " and " + b.to_string() +
                                                 " (sizes must be equal or 1, from the last axis on)");
  }
  return out;
}

}  // namespace sm
