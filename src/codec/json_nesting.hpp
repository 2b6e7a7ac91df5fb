#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "shumai/error.hpp"
#include "shumai/shape.hpp"

namespace sm::codec {

// Finds the shape of nested arrays as they are read. Throws Error (kProtocol)
// when they make no tensor.
class Nesting {
 public:
  void open() {
    if (depth_ > 0) ++counts_[depth_ - 1];
    if (++depth_ > sizes_.size()) {
      if (scalars_) fail("an array where other entries are numbers");
      if (depth_ > Dims::kMaxRank) fail("more than 64 dimensions");
      sizes_.push_back(kUnknown);
      counts_.push_back(0);
    }
    counts_[depth_ - 1] = 0;
  }

  void close() {
    const int64_t count = counts_[--depth_];
    int64_t& size = sizes_[depth_];
    if (size == kUnknown) size = count;
    if (size != count)
      fail("rows of " + std::to_string(size) + " and of " + std::to_string(count) + " entries along axis " +
           std::to_string(depth_));
  }

  void scalar() {
    if (depth_ != sizes_.size()) fail("a number where other entries are arrays");
    if (depth_ > 0) ++counts_[depth_ - 1];
    scalars_ = true;
  }

  Shape shape() const { return Shape(sizes_); }

 private:
  static constexpr int64_t kUnknown = -1;

  [[noreturn]] static void fail(const std::string& what) {
    throw Error(ErrorCode::kProtocol, "json: nested arrays don't make a tensor, " + what);
  }

  std::vector<int64_t> sizes_;   // by axis
  std::vector<int64_t> counts_;  // entries so far of the open array, by axis
  size_t depth_ = 0;
  bool scalars_ = false;
};

}  // namespace sm::codec
