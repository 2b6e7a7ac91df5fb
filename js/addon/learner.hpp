#pragma once

#include <node_api.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shumai/io.hpp"

namespace sm::js {

class Gate;
class Mailbox;

// What a server's checkpoints save, where it is used: on JavaScript's thread.
class Learner {
 public:
  using Weights = std::vector<std::pair<std::string, Tensor>>;
  explicit Learner(Weights weights);

  const Weights& weights() const { return weights_; }
  // True when a weight was updated since the last call.
  bool moved();
  // The weights of now, and what JavaScript tells of its optimizer. Later updates don't reach them.
  Tensors state(napi_env env, uint32_t server) const;

 private:
  Weights weights_;
  uint64_t updates_ = 0;
};

// CheckpointOptions::ask_state for a server's Learner.
std::function<void(io::CheckpointOptions::StateAnswer)> state_of_learner(std::shared_ptr<Mailbox> mailbox,
                                                                         uint32_t server, std::shared_ptr<Gate> gate);

// CheckpointOptions::load_state that hands the optimizer's part to `load`, a
// function. For use within the call from JavaScript that `load` came with.
std::function<void(const Tensors&)> optimizer_loader(napi_env env, napi_value load);

}  // namespace sm::js
