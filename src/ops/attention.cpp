#include <cmath>
#include <limits>

#include "kernels/attention.hpp"
#include "ops/common.hpp"
#include "shumai/ops.hpp"

namespace sm::ops {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

Error shape_error(const std::string& rule, const Call& call) {
  std::string shapes = "query " + call.in(0).shape().to_string() + ", key " + call.in(1).shape().to_string();
  if (call.op.name == "attention") shapes += " and value " + call.in(2).shape().to_string();
  return Error(ErrorCode::kShapeMismatch, std::string(call.op.name) + ": " + rule + ", got " + shapes);
}

void check_shapes(const Call& call) {
  const Tensor &query = call.in(0), &key = call.in(1);
  if (query.ndim() < 2 || key.ndim() < 2) throw shape_error("expects a query [..., L, E] and a key [..., S, E]", call);
  if (query.size(-1) != key.size(-1)) throw shape_error("query and key must have the same last size", call);
}

void check_value(const Call& call) {
  if (call.in(2).ndim() < 2) throw shape_error("expects a value [..., S, Ev]", call);
  if (call.in(1).size(-2) != call.in(2).size(-2)) throw shape_error("key and value must have the same length", call);
}

// Boolean [L, S]: key j is for query i when j <= i.
Tensor causal_mask(int64_t queries, int64_t keys) {
  return lte(arange(0, static_cast<double>(keys), 1, DType::i64),
             unsqueeze(arange(0, static_cast<double>(queries), 1, DType::i64), -1));
}

void check_mask(const Shape& scores, const Tensor& mask) {
  Shape fits = scores;
  try {
    fits = broadcast(scores, mask.shape(), "attention");
  } catch (const Error&) {
    fits = {};
  }
  if (fits != scores)
    throw Error(ErrorCode::kShapeMismatch, "attention: a mask must broadcast to [..., L, S], which is " +
                                               scores.to_string() + ", got " + mask.shape().to_string());
}

// What a mask makes of the scores: -inf where it lets nothing through, or what it adds.
Tensor masked_scores(const Tensor& scores, const Tensor& mask) {
  check_mask(scores.shape(), mask);
  if (is_floating(mask.dtype())) return scores + converted(mask, scores.dtype());
  return where(mask, scores, constant(kNever, scores.dtype()));
}

// Softmax over the keys; zeros where every one is masked, which softmax alone would make NaN.
Tensor weights_of(const Tensor& scores, bool masked) {
  if (!masked || scores.size(-1) == 0) return softmax(scores, -1);
  const Tensor zero = constant(0, scores.dtype());
  const Tensor some = any(neq(scores.detach(), constant(kNever, scores.dtype())), -1, true);
  return where(some, softmax(where(some, scores, zero), -1), zero);
}

double scale_of(double given, int64_t size) {
  return given == 0 ? 1 / std::sqrt(static_cast<double>(std::max<int64_t>(size, 1))) : given;
}

// softmax(Q K^T * scale), with the graph; the mask may be undefined.
Tensor weights_between(const Tensor& query, const Tensor& key, const Tensor& mask, bool causal, double scale) {
  // Scaling the query is the cheapest of the three places.
  Tensor scores = matmul(query * scale, swap_last(key));
  if (causal) scores = where(causal_mask(query.size(-2), key.size(-2)), scores, constant(kNever, scores.dtype()));
  if (mask.defined()) scores = masked_scores(scores, mask);
  return weights_of(scores, mask.defined());
}

Tensor attention_weights_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs.first(2)), working = wide(dtype);
  check_shapes(call);
  const Tensor query = converted(call.in(0), working), key = converted(call.in(1), working);
  const double scale = scale_of(call.number(1), query.size(-1));
  return converted(weights_between(query, key, call.in(2), call.flag(0), scale), dtype);
}

// A mask as what it adds to the scores of `query` and `key`, a view of their shape.
Tensor added_mask(const Tensor& mask, const Tensor& query, const Tensor& key) {
  if (!mask.defined()) return mask;
  Shape scores = query.shape();
  scores[scores.size() - 1] = key.size(-2);
  check_mask(scores, mask);
  const Tensor plain = mask.detach();
  return expand(is_floating(plain.dtype()) ? as_dtype(plain, DType::f32)
                                           : where(plain, constant(0, DType::f32), constant(kNever, DType::f32)),
                scores);
}

