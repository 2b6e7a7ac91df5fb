#include "learner.hpp"

#include <boost/asio/post.hpp>
#include <utility>

#include "gate.hpp"
#include "network.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

// Of now: later updates don't reach it.
Tensors state_of(napi_env env, uint32_t server) {
  // [[[name, handle], ...], undefined] or [undefined, message]
  const napi_value told = call_back(env, "tellState", {integer(env, server)});
  if (const napi_value message = at(env, told, 1); !missing(env, message))
    throw Error(ErrorCode::kInternal, to_text(env, message, "message"));
  Tensors out;
  const napi_value entries = at(env, told, 0);
  for (uint32_t i = 0, n = length_of(env, entries); i < n; ++i) {
    const napi_value pair = at(env, entries, i);
    out.set(to_text(env, at(env, pair, 0), "name"), make_alias(tensor_at(env, at(env, pair, 1))));
  }
  const auto& servers = network(env).servers;
  if (const auto found = servers.find(server); found != servers.end())
    for (const auto& [name, tensor] : found->second.server->replica_state()) out.set(name, tensor);
  return out;
}

}  // namespace

Learner::Learner(std::vector<Tensor> weights) : weights_(std::move(weights)), updates_(updates()) {}

uint64_t Learner::updates() const {
  uint64_t updates = 0;
  // Running statistics, say, change with every forward.
  for (const Tensor& weight : weights_)
    if (weight.requires_grad()) updates += weight.version();
  return updates;
}

bool Learner::moved() {
  const uint64_t before = std::exchange(updates_, updates());
  return before != updates_;
}

void Learner::apart(const std::function<void()>& work) {
  const uint64_t before = updates();
  work();
  updates_ += updates() - before;
}

std::function<void(std::function<void()>)> runner(std::shared_ptr<Mailbox> mailbox, uint32_t server) {
  return [=](std::function<void()> work) {
    mailbox->post([=](napi_env env) {
      const auto& servers = network(env).servers;
      const auto found = servers.find(server);
      if (found != servers.end() && found->second.learner)
        found->second.learner->apart(work);
      else
        work();
    });
  };
}

std::function<void(io::CheckpointOptions::StateAnswer)> state_asker(std::shared_ptr<Mailbox> mailbox, uint32_t server,
                                                                    std::shared_ptr<Gate> gate) {
  return [=](const io::CheckpointOptions::StateAnswer& answer) {
    mailbox->post([=](napi_env env) {
      Tensors state;
      std::exception_ptr failure;
      try {
        state = state_of(env, server);
      } catch (const std::exception&) {
        failure = std::current_exception();
      }
      // Before the first call of a handler there are no answers that it could overtake.
      if (!gate->logic) return answer(failure, state);
      boost::asio::post(gate->logic, [=] { gate->snapshot([=] { answer(failure, state); }); });
    });
  };
}

std::function<void(const Tensors&)> state_loader(napi_env env, uint32_t server, std::weak_ptr<const napi_value> load) {
  return [=](const Tensors& saved) {
    napi_value kind, data, result;
    from_content(env, saved, &kind, &data);
    if (const auto now = load.lock()) {
      check(env, napi_call_function(env, undefined(env), *now, 1, &data, &result));
      return;
    }
    const napi_value told = call_back(env, "loadState", {integer(env, server), data});
    if (const napi_value message = at(env, told, 1); !missing(env, message))
      throw Error(ErrorCode::kInternal, to_text(env, message, "message"));
  };
}

}  // namespace sm::js
