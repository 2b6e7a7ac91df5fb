#pragma once

#include <cstddef>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm {

// A block of memory that a graph keeps.
struct HeldBlock {
  const void* block = nullptr;  // says which; not to be followed
  size_t bytes = 0;
  bool weight = false;  // the value that a leaf had: shared with the leaf until its next update
};

// What `output` and the graph below it keep for their backward, each block
// once. What gradient functions of the user's captured isn't seen. Use it from
// the graph's own thread.
std::vector<HeldBlock> held_by(const Tensor& output);

}  // namespace sm