Tensor attention_forward(const Call& call) {
  const DType dtype = floating_result(call.op, call.inputs.first(3)), working = wide(dtype);
  check_shapes(call);
  check_value(call);
  const Tensor query = as_dtype(call.in(0), working), key = as_dtype(call.in(1), working);
  const Tensor value = as_dtype(call.in(2), working), &mask = call.in(3);
  const double scale = scale_of(call.number(1), query.size(-1));
  if (kernels::attention_takes(query, key, value))
    return as_dtype(kernels::attention({scale, call.flag(0)}, query, key, value, added_mask(mask, query, key)), dtype);
  return as_dtype(matmul(weights_between(query, key, mask, call.flag(0), scale), value), dtype);
}

// The saved operands of a row of attention, in the dtype that it computes in.
struct AttentionOperands {
  const GradientCall& c;
  DType working = wide(c.gradient.dtype());
  Tensor gradient = converted(c.gradient, working);
  Tensor query = converted(c.in(0), working), key = converted(c.in(1), working), value = converted(c.in(2), working);
  Tensor mask = c.has(3) ? c.in(3) : Tensor();
  bool causal = c.flag(0);
  double scale = scale_of(c.number(1), query.size(-1));

  Tensor weights() const { return weights_between(query, key, mask, causal, scale); }
  // The gradient of the scores.
  Tensor slopes() const {
    const Tensor p = weights(), d = matmul(gradient, swap_last(value));
    return p * (d - sum(d * p, -1, true));
  }
};

Tensor attention_gradient(const GradientCall& c) {
  const AttentionOperands x{c};
  switch (c.index()) {
    case 0:
      return matmul(x.slopes(), x.key) * x.scale;
    case 1:
      return matmul(swap_last(x.slopes()), x.query) * x.scale;
    case 2:
      return matmul(swap_last(x.weights()), x.gradient);
    default:
      return x.slopes();
  }
}

bool attention_joint(const GradientCall& c, std::span<Tensor> input_gradients) {
  if (c.count() > 3 && c.wants(3)) return false;
  const AttentionOperands x{c};
  if (!kernels::attention_takes(x.query, x.key, x.value)) return false;
  kernels::AttentionGradients out = kernels::attention_gradients({x.scale, x.causal}, x.gradient, x.query, x.key,
                                                                 x.value, added_mask(x.mask, x.query, x.key));
  if (c.wants(0)) input_gradients[0] = std::move(out.query);
  if (c.wants(1)) input_gradients[1] = std::move(out.key);
  if (c.wants(2)) input_gradients[2] = std::move(out.value);
  return true;
}

// Element (row, key), where rows count through all queries of all batches; operands are of one batch shape, or of
// none. The mask is input number `mask`.
std::vector<double> weight_rows(const RefCall& c, size_t mask) {
  const auto last = [](const RefArray& x, int from_end) {
    return static_cast<size_t>(x.shape[x.shape.size() - from_end]);
  };
  const RefArray &q = c.in(0), &k = c.in(1);
  const size_t queries = last(q, 2), keys = last(k, 2), size = last(q, 1);
  const double scale = c.number(1) != 0 ? c.number(1) : 1 / std::sqrt(static_cast<double>(size));
  std::vector<double> out;
  for (size_t row = 0; row < q.data.size() / size; ++row) {
    const size_t batch = row / queries, mine = row % queries;
    std::vector<double> weight(keys, 0);
    double total = 0;
    for (size_t j = 0; j < keys && !(c.flag(0) && j > mine); ++j) {
      double score = 0;
      for (size_t e = 0; e < size; ++e) score += q.data[row * size + e] * k.data[(batch * keys + j) * size + e];
      score *= scale;
      const std::vector<double>* added = c.inputs.size() > mask ? &c.inputs[mask].data : nullptr;
      if (added) score += (*added)[(mine * keys + j) % added->size()];
      total += weight[j] = std::exp(score);
    }
    for (const double each : weight) out.push_back(each / total);
  }
  return out;
}

