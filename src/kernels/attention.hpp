#pragma once

#include "shumai/tensor.hpp"

// softmax(scale Q K^T + mask) V over [..., L, E], [..., S, E] and [..., S, Ev]
// of float32, for a few queries at a time: the scores of all of them are never
// there at once. Any strides in, no graph. Results lie as their operands do: as columns of a
// wider matrix where heads are that.
namespace sm::kernels {

struct Attention {
  double scale;
  bool causal;  // query i sees the keys up to i
};

// Whether these kernels take such operands: float32, the same axes before the last two, nothing empty.
bool attention_takes(const Tensor& query, const Tensor& key, const Tensor& value);

// `mask` is float32 of shape [..., L, S], a view with strides of 0 where it broadcasts, or undefined. A query that sees
// no key gets zeros.
Tensor attention(const Attention& attention, const Tensor& query, const Tensor& key, const Tensor& value,
                 const Tensor& mask);

struct AttentionGradients {
  Tensor query, key, value;
};

// The gradients of the operands from that of the result; the scores are computed again.
AttentionGradients attention_gradients(const Attention& attention, const Tensor& gradient, const Tensor& query,
                                       const Tensor& key, const Tensor& value, const Tensor& mask);

}  // namespace sm::kernels
