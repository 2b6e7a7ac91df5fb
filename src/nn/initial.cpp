#include "nn/initial.hpp"

#include <fmt/core.h>

#include <cmath>
#include <string>

#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::nn {

Tensor uniform(const Shape& shape, double bound, DType dtype) {
  const NoGrad guard;
  return rand(shape, dtype) * (2 * bound) - bound;
}

Tensor uniform_for(const Shape& shape, int64_t inputs, DType dtype) {
  return uniform(shape, 1 / std::sqrt(static_cast<double>(inputs)), dtype);
}

Tensor glorot_uniform(const Shape& shape, DType dtype) {
  return uniform(shape, std::sqrt(6.0 / static_cast<double>(shape[0] + shape[1])), dtype);
}

void check_positive(const char* module, const char* name, int64_t value) {
  if (value < 1)
    throw Error(ErrorCode::kInvalidArgument,
                std::string(module) + ": " + name + " must be 1 or more, got " + std::to_string(value));
}

void check_probability(const char* module, double p) {
  if (!(p >= 0 && p <= 1))
    throw Error(ErrorCode::kInvalidArgument,
                std::string(module) + ": a probability must be from 0 to 1, got " + fmt::format("{}", p));
}

}  // namespace sm::nn