RefArray attention_weights_reference(const RefCall& c) {
  RefArray out{c.in(0).shape, weight_rows(c, 2)};
  out.shape[out.shape.size() - 1] = c.in(1).shape[c.in(1).shape.size() - 2];
  return out;
}

RefArray attention_reference(const RefCall& c) {
  const RefArray &q = c.in(0), &k = c.in(1), &v = c.in(2);
  const int rank = v.shape.size();
  const size_t keys = static_cast<size_t>(v.shape[rank - 2]), columns = static_cast<size_t>(v.shape[rank - 1]);
  const size_t queries = static_cast<size_t>(q.shape[q.shape.size() - 2]);
  const std::vector<double> weights = weight_rows(c, 3);
  RefArray out{q.shape, {}};
  out.shape[out.shape.size() - 1] = v.shape[rank - 1];
  const size_t rows = q.data.size() / static_cast<size_t>(k.shape[k.shape.size() - 1]);
  for (size_t row = 0; row < rows; ++row)
    for (size_t i = 0; i < columns; ++i) {
      double sum = 0;
      for (size_t j = 0; j < keys; ++j)
        sum += weights[row * keys + j] * v.data[(row / queries * keys + j) * columns + i];
      out.data.push_back(sum);
    }
  return out;
}

}  // namespace

std::span<const Op> attention_ops() {
  static const std::vector<Op> rows = {
      {.name = "attention",
       .js = "attention",
       .args = {tensor_arg("query"), tensor_arg("key"), tensor_arg("value"), optional_tensor_arg("mask"),
                bool_arg("causal", false), float_arg("scale", 0.0)},
       .doc = "softmax(Q K^T * scale) V over [..., L, E], [..., S, E] and [..., S, Ev], giving [..., L, Ev]; the axes "
              "before the last two broadcast. Scale 0 stands for 1 / sqrt(E). A mask broadcasts to [..., L, S]: a "
              "boolean or integer one says with non-zero which keys take part, a floating-point one is added to the "
              "scores. `causal` lets query i see the keys up to i. A query that sees no key gets zeros (Vaswani and "
              "others, 2017).",
       .forward = attention_forward,
       .gradient = Gradient({{kIn0 | kIn1 | kIn2 | kIn3, attention_gradient}}, attention_joint),
       .reference = attention_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 4}, Shape{5, 4}, Shape{5, 2}, Shape{3, 5}}, {false, 0.0}},
                    {{Shape{2, 3, 2}, Shape{2, 3, 2}, Shape{2, 3, 3}}, {true, 0.0}},
                    {{Shape{2, 2, 3, 2}, Shape{2, 2, 4, 2}, Shape{2, 2, 4, 1}, Shape{4}}, {true, 0.7}},
                    {{Shape{0, 2}, Shape{3, 2}, Shape{3, 2}}, {false, 0.0}},
                    {{Shape{2, 2}, Shape{0, 2}, Shape{0, 3}}, {false, 0.0}}}},
       .dtypes = DTypes::kFloating},
      {.name = "attention_weights",
       .js = "attentionWeights",
       .args = {tensor_arg("query"), tensor_arg("key"), optional_tensor_arg("mask"), bool_arg("causal", false),
                float_arg("scale", 0.0)},
       .doc = "softmax(Q K^T * scale), [..., L, S]: the weights that `attention` gives the values, by the same rules.",
       .forward = attention_weights_forward,
       .gradient = Gradient::composed(),
       .reference = attention_weights_reference,
       .samples = {{{-2, 2}},
                   {{{Shape{3, 4}, Shape{5, 4}, Shape{3, 5}}, {false, 0.0}},
                    {{Shape{2, 3, 2}, Shape{2, 3, 2}}, {true, 0.0}},
                    {{Shape{2, 2, 3, 2}, Shape{2, 2, 4, 2}, Shape{4}}, {true, 0.7}},
                    {{Shape{0, 2}, Shape{3, 2}}, {false, 0.0}}}},
       .dtypes = DTypes::kFloating},
  };
  return rows;
}

}  // namespace sm::ops
