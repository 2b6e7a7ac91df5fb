#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shumai/error.hpp"
#include "shumai/tensor.hpp"
#include "tensor/impl.hpp"
#include "util/buffer.hpp"

// What the fuzz targets share.
namespace sm::fuzz {

inline void require(bool condition) {
  if (!condition) std::abort();
}

// Only the input may fail: what the library wrote must always be read.
template <class Read>
auto read_input(Read read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

// An exact-sized block, so that reading past the end is seen.
inline util::BufferRef copy_of(const void* data, size_t size) {
  auto block = std::shared_ptr<uint8_t>(static_cast<uint8_t*>(std::malloc(size ? size : 1)), std::free);
  if (size > 0) std::memcpy(block.get(), data, size);
  return util::Buffer::wrap(block.get(), size, block, true);
}

inline std::string text_of(const std::vector<util::Slice>& slices) {
  std::string bytes;
  for (const util::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.data), slice.size);
  return bytes;
}

inline util::BufferRef join(const std::vector<util::Slice>& slices) {
  const std::string bytes = text_of(slices);
  return copy_of(bytes.data(), bytes.size());
}

inline void require_same(const Tensor& x, const Tensor& y) {
  require(x.dtype() == y.dtype() && x.shape() == y.shape() && x.is_contiguous() && y.is_contiguous());
  require(x.nbytes() == 0 || std::memcmp(x.impl()->bytes(), y.impl()->bytes(), x.nbytes()) == 0);
}

inline void require_same(const Tensors& a, const Tensors& b) {
  require(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    require(a.at(i).first == b.at(i).first);
    require_same(a.at(i).second, b.at(i).second);
  }
}

}  // namespace sm::fuzz
