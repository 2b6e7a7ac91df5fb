#include "shumai/transformer.hpp"

#include <cmath>
#include <string>

#include "nn/initial.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"

namespace sm::nn {
namespace {

// x + dropout(part(x)) with a norm before the part, or after the sum.
template <class F>
Tensor with_residual(const Tensor& x, const LayerNorm& norm, bool norm_first, const Dropout& dropout, F part) {
  return norm_first ? x + dropout(part(norm(x))) : norm(x + dropout(part(x)));
}

bool has_final_norm(const TransformerOptions& options) { return options.final_norm.value_or(options.norm_first); }

MultiheadAttentionOptions attention_options(const TransformerOptions& options) {
  return {.dropout = options.dropout, .dtype = options.dtype};
}

NormOptions norm_options(const TransformerOptions& options) {
  return {.epsilon = options.epsilon, .dtype = options.dtype};
}

}  // namespace

TransformerPositionalEncoding::TransformerPositionalEncoding(int64_t width, PositionalEncodingOptions options)
    : dropout_(options.dropout) {
  check_positive("TransformerPositionalEncoding", "width", width);
  check_positive("TransformerPositionalEncoding", "max_length", options.max_length);
  check_probability("TransformerPositionalEncoding", options.dropout);
  const Tensor time = arange(0, static_cast<double>(options.max_length), 1, DType::f64);
  const Tensor even = arange(0, static_cast<double>(width), 2, DType::f64);
  const Tensor angle = unsqueeze(time, 1) * exp(even * (-std::log(1e4) / static_cast<double>(width)));
  const Tensor both = reshape(stack({sin(angle), cos(angle)}, 2), {options.max_length, -1});
  table_ = contiguous(astype(slice(both, 1, 0, width), DType::f32));
}

Tensor TransformerPositionalEncoding::encoding(int64_t length) const {
  if (length < 0 || length > table_.size(0))
    throw Error(ErrorCode::kShapeMismatch, "TransformerPositionalEncoding: a sequence may have up to " +
                                               std::to_string(table_.size(0)) + " steps, got " +
                                               std::to_string(length));
  return slice(table_, 0, 0, length);
}

Tensor TransformerPositionalEncoding::operator()(const Tensor& x) const {
  if (x.ndim() < 2 || x.size(-1) != table_.size(1))
    throw Error(ErrorCode::kShapeMismatch, "TransformerPositionalEncoding: expects [..., time, " +
                                               std::to_string(table_.size(1)) + "], got " + x.shape().to_string());
  return dropout(x + astype(encoding(x.size(-2)), x.dtype()), dropout_, training());
}

Tensor detail::FeedForward::operator()(const Tensor& x) const {
  const Tensor hidden = first(x);
  return second(dropout(activation ? activation(hidden) : relu(hidden)));
}

TransformerEncoderLayer::TransformerEncoderLayer(int64_t width, int64_t heads, const TransformerOptions& options)
    : norm_first_(options.norm_first),
      attention_(submodule("self_attn", MultiheadAttention(width, heads, attention_options(options)))),
      feedforward_{submodule("linear1", Linear(width, options.feedforward, {.dtype = options.dtype})),
                   submodule("linear2", Linear(options.feedforward, width, {.dtype = options.dtype})),
                   submodule("dropout", Dropout(options.dropout)), options.activation},
      norm1_(submodule("norm1", LayerNorm(width, norm_options(options)))),
      norm2_(submodule("norm2", LayerNorm(width, norm_options(options)))),
      dropout_(submodule("dropout1", Dropout(options.dropout))) {}

Tensor TransformerEncoderLayer::operator()(const Tensor& x, const AttentionMask& mask) const {
  const Tensor seen =
      with_residual(x, norm1_, norm_first_, dropout_, [&](const Tensor& in) { return attention_(in, mask); });
  return with_residual(seen, norm2_, norm_first_, dropout_, feedforward_);
}

TransformerEncoder::TransformerEncoder(int64_t count, int64_t width, int64_t heads, const TransformerOptions& options) {
  check_positive("TransformerEncoder", "count", count);
  submodule("layers", layers_);
  for (int64_t i = 0; i < count; ++i) layers_.add(TransformerEncoderLayer(width, heads, options));
  if (has_final_norm(options)) norm_ = submodule("norm", LayerNorm(width, norm_options(options)));
}

Tensor TransformerEncoder::operator()(const Tensor& x, const AttentionMask& mask) const {
  Tensor out = x;
  for (const TransformerEncoderLayer& layer : layers_) out = layer(out, mask);
  return norm_ ? (*norm_)(out) : out;
}

TransformerDecoderLayer::TransformerDecoderLayer(int64_t width, int64_t heads, const TransformerOptions& options)
    : norm_first_(options.norm_first),
      attention_(submodule("self_attn", MultiheadAttention(width, heads, attention_options(options)))),
      memory_attention_(submodule("multihead_attn", MultiheadAttention(width, heads, attention_options(options)))),
      feedforward_{submodule("linear1", Linear(width, options.feedforward, {.dtype = options.dtype})),
                   submodule("linear2", Linear(options.feedforward, width, {.dtype = options.dtype})),
                   submodule("dropout", Dropout(options.dropout)), options.activation},
      norm1_(submodule("norm1", LayerNorm(width, norm_options(options)))),
      norm2_(submodule("norm2", LayerNorm(width, norm_options(options)))),
      norm3_(submodule("norm3", LayerNorm(width, norm_options(options)))),
      dropout_(submodule("dropout1", Dropout(options.dropout))) {}

Tensor TransformerDecoderLayer::operator()(const Tensor& x, const Tensor& memory, const AttentionMask& mask,
                                           const AttentionMask& memory_mask) const {
  const Tensor seen =
      with_residual(x, norm1_, norm_first_, dropout_, [&](const Tensor& in) { return attention_(in, mask); });
  const Tensor told = with_residual(seen, norm2_, norm_first_, dropout_, [&](const Tensor& in) {
    return memory_attention_(in, memory, memory, memory_mask);
  });
  return with_residual(told, norm3_, norm_first_, dropout_, feedforward_);
}

TransformerDecoder::TransformerDecoder(int64_t count, int64_t width, int64_t heads, const TransformerOptions& options) {
  check_positive("TransformerDecoder", "count", count);
  submodule("layers", layers_);
  for (int64_t i = 0; i < count; ++i) layers_.add(TransformerDecoderLayer(width, heads, options));
  if (has_final_norm(options)) norm_ = submodule("norm", LayerNorm(width, norm_options(options)));
}

Tensor TransformerDecoder::operator()(const Tensor& x, const Tensor& memory, const AttentionMask& mask,
                                      const AttentionMask& memory_mask) const {
  Tensor out = x;
  for (const TransformerDecoderLayer& layer : layers_) out = layer(out, memory, mask, memory_mask);
  return norm_ ? (*norm_)(out) : out;
}

}  // namespace sm::nn
