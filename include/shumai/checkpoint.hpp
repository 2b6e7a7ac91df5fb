#pragma once

#include <functional>
#include <vector>

#include "shumai/tensor.hpp"

namespace sm {

// function(inputs), with a graph that keeps the inputs instead of all that the
// function computes on the way, and runs the function again in backward: less
// memory for more time (Chen et al., 2016, "Training Deep Nets with Sublinear
// Memory Cost").
//
//   for (const auto& block : blocks)
//     x = checkpoint([&block](const std::vector<Tensor>& in) { return block(in[0]); }, {x});
//
// Weights that the function uses get their gradients too, at the values that
// they had, and random operations draw the same numbers again. The function
// must do the same both times: what it does besides, such as updating running
// averages, happens twice. It runs on the thread of backward, and nothing else
// may draw random numbers while it runs.
//
// Throws Error (kInvalidArgument) when the function uses the result of another
// computation that isn't one of the inputs, or crosses the network. The result
// can be differentiated once: backward with create_graph throws kInvalidArgument.
Tensor checkpoint(std::function<Tensor(const std::vector<Tensor>&)> function, std::vector<Tensor> inputs);

}  // namespace sm
