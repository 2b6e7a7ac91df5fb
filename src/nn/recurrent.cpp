#include <algorithm>
#include <cmath>

#include "nn/initial.hpp"
#include "shumai/error.hpp"
#include "shumai/ops.hpp"
#include "shumai/recurrent.hpp"

namespace sm::nn {
namespace {

// Part `index` of `parts` equal ones of the last axis.
Tensor part(const Tensor& x, int64_t index, int64_t parts) {
  const int64_t size = x.size(-1) / parts;
  return slice(x, -1, index * size, (index + 1) * size);
}

Tensor row(const Tensor& x, int64_t index) { return squeeze(slice(x, 0, index, index + 1), 0); }

}  // namespace

namespace detail {

Recurrent::Recurrent(const char* name, int64_t gates, int64_t inputs, int64_t hidden, RecurrentOptions options)
    : name_(name), gates_(gates), inputs_(inputs), hidden_(hidden), options_(options) {
  check_positive(name, "inputs", inputs);
  check_positive(name, "hidden", hidden);
  check_positive(name, "layers", options.layers);
  check_probability(name, options.dropout);
  for (int64_t layer = 0; layer < options.layers; ++layer)
    for (int64_t direction = 0; direction < directions(); ++direction)
      weights_.push_back(make_weights(layer == 0 ? inputs : hidden * directions(),
                                      "_l" + std::to_string(layer) + (direction ? "_reverse" : "")));
}

Recurrent::Weights Recurrent::make_weights(int64_t inputs, const std::string& suffix) {
  const auto make = [&](const char* name, const Shape& shape) {
    return parameter(name + suffix, uniform_for(shape, hidden_, options_.dtype));
  };
  const int64_t rows = gates_ * hidden_;
  Weights weights;
  weights.input = make("weight_ih", {rows, inputs});
  weights.hidden = make("weight_hh", {rows, hidden_});
  if (options_.bias) {
    weights.input_bias = make("bias_ih", {rows});
    weights.hidden_bias = make("bias_hh", {rows});
  }
  return weights;
}

void Recurrent::check(const Tensor& x, const Carry& initial) const {
  const char* layout = options_.batch_first ? "[batch, time, " : "[time, batch, ";
  const int time = options_.batch_first ? 1 : 0;
  if (x.ndim() != 3 || x.size(2) != inputs_ || x.size(time) < 1)
    throw Error(ErrorCode::kShapeMismatch, std::string(name_) + ": expects " + layout + std::to_string(inputs_) +
                                               "] of at least one step, got " + x.shape().to_string());
  const Shape expected = {static_cast<int64_t>(weights_.size()), x.size(1 - time), hidden_};
  for (const Tensor& state : {initial.hidden, initial.cell})
    if (state.defined() && state.shape() != expected)
      throw Error(ErrorCode::kShapeMismatch, std::string(name_) + ": a state must have shape " + expected.to_string() +
                                                 ", got " + state.shape().to_string());
}

// Over [time, batch, features]; leaves the last state in `carry`.
Tensor Recurrent::walk_one(const Tensor& x, const Weights& weights, bool reverse, Carry& carry, Step step) const {
  const Tensor from_input = linear(x, weights.input.transpose(), weights.input_bias);
  const Tensor hidden_weight = weights.hidden.transpose();
  const int64_t steps = x.size(0);
  std::vector<Tensor> outputs(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps; ++i) {
    const int64_t at = reverse ? steps - 1 - i : i;
    carry = step(row(from_input, at), linear(carry.hidden, hidden_weight, weights.hidden_bias), carry);
    outputs[static_cast<size_t>(at)] = carry.hidden;
  }
  return stack(outputs, 0);
}

std::pair<Tensor, Recurrent::Carry> Recurrent::walk(const Tensor& x, const Carry& initial, Step step) const {
  check(x, initial);
  const Dims swapped = {1, 0, 2};
  Tensor out = options_.batch_first ? transpose(x, swapped) : x;
  const Tensor nothing = zeros({out.size(1), hidden_}, weights_[0].input.dtype());
  std::vector<Tensor> hidden, cell;
  for (size_t i = 0; i < weights_.size();) {
    if (i > 0) out = dropout(out, options_.dropout, training());
    std::vector<Tensor> outputs;
    for (int64_t direction = 0; direction < directions(); ++direction, ++i) {
      const auto index = static_cast<int64_t>(i);
      Carry carry{initial.hidden.defined() ? row(initial.hidden, index) : nothing,
                  initial.cell.defined() ? row(initial.cell, index) : nothing};
      outputs.push_back(walk_one(out, weights_[i], direction == 1, carry, step));
      hidden.push_back(carry.hidden);
      cell.push_back(carry.cell);
    }
    out = outputs.size() == 1 ? outputs[0] : concatenate(outputs, -1);
  }
  const bool has_cell = cell[0].defined();
  return {options_.batch_first ? transpose(out, swapped) : out,
          {stack(hidden, 0), has_cell ? stack(cell, 0) : Tensor()}};
}

}  // namespace detail

LSTMResult LSTM::operator()(const Tensor& x, const LSTMState& state) const {
  const auto step = [](const Tensor& from_input, const Tensor& from_hidden, const Carry& last) -> Carry {
    const Tensor gates = from_input + from_hidden;
    const Tensor cell = sigmoid(part(gates, 1, 4)) * last.cell + sigmoid(part(gates, 0, 4)) * tanh(part(gates, 2, 4));
    return {sigmoid(part(gates, 3, 4)) * tanh(cell), cell};
  };
  auto [output, last] = walk(x, {state.hidden, state.cell}, step);
  return {output, {last.hidden, last.cell}};
}

GRUResult GRU::operator()(const Tensor& x, const Tensor& hidden) const {
  const auto step = [](const Tensor& from_input, const Tensor& from_hidden, const Carry& last) -> Carry {
    const Tensor reset = sigmoid(part(from_input, 0, 3) + part(from_hidden, 0, 3));
    const Tensor keep = sigmoid(part(from_input, 1, 3) + part(from_hidden, 1, 3));
    const Tensor fresh = tanh(part(from_input, 2, 3) + reset * part(from_hidden, 2, 3));
    return {fresh + keep * (last.hidden - fresh), {}};
  };
  auto [output, last] = walk(x, {hidden, {}}, step);
  return {output, last.hidden};
}

}  // namespace sm::nn
