#pragma once

#include <cstdint>

#include "ops/op.hpp"
#include "tensor/impl.hpp"

namespace sm::ops {

// What a slice takes: elements start to start + count along an axis of `whole`.
struct Part {
  int axis = 0;
  int64_t start = 0, count = 0;
  Shape whole;
};

// Of a slice of `whole`; false where it leaves elements out in between.
bool part_of_slice(const Shape& whole, Attrs attrs, Part& part);
// Of a node of the graph; false where it isn't such a slice.
bool part_of_node(Node& node, Part& part);

}  // namespace sm::ops
