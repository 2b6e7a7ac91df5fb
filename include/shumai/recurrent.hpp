#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "shumai/module.hpp"

namespace sm::nn {

struct RecurrentOptions {
  int64_t layers = 1;
  bool bias = true;
  // [batch, time, features] in and out; PyTorch's default, false, is [time, batch, features].
  bool batch_first = true;
  double dropout = 0;  // in train mode, of what every layer but the last gives
  bool bidirectional = false;
  DType dtype = DType::f32;
};

namespace detail {

// The weights of LSTM and GRU, for each layer and direction: weight_ih_l0
// [gates * hidden, inputs], weight_hh_l0 [gates * hidden, hidden], bias_ih_l0,
// bias_hh_l0, and the same with _reverse. All are uniform within
// 1 / sqrt(hidden) at first.
class Recurrent : public Module {
 protected:
  struct Weights {
    Tensor input, hidden, input_bias, hidden_bias;
  };
  struct Carry {
    Tensor hidden, cell;  // the cell only for LSTM
  };
  // From what the input [N, gates * hidden] and the last hidden state give to the next state.
  using Step = Carry (*)(const Tensor& from_input, const Tensor& from_hidden, const Carry& last);

  Recurrent(const char* name, int64_t gates, int64_t inputs, int64_t hidden, RecurrentOptions options);
  // The output, and the last states, each [layers * directions, N, hidden].
  std::pair<Tensor, Carry> walk(const Tensor& x, const Carry& initial, Step step) const;

 private:
  int64_t directions() const noexcept { return options_.bidirectional ? 2 : 1; }
  Weights make_weights(int64_t inputs, const std::string& suffix);
  void check(const Tensor& x, const Carry& initial) const;
  Tensor walk_one(const Tensor& x, const Weights& weights, bool reverse, Carry& carry, Step step) const;

  const char* name_;
  int64_t gates_;
  int64_t inputs_;
  int64_t hidden_;
  RecurrentOptions options_;
  std::vector<Weights> weights_;
};

}  // namespace detail

// Each [layers * directions, batch, hidden]; undefined stands for zeros.
struct LSTMState {
  Tensor hidden, cell;
};

struct LSTMResult {  // what an LSTM returns
  Tensor output;     // [batch, time, directions * hidden], or as batch_first says
  LSTMState state;
};

// Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gates: Gers
// et al., 2000). The gates are stacked as i, f, g, o:
//
//   i, f, o = sigmoid(...), g = tanh(...), each of W x + b + U h + c
//   cell    = f * cell + i * g
//   hidden  = o * tanh(cell)
class LSTM : public detail::Recurrent {
 public:
  LSTM(int64_t inputs, int64_t hidden, RecurrentOptions options = {}) : Recurrent("LSTM", 4, inputs, hidden, options) {}
  // Throws Error (kShapeMismatch).
  LSTMResult operator()(const Tensor& x, const LSTMState& state = {}) const;
};

struct GRUResult {  // what a GRU returns
  Tensor output;    // as LSTM's
  Tensor hidden;    // [layers * directions, batch, hidden]
};

// Gated recurrent unit (Cho et al., 2014), with the reset gate after the
// product, as PyTorch and cuDNN have it. The gates are stacked as r, z, n:
//
//   r, z   = sigmoid(W x + b + U h + c)
//   n      = tanh(W x + b + r * (U h + c))
//   hidden = (1 - z) * n + z * hidden
class GRU : public detail::Recurrent {
 public:
  GRU(int64_t inputs, int64_t hidden, RecurrentOptions options = {}) : Recurrent("GRU", 3, inputs, hidden, options) {}
  // Throws Error (kShapeMismatch).
  GRUResult operator()(const Tensor& x, const Tensor& hidden = {}) const;
};

}  // namespace sm::nn
