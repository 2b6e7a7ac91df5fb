#include <cmath>

#include "shumai/autograd.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"
#include "util/philox.hpp"

namespace sm {
namespace {

// Uniform in [-1, 1), from a stream of its own so that the global one stays where it is.
Tensor direction(const Shape& shape, uint64_t seed, uint64_t& position) {
  Tensor out = make_tensor(shape, DType::f64);
  double* values = out.impl()->as<double>();
  for (int64_t i = 0, n = out.elements(); i < n; ++i)
    values[i] = static_cast<double>(util::philox(seed, position++)[0]) * 0x1p-31 - 1;
  return out;
}

}  // namespace

void gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& function, const std::vector<Tensor>& inputs,
               GradcheckOptions options) {
  uint64_t position = 0;
  std::vector<Tensor> leaves, ahead, behind, moves;
  for (const Tensor& input : inputs) {
    if (input.dtype() != DType::f64) {
      leaves.push_back(input);  // an index or a mask: nothing to vary
      ahead.push_back(input);
      behind.push_back(input);
      moves.emplace_back();
      continue;
    }
    moves.push_back(direction(input.shape(), options.seed, position));
    leaves.push_back(input.copy().requires_grad(true));
    ahead.push_back((input + moves.back() * options.step).detach());
    behind.push_back((input - moves.back() * options.step).detach());
  }
  const Tensor out = function(leaves);
  const Tensor weights = direction(out.shape(), options.seed + 1, position);
  const Tensor difference = (function(ahead) - function(behind)) / (2 * options.step);
  const double forward = sum(weights * difference).item<double>();
  double backward = 0;
  if (out.requires_grad()) {
    const Gradients gradients = out.backward(weights);
    for (size_t i = 0; i < leaves.size(); ++i)
      if (const Tensor gradient = gradients.of(leaves[i]); gradient.defined())
        backward += sum(gradient * moves[i]).item<double>();
  }
  const double scale = std::max({1.0, std::abs(forward), std::abs(backward)});
  if (!(std::abs(forward - backward) <= options.tolerance * scale))
    throw Error(ErrorCode::kInvalidArgument, "gradcheck: finite differences give " + std::to_string(forward) +
                                                 ", backward gives " + std::to_string(backward));
}

}  // namespace sm
