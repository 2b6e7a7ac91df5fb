#include "serve/batched_route.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <optional>
#include <utility>

#include "shumai/error.hpp"

namespace sm::io {

namespace asio = boost::asio;

// One request. Lives in the coroutine that waits for it.
class BatchedRoute::Call final : public Waiter {
 public:
  Call(BatchedRoute& route, const http::Request& request, Content input, std::string sender)
      : route_(route),
        pass_{route.route_,
              route.name_,
              request,
              Clock::now(),
              {route.server_.store, request.headers, nullptr, nullptr},
              nullptr,
              nullptr,
              std::move(sender)},
        input_(std::move(input)) {
    route.server_.introduce(pass_);
  }

  void arrive() {
    Server::State& server = route_.server_;
    try {
      pass_.context.check_wanted();
      pass_.context.version = server.updates.version;
      server.find_user(pass_);
    } catch (...) {
      outcome.failure = std::current_exception();
      return out();
    }
    std::exception_ptr failure;
    try {
      enter();
      return route_.batcher_->arrive(caller_);
    } catch (...) {
      failure = std::current_exception();
    }
    conclude({}, failure);
  }

  void leave() override {
    Content content;
    std::exception_ptr failure = caller_->failure;
    try {
      User user(pass_.context);
      if (!failure) content = route_.batcher_->answer_of(user, *caller_);
    } catch (...) {
      failure = std::current_exception();
    }
    caller_.reset();  // here, since graphs stay inside `logic`
    conclude(std::move(content), failure);
  }

  // Destroys this as well.
  void drop() override {
    const std::optional<Resume> gone(std::move(resume_));
    resume_.reset();
  }

  void suspend(Resume resume) { resume_.emplace(std::move(resume)); }

  Server::State::Outcome outcome;

 private:
  void enter() {
    input_ = route_.server_.let_in(pass_, std::move(input_));
    running_.emplace(*pass_.context.session);
    User user(pass_.context);
    const Caller::ExecutorOf executor = [this] {
      return CallExecutor(route_.server_.logic, route_.server_.context_for(pass_));
    };
    caller_ = std::make_shared<Caller>(user, input_.tensor(), executor, *this);
  }

  void conclude(Content content, const std::exception_ptr& failure) {
    running_.reset();
    outcome = route_.server_.conclude(pass_, std::move(content), failure);
    out();
  }

  void out() { route_.send_out(std::move(*resume_)); }

  BatchedRoute& route_;
  Server::State::Pass pass_;
  Content input_;
  std::optional<Running> running_;
  std::shared_ptr<Caller> caller_;
  std::optional<Resume> resume_;
};

BatchedRoute::BatchedRoute(Server::State& server, Server::State::Served& route, std::string_view name,
                           std::shared_ptr<Batcher> batcher)
    : server_(server), route_(route), name_(name), batcher_(std::move(batcher)) {}

BatchedRoute::~BatchedRoute() = default;

void BatchedRoute::close() {
  for (Call* call : std::exchange(arriving_, {})) call->drop();
  leaving_.clear();
  batcher_->close();
}

bool BatchedRoute::takes(const http::Request& request) const {
  if (request.method != "POST" || request.body.empty() || route_of(request.path()) != name_) return false;
  return !request.headers.find("Shumai-Ticket") && !request.headers.find("Shumai-Path");
}

Task<http::Response> BatchedRoute::respond(http::Request request) {
  const Forms forms = acceptable_forms(request);
  ShumaiMark mark;
  const Content input = decode_content(request.headers, request.body, true, &mark);
  Call call(*this, request, input, sender_of(mark));
  co_await pass_through(call);
  const Server::State::Outcome& outcome = call.outcome;
  if (server_.saver && outcome.version)
    co_await asio::co_spawn(server_.logic, server_.saver->durable(outcome.version), asio::use_awaitable);
  if (outcome.failure) std::rethrow_exception(outcome.failure);
  co_return server_.compose(route_, outcome, route_.model ? input : Content(), forms, std::move(mark));
}

Task<> BatchedRoute::pass_through(Call& call) {
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [this, &call](Resume resume) {
        call.suspend(std::move(resume));
        send_in(call);
      },
      asio::use_awaitable);
}

void BatchedRoute::send_in(Call& call) {
  ++server_.waiting;
  {
    const std::lock_guard lock(mutex_);
    arriving_.push_back(&call);
    if (arriving_.size() > 1) return;
  }
  asio::dispatch(server_.logic, [this] { take_in(); });
}

void BatchedRoute::take_in() {
  std::vector<Call*> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(arriving_);
  }
  server_.waiting -= calls.size();
  for (Call* call : calls) call->arrive();
}

// A few go on at once and the others soon, so that all threads have some to answer.
void BatchedRoute::send_out(Resume resume) {
  constexpr size_t kTogether = 8;
  leaving_.push_back(std::move(resume));
  if (leaving_.size() == kTogether) return let_out();
  if (std::exchange(lets_out_, true)) return;
  asio::post(server_.logic, [this] {
    lets_out_ = false;
    let_out();
  });
}

void BatchedRoute::let_out() {
  if (leaving_.empty()) return;
  asio::post(server_.loop.context(), [leaving = std::exchange(leaving_, {})]() mutable {
    for (Resume& resume : leaving) std::move(resume)();
  });
}

}  // namespace sm::io
