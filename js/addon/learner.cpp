#include "learner.hpp"

#include <boost/asio/post.hpp>

#include "gate.hpp"
#include "network.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

// Before the names of an optimizer's tensors, in a checkpoint.
constexpr std::string_view kOptimizer = "optimizer.";

uint64_t updates_of(const Learner::Weights& weights) {
  uint64_t updates = 0;
  for (const auto& [name, weight] : weights) updates += weight.version();
  return updates;
}

}  // namespace

Learner::Learner(Weights weights) : weights_(std::move(weights)), updates_(updates_of(weights_)) {}

bool Learner::moved() {
  const uint64_t updates = updates_of(weights_);
  return std::exchange(updates_, updates) != updates;
}

Tensors Learner::state(napi_env env, uint32_t server) const {
  // [[[name, handle], ...], undefined] or [undefined, message]
  const napi_value told = call_back(env, "tellState", {integer(env, server)});
  if (const napi_value message = at(env, told, 1); !missing(env, message))
    throw Error(ErrorCode::kInternal, to_text(env, message, "message"));
  Tensors out;
  for (const auto& [name, weight] : weights_) out.set(name, make_alias(weight));
  const napi_value entries = at(env, told, 0);
  for (uint32_t i = 0, n = length_of(env, entries); i < n; ++i) {
    const napi_value pair = at(env, entries, i);
    out.set(std::string(kOptimizer) + to_text(env, at(env, pair, 0), "name"),
            make_alias(tensor_at(env, at(env, pair, 1))));
  }
  return out;
}

std::function<void(io::CheckpointOptions::StateAnswer)> state_of_learner(std::shared_ptr<Mailbox> mailbox,
                                                                         uint32_t server, std::shared_ptr<Gate> gate) {
  return [=](const io::CheckpointOptions::StateAnswer& answer) {
    mailbox->post([=](napi_env env) {
      Tensors state;
      std::exception_ptr failure;
      try {
        state = network(env).servers.at(server).learner->state(env, server);
      } catch (const std::exception&) {
        failure = std::current_exception();
      }
      boost::asio::post(gate->logic, [=] { gate->snapshot([=] { answer(failure, state); }); });
    });
  };
}

std::function<void(const Tensors&)> optimizer_loader(napi_env env, napi_value load) {
  return [=](const Tensors& saved) {
    Tensors own;
    for (const auto& [name, tensor] : saved)
      if (name.starts_with(kOptimizer)) own.set(name.substr(kOptimizer.size()), tensor);
    napi_value kind, data, result;
    from_content(env, own, &kind, &data);
    check(env, napi_call_function(env, undefined(env), load, 1, &data, &result));
  };
}

}  // namespace sm::js
