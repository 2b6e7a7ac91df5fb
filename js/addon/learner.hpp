#pragma once

#include <node_api.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "shumai/io.hpp"

namespace sm::js {

class Gate;
class Mailbox;

// The weights that a server's checkpoints save, where they are used: on JavaScript's thread.
class Learner {
 public:
  explicit Learner(std::vector<Tensor> weights);

  // True when a weight was updated since the last call.
  bool moved();
  // Runs `work`; what it does to the weights is no update of a handler's.
  void apart(const std::function<void()>& work);

 private:
  uint64_t updates() const;

  std::vector<Tensor> weights_;
  uint64_t updates_ = 0;
};

// CheckpointOptions::ask_state that asks JavaScript.
std::function<void(io::CheckpointOptions::StateAnswer)> state_asker(std::shared_ptr<Mailbox> mailbox, uint32_t server,
                                                                    std::shared_ptr<Gate> gate);

// ReplicaOptions::run on JavaScript's thread.
std::function<void(std::function<void()>)> runner(std::shared_ptr<Mailbox> mailbox, uint32_t server);

// CheckpointOptions::load_state that gives JavaScript [[name, handle], ...], on its thread.
// While the server is being started, and JavaScript doesn't know its number, `load` is
// the function to call.
std::function<void(const Tensors&)> state_loader(napi_env env, uint32_t server, std::weak_ptr<const napi_value> load);

}  // namespace sm::js
