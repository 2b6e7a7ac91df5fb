#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "shumai/layers.hpp"
#include "shumai/module.hpp"

// Attention and transformers (Vaswani et al., "Attention Is All You Need",
// 2017), on [batch, time, width]. Weights have PyTorch's names and layouts.
namespace sm::nn {

// Which keys a query sees; what several of these forbid, each forbids.
struct AttentionMask {
  bool causal = false;  // query i sees the keys up to i
  Tensor padding = {};  // boolean [batch, keys]: true for a key that is padding
  // Boolean, true for what a query sees, or floating-point and added to the
  // scores: [queries, keys], [batch, queries, keys] or [batch, heads, queries, keys].
  Tensor mask = {};
};

struct DotProductAttentionOptions {
  double scale = 0;    // 0: 1 / sqrt(width)
  double dropout = 0;  // in train mode, of the attention's weights
};

// softmax(Q K' scale) V for [batch, ..., L, E], [batch, ..., S, E] and
// [batch, ..., S, Ev]: see sm::attention. A query that sees no key gets zeros.
class DotProductAttention : public Module {
 public:
  explicit DotProductAttention(DotProductAttentionOptions options = {});
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask = {}) const;

 private:
  DotProductAttentionOptions options_;
};

struct MultiheadAttentionOptions {
  double dropout = 0;  // in train mode, of the attention's weights
  bool bias = true;
  DType dtype = DType::f32;
};

// Attention by `heads` heads of width / heads each, between a projection of
// query, key and value (in_proj_weight [3 width, width], in_proj_bias) and one
// of the outcome (out_proj). Query is [batch, L, width], key and value are
// [batch, S, width]. The projections are Glorot's at first, biases 0.
class MultiheadAttention : public Module {
 public:
  // Throws Error (kInvalidArgument) unless `heads` divides `width`.
  MultiheadAttention(int64_t width, int64_t heads, MultiheadAttentionOptions options = {});
  // [batch, L, width]. Throws Error (kShapeMismatch).
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionMask& mask = {}) const;
  // Of a sequence to itself.
  Tensor operator()(const Tensor& x, const AttentionMask& mask = {}) const { return (*this)(x, x, x, mask); }

 private:
  Tensor project(const Tensor& x, int64_t from, int64_t to) const;
  Tensor split_heads(const Tensor& x) const;

  int64_t width_;
  int64_t heads_;
  Tensor weight_, bias_;
  Linear out_;
  DotProductAttention attention_;
};

struct PositionalEncodingOptions {
  double dropout = 0;         // in train mode, of the sum
  int64_t max_length = 4096;  // of a sequence
};

// Adds to [..., time, width] where each step stands:
//
//   encoding[t, 2 i]     = sin(t / 10000^(2 i / width))
//   encoding[t, 2 i + 1] = cos(t / 10000^(2 i / width))
//
// Has no weights and isn't saved.
class TransformerPositionalEncoding : public Module {
 public:
  explicit TransformerPositionalEncoding(int64_t width, PositionalEncodingOptions options = {});
  // Throws Error (kShapeMismatch) for another width or a longer sequence.
  Tensor operator()(const Tensor& x) const;
  // What is added: [length, width], float32.
  Tensor encoding(int64_t length) const;

 private:
  Tensor table_;  // [max_length, width]
  double dropout_;
};

struct TransformerOptions {
  int64_t feedforward = 2048;  // the width between the two linear layers
  double dropout = 0.1;        // in train mode: of attention's weights, inside the linear layers, of each addition
  std::function<Tensor(const Tensor&)> activation = {};  // between the linear layers; relu unless given
  // Normalises what goes into each part, not what comes out: Xiong et al., "On
  // Layer Normalization in the Transformer Architecture", 2020.
  bool norm_first = false;
  std::optional<bool> final_norm = {};  // of an encoder or decoder after its last layer; unset: as norm_first
  double epsilon = 1e-5;
  DType dtype = DType::f32;
};

namespace detail {

// linear2(dropout(activation(linear1(x)))), for modules that register the parts as theirs.
struct FeedForward {
  Linear first, second;
  Dropout dropout;
  std::function<Tensor(const Tensor&)> activation;
  Tensor operator()(const Tensor& x) const;
};

}  // namespace detail

// Attention of [batch, time, width] to itself, then two linear layers, each
// added to what went in and normalised: self_attn, linear1, linear2, norm1, norm2.
class TransformerEncoderLayer : public Module {
 public:
  TransformerEncoderLayer(int64_t width, int64_t heads, const TransformerOptions& options = {});
  Tensor operator()(const Tensor& x, const AttentionMask& mask = {}) const;

 private:
  bool norm_first_;
  MultiheadAttention attention_;
  detail::FeedForward feedforward_;
  LayerNorm norm1_, norm2_;
  Dropout dropout_;
};

// `count` encoder layers ("layers.0", ...), each with initial weights of its
// own, and a norm ("norm") if there is to be one.
class TransformerEncoder : public Module {
 public:
  TransformerEncoder(int64_t count, int64_t width, int64_t heads, const TransformerOptions& options = {});
  Tensor operator()(const Tensor& x, const AttentionMask& mask = {}) const;

 private:
  ModuleList<TransformerEncoderLayer> layers_;
  std::optional<LayerNorm> norm_;
};

// An encoder layer with attention to `memory`, an encoder's output, in
// between: self_attn, multihead_attn, linear1, linear2, norm1, norm2, norm3.
class TransformerDecoderLayer : public Module {
 public:
  TransformerDecoderLayer(int64_t width, int64_t heads, const TransformerOptions& options = {});
  // `mask` is for x, which is usually causal, `memory_mask` for what x sees of memory.
  Tensor operator()(const Tensor& x, const Tensor& memory, const AttentionMask& mask = {},
                    const AttentionMask& memory_mask = {}) const;

 private:
  bool norm_first_;
  MultiheadAttention attention_, memory_attention_;
  detail::FeedForward feedforward_;
  LayerNorm norm1_, norm2_, norm3_;
  Dropout dropout_;
};

// As TransformerEncoder.
class TransformerDecoder : public Module {
 public:
  TransformerDecoder(int64_t count, int64_t width, int64_t heads, const TransformerOptions& options = {});
  Tensor operator()(const Tensor& x, const Tensor& memory, const AttentionMask& mask = {},
                    const AttentionMask& memory_mask = {}) const;

 private:
  ModuleList<TransformerDecoderLayer> layers_;
  std::optional<LayerNorm> norm_;
};

}  // namespace sm::nn
