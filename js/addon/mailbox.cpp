#include <memory>
#include <mutex>

#include "network.hpp"
#include "shumai/error.hpp"

namespace sm::js {

std::shared_ptr<Mailbox> Mailbox::make(napi_env env) {
  auto mailbox = std::make_shared<Mailbox>();
  // The environment may end with other threads still posting: the function
  // itself tells when it goes.
  auto* owner = new std::shared_ptr<Mailbox>(mailbox);
  const auto gone = [](napi_env, void* data, void*) {
    const std::unique_ptr<std::shared_ptr<Mailbox>> own(static_cast<std::shared_ptr<Mailbox>*>(data));
    const std::lock_guard lock((*own)->mutex_);
    (*own)->function_ = nullptr;
  };
  check(env, napi_create_threadsafe_function(env, nullptr, nullptr, text(env, "shumai"), 0, 1, owner, gone, owner, run,
                                             &mailbox->function_));
  check(env, napi_unref_threadsafe_function(env, mailbox->function_));
  return mailbox;
}

void Mailbox::post(std::function<void(napi_env)> job) {
  {
    const std::lock_guard lock(mutex_);
    if (function_) {
      const napi_status status = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
      if (status == napi_ok) return jobs_.push_back(std::move(job));
      if (status == napi_closing) function_ = nullptr;
    }
  }
  job = nullptr;  // without the lock: it may post in its turn
}

std::function<void(napi_env)> Mailbox::next() {
  const std::lock_guard lock(mutex_);
  if (jobs_.empty()) return {};
  std::function<void(napi_env)> job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

// One job for each call: what JavaScript put off runs in between, the answer of an async handler among it, and a
// snapshot that comes next has to come after that (see Gate). An exception here is nobody's to catch: it goes where
// uncaught ones go.
void Mailbox::run(napi_env env, napi_value, void* context, void*) {
  if (!env) return;  // the environment is going away
  const std::function<void(napi_env)> job = (*static_cast<std::shared_ptr<Mailbox>*>(context))->next();
  if (!job) return;
  try {
    job(env);
    return;
  } catch (const Pending&) {
  } catch (const std::exception&) {
    throw_error(env, current_error());
  }
  napi_value thrown;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

void Mailbox::hold(napi_env env) {
  const std::lock_guard lock(mutex_);
  if (held_++ == 0 && function_) napi_ref_threadsafe_function(env, function_);
}

void Mailbox::release(napi_env env) {
  const std::lock_guard lock(mutex_);
  if (--held_ == 0 && function_) napi_unref_threadsafe_function(env, function_);
}

void Mailbox::close() {
  {
    const std::lock_guard lock(mutex_);
    if (function_) napi_release_threadsafe_function(function_, napi_tsfn_abort);
    function_ = nullptr;
  }
  while (next()) continue;
}

}  // namespace sm::js
