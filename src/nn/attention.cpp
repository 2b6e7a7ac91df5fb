#include <limits>
#include <string>

#include "nn/initial.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/transformer.hpp"

namespace sm::nn {
namespace {

// `mask` for scores of rank `ndim`, where the first axis of [batch, L, S] and of padding [batch, S] is the batch's.
Tensor for_scores(const Tensor& mask, int ndim) {
  if (mask.ndim() < 3 || mask.ndim() >= ndim) return mask;
  Shape shape = mask.shape();
  while (shape.size() < ndim) shape.insert(1, 1);
  return reshape(mask, shape);
}

// Both masks in one, undefined when there is none.
Tensor joined(const AttentionMask& mask, const Tensor& query, const Tensor& key) {
  const int ndim = query.ndim();
  Tensor given = mask.mask.defined() ? for_scores(mask.mask, ndim) : Tensor();
  if (!mask.padding.defined()) return given;
  const Shape expected = {key.size(0), key.size(-2)};
  if (ndim < 3 || mask.padding.shape() != expected)
    throw Error(ErrorCode::kShapeMismatch, "attention: padding must have shape [batch, keys], which is " +
                                               expected.to_string() + ", got " + mask.padding.shape().to_string());
  Tensor visible = for_scores(reshape(logical_not(mask.padding), {expected[0], 1, expected[1]}), ndim);
  if (!given.defined()) return visible;
  if (!is_floating(given.dtype())) return logical_and(given, visible);
  return where(visible, given, -std::numeric_limits<double>::infinity());
}

}  // namespace

DotProductAttention::DotProductAttention(DotProductAttentionOptions options) : options_(options) {
  check_probability("DotProductAttention", options.dropout);
}

Tensor DotProductAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                       const AttentionMask& mask) const {
  const Tensor both = joined(mask, query, key);
  if (options_.dropout == 0 || !training()) return attention(query, key, value, both, mask.causal, options_.scale);
  const Tensor weights = attention_weights(query, key, both, mask.causal, options_.scale);
  return matmul(dropout(weights, options_.dropout), value);
}

MultiheadAttention::MultiheadAttention(int64_t width, int64_t heads, MultiheadAttentionOptions options)
    : width_(width),
      heads_(heads),
      out_(submodule("out_proj", Linear(width, width, {options.bias, options.dtype}))),
      attention_(submodule("attention", DotProductAttention({.dropout = options.dropout}))) {
  check_positive("MultiheadAttention", "heads", heads);
  if (width % heads != 0)
    throw Error(ErrorCode::kInvalidArgument, "MultiheadAttention: heads must divide width, got " +
                                                 std::to_string(heads) + " for " + std::to_string(width));
  weight_ = parameter("in_proj_weight", glorot_uniform({3 * width, width}, options.dtype));
  if (!options.bias) return;
  bias_ = parameter("in_proj_bias", zeros({3 * width}, options.dtype));
  out_.bias().update(zeros({width}, options.dtype));
}

// With parts `from` to `to` of the three of the weight: query, key, value.
Tensor MultiheadAttention::project(const Tensor& x, int64_t from, int64_t to) const {
  const auto parts = [&](const Tensor& all) {
    return to - from == 3 || !all.defined() ? all : slice(all, 0, from * width_, to * width_);
  };
  return linear(x, parts(weight_).transpose(), parts(bias_));
}

// [batch, time, width] to [batch, heads, time, width / heads].
Tensor MultiheadAttention::split_heads(const Tensor& x) const {
  return transpose(reshape(x, {x.size(0), x.size(1), heads_, width_ / heads_}), {0, 2, 1, 3});
}

Tensor MultiheadAttention::operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                                      const AttentionMask& mask) const {
  for (const Tensor& x : {query, key, value})
    if (x.ndim() != 3 || x.size(2) != width_)
      throw Error(ErrorCode::kShapeMismatch, "MultiheadAttention: expects [batch, time, " + std::to_string(width_) +
                                                 "], got " + x.shape().to_string());
  Tensor q, k, v;
  if (query.same_as(key) && key.same_as(value)) {
    const Tensor all = project(query, 0, 3);
    q = slice(all, -1, 0, width_);
    k = slice(all, -1, width_, 2 * width_);
    v = slice(all, -1, 2 * width_, 3 * width_);
  } else {
    q = project(query, 0, 1);
    k = project(key, 1, 2);
    v = project(value, 2, 3);
  }
  const Tensor seen = attention_(split_heads(q), split_heads(k), split_heads(v), mask);
  return out_(reshape(transpose(seen, {0, 2, 1, 3}), query.shape()));
}

}  // namespace sm::nn
