#include "serve/saver.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_set>
#include <utility>

#include "codec/file.hpp"
#include "shumai/error.hpp"
#include "shumai/random.hpp"
#include "tensor/impl.hpp"
#include "util/log.hpp"

namespace sm::io {

namespace asio = boost::asio;

Saver::Saver(const CheckpointOptions& options, Store& store, asio::any_io_executor logic)
    : options_(options),
      store_(store),
      logic_(std::move(logic)),
      directory_(options.directory, options.keep),
      last_start_(Clock::now()),
      changed_(logic_, asio::steady_timer::time_point::max()) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, weight] : options_.weights)
    if (!weight.defined() || name.starts_with("shumai.") || !names.insert(name).second)
      throw Error(ErrorCode::kInvalidArgument,
                  "checkpoint: \"" + name +
                      "\" can't be saved: names are given once and don't begin with \"shumai.\", "
                      "and tensors are defined");
  weights_moved();
}

uint64_t Saver::resume() {
  std::vector<std::string> skipped;
  const std::optional<Checkpoint> found = directory_.newest(skipped);
  for (const std::string& why : skipped) util::log_error("checkpoint: skipped " + why);
  {
    const std::lock_guard lock(mutex_);
    report_.skipped = skipped;
    report_.resumed = found.has_value();
    report_.version = found ? found->version : 0;
  }
  if (!found) return 0;
  check_fits(*found);
  load(*found);
  store_.restore(found->finished);
  set_random_state(found->random);
  weights_moved();
  version_ = durable_ = found->version;
  return version_;
}

void Saver::check_fits(const Checkpoint& checkpoint) const {
  for (const auto& [name, weight] : options_.weights) {
    const Tensor* saved = checkpoint.tensors.find(name);
    if (!saved || saved->shape() != weight.shape() || saved->dtype() != weight.dtype())
      throw Error(ErrorCode::kInvalidArgument,
                  "checkpoint: \"" + options_.directory + "\" is of another model: \"" + name + "\" is " +
                      std::string(name_of(weight.dtype())) + " " + weight.shape().to_string() + " here and " +
                      (saved ? std::string(name_of(saved->dtype())) + " " + saved->shape().to_string() : "missing") +
                      " there");
  }
}

void Saver::load(const Checkpoint& checkpoint) const {
  for (const auto& [name, weight] : options_.weights) weight.update(checkpoint.tensors[name]);
  if (!options_.load_state) return;
  Tensors all;
  for (const auto& [name, tensor] : checkpoint.tensors) all.set(name, tensor);
  options_.load_state(all);
}

namespace {

// Has `run` do `work` elsewhere, and goes on here when it is done. Throws what it throws.
template <class Run>
Task<> elsewhere(Run run, std::function<void()> work) {
  struct Wait {
    explicit Wait(const asio::any_io_executor& executor)
        : strand(asio::make_strand(executor)), ended(strand, asio::steady_timer::time_point::max()) {}
    asio::strand<asio::any_io_executor> strand;
    asio::steady_timer ended;
    bool done = false;
    std::exception_ptr failure;
  };
  const auto wait = std::make_shared<Wait>(co_await asio::this_coro::executor);
  run([wait, work] {
    try {
      work();
    } catch (...) {
      wait->failure = std::current_exception();
    }
    asio::post(wait->strand, [wait] {
      wait->done = true;
      wait->ended.cancel();
    });
  });
  co_await asio::post(asio::bind_executor(wait->strand, asio::use_awaitable));
  while (!wait->done) {
    boost::system::error_code ignored;
    co_await wait->ended.async_wait(
        asio::bind_executor(wait->strand, asio::redirect_error(asio::use_awaitable, ignored)));
  }
  if (wait->failure) std::rethrow_exception(wait->failure);
}

}  // namespace

Error Saver::no_such(uint64_t version) const {
  std::string known;
  for (const CheckpointDirectory::Entry& entry : entries())
    known += (known.empty() ? "" : ", ") + std::to_string(entry.version);
  return Error(ErrorCode::kNotFound, "checkpoint: there is none of version " + std::to_string(version) + "; there is " +
                                         (known.empty() ? "none yet" : known));
}

template <class Read>
auto Saver::at_file(std::shared_ptr<Saver> self, uint64_t version, Read read)
    -> Task<std::invoke_result_t<Read, const std::string&>> {
  const auto out = std::make_shared<std::invoke_result_t<Read, const std::string&>>();
  const auto run = [self](std::function<void()> job) { self->thread_.run(std::move(job)); };
  const std::function<void()> work = [self, out, version, read] {
    try {
      *out = read(self->directory_.path_of(version));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kNotFound) throw self->no_such(version);
      throw;
    }
  };
  co_await elsewhere(run, work);
  co_return std::move(*out);
}

Task<std::shared_ptr<const Checkpoint>> Saver::read(std::shared_ptr<Saver> self, uint64_t version) {
  return at_file(std::move(self), version,
                 [](const std::string& path) { return std::make_shared<const Checkpoint>(read_checkpoint(path)); });
}

Task<util::BufferRef> Saver::read_file(std::shared_ptr<Saver> self, uint64_t version) {
  return at_file(std::move(self), version, [](const std::string& path) { return codec::read_file(path); });
}

Task<> Saver::put_back(std::shared_ptr<Saver> self, std::shared_ptr<const Checkpoint> checkpoint) {
  self->check_fits(*checkpoint);
  if (self->options_.run) {
    const std::function<void()> work = [self, checkpoint] { self->load(*checkpoint); };
    co_await elsewhere(self->options_.run, work);
    co_await asio::post(asio::bind_executor(self->logic_, asio::use_awaitable));
  } else {
    self->load(*checkpoint);
  }
  self->weights_moved();
}

