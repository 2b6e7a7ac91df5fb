#pragma once

#include <vector>

#include "shumai/tensor.hpp"

namespace sm {

// What a backward pass found: each leaf that requires gradients, with its
// gradient, in an order that depends only on how the graph was built.
class Gradients {
 public:
  struct Entry {
    Tensor tensor;
    Tensor gradient;
  };

  Gradients() = default;
  explicit Gradients(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  // The gradient of `tensor`; undefined when the pass didn't reach it.
  Tensor of(const Tensor& tensor) const {
    for (const Entry& entry : entries_)
      if (entry.tensor.same_as(tensor)) return entry.gradient;
    return {};
  }
  size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  auto begin() const noexcept { return entries_.begin(); }
  auto end() const noexcept { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace sm
