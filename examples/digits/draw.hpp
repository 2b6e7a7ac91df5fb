#pragma once

#include <cstdint>

#include "digits/renderer.hpp"
#include "shumai/shumai.hpp"

namespace digits {

struct Pictures {
  sm::Tensor images;  // float32 [n, 1, 28, 28]
  sm::Tensor labels;  // int64 [n]
};

// The next `n` pictures as tensors.
inline Pictures draw(Renderer& renderer, int64_t n) {
  Pictures drawn{sm::empty({n, 1, kSide, kSide}), sm::empty({n}, sm::DType::i64)};
  renderer.fill({sm::mutable_data<float>(drawn.images), static_cast<size_t>(n * kPixels)},
                {sm::mutable_data<int64_t>(drawn.labels), static_cast<size_t>(n)});
  return drawn;
}

}  // namespace digits