bool Saver::weights_moved() {
  if (options_.ask_state) return false;
  uint64_t updates = 0;
  // Running statistics, say, change with every forward.
  for (const auto& [name, weight] : options_.weights)
    if (weight.requires_grad()) updates += weight.version();
  return std::exchange(weight_updates_, updates) != updates;
}

void Saver::updated(uint64_t version) {
  version_ = version;
  if (strict()) start();
}

Task<> Saver::durable(uint64_t version) {
  if (!strict()) co_return;
  const std::shared_ptr<Saver> self = shared_from_this();
  while (durable_ < version) {
    if (failed_ >= version)
      throw Error(ErrorCode::kUnavailable,
                  "the update was made, but it can't be saved yet (" + failure_ + "): send the same request again");
    start();
    boost::system::error_code ignored;
    // A request's coroutine belongs to no strand: unbound, it would go on beside `logic_`, and miss the next write's
    // end.
    co_await changed_.async_wait(asio::bind_executor(logic_, asio::redirect_error(asio::use_awaitable, ignored)));
  }
}

void Saver::tick(Clock::time_point now) {
  const bool due = strict() || now - last_start_ >= options_.interval;
  if (due && version_ != durable_) start();
}

Task<> Saver::flush() {
  const std::shared_ptr<Saver> self = shared_from_this();
  const auto wait_for_write = [](Saver& saver) -> Task<> {
    while (saver.busy_) {
      boost::system::error_code ignored;
      co_await saver.changed_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  };
  co_await wait_for_write(*this);
  if (version_ == durable_) co_return;
  start();
  co_await wait_for_write(*this);
}

// Takes the state of now. What is done meanwhile asks for the next write when this one ends.
void Saver::start() {
  if (busy_ || version_ == durable_) return;
  busy_ = true;
  last_start_ = Clock::now();
  if (options_.ask_state) return ask();
  Tensors tensors;
  for (const auto& [name, weight] : options_.weights) tensors.set(name, make_alias(weight));
  try {
    if (options_.save_state)
      for (const auto& [name, tensor] : options_.save_state()) tensors.set(name, make_alias(tensor));
  } catch (const std::exception& error) {
    return give_up(error.what());
  }
  write(std::move(tensors), version_);
}

void Saver::ask() {
  struct Question {
    std::weak_ptr<Saver> saver;
    bool answered = false;
    ~Question() {
      const auto alive = answered ? nullptr : saver.lock();
      if (alive) asio::post(alive->logic_, [alive] { alive->give_up("nobody has the weights any more"); });
    }
  };
  const auto question = std::make_shared<Question>();
  question->saver = weak_from_this();
  options_.ask_state([question](std::exception_ptr failure, Tensors tensors) {
    question->answered = true;
    const auto self = question->saver.lock();
    if (!self) return;
    asio::dispatch(self->logic_, [self, failure, tensors = std::move(tensors)]() mutable {
      if (!failure) return self->write(std::move(tensors), self->version_);
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& error) {
        self->give_up(error.what());
      }
    });
  });
}

void Saver::write(Tensors tensors, uint64_t version) {
  Checkpoint checkpoint;
  checkpoint.version = version;
  checkpoint.random = random_state();
  checkpoint.tensors = std::move(tensors);
  checkpoint.finished = store_.finished();
  checkpoint.model = options_.model;
  // Its thread ends before the rest of this does.
  thread_.run([this, version, begin = Clock::now(), checkpoint = std::make_shared<Checkpoint>(std::move(checkpoint))] {
    std::string failure;
    try {
      directory_.write(*checkpoint);
    } catch (const std::exception& error) {
      failure = error.what();
    }
    *checkpoint = {};
    tell(version, failure, std::chrono::duration<double>(Clock::now() - begin).count());
    asio::post(logic_, [weak = weak_from_this(), version, failure] {
      if (const auto alive = weak.lock()) alive->written(version, failure);
    });
  });
}

void Saver::give_up(const std::string& failure) {
  tell(version_, failure, 0);
  written(version_, failure);
}

void Saver::tell(uint64_t version, const std::string& failure, double seconds) {
  const std::lock_guard lock(mutex_);
  report_.seconds = seconds;
  ++(failure.empty() ? report_.writes : report_.failures);
  if (failure.empty()) report_.version = version;
  report_.failure = failure;
}

void Saver::written(uint64_t version, const std::string& failure) {
  busy_ = false;
  if (failure.empty()) {
    durable_ = version;
  } else {
    if (failure != failure_) util::log_error("checkpoint: can't write to \"" + options_.directory + "\": " + failure);
    failed_ = version;
  }
  failure_ = failure;
  changed_.cancel();
  // After a failure the next tick tries again, not at once.
  if (strict() && failure.empty()) start();
}

Saver::Report Saver::status() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

Json Saver::report() const {
  const std::lock_guard lock(mutex_);
  Json out = Json::object({{"version", report_.version},
                           {"writes", report_.writes},
                           {"failures", report_.failures},
                           {"last_write_seconds", report_.seconds},
                           {"resumed", report_.resumed}});
  if (!report_.failure.empty()) out["error"] = report_.failure;
  Json skipped = Json::array();
  for (const std::string& why : report_.skipped) skipped.push_back(why);
  if (!report_.skipped.empty()) out["skipped"] = std::move(skipped);
  return out;
}

}  // namespace sm::io
