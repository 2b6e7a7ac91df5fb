#pragma once

#include <utility>

#include "shumai/shumai.hpp"

// What the data team knows and the model team doesn't: y = 3 x.
inline std::pair<sm::Tensor, sm::Tensor> get_data() {
  auto input = sm::randn({128});
  return {input, input * 3};
}
