#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <random>
#include <set>

#include "serve/server.hpp"
#include "serve/testing.hpp"

// Thousands of interleavings of forwards, optimizes, retries, expiries, kills
// and restarts against a reference in which each step happens once.
//
// A weight has a slot for each step, and a step adds 1 to its own. The
// reference is what the server told of it: once acknowledged it counts 1 and
// never changes; a ticket that is gone (410) never took its step. SHUMAI_TEST_SEED
// repeats a run as far as threads allow, SHUMAI_INTERLEAVINGS sets the number of
// operations.
namespace sm::io {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kOperationsPerRound = 400;

// Different in each round.
struct Config {
  Durability durability = Durability::kEveryUpdate;
  bool async = false;        // handlers suspend
  bool forgetful = false;    // answers aren't kept
  bool few_tickets = false;  // of a session
  int threads = 1;

  std::string describe() const {
    return std::string(durability == Durability::kEveryUpdate ? "every-update" : "interval") +
           (async ? ", async" : "") + (forgetful ? ", forgetful" : "") + (few_tickets ? ", few tickets" : "") + ", " +
           std::to_string(threads) + " threads";
  }
};

// A server, from a start to a kill.
class World {
 public:
  World(const Config& config, const std::string& directory, int slots, uint32_t seed)
      : config_(config),
        random_(seed),
        weight_(zeros({slots}, DType::f64).requires_grad(true)),
        state_(std::make_shared<Server::State>(routes(), options(directory))) {
    state_->start();
  }

  Server::State& state() { return *state_; }
  // Only while no request runs, and once.
  std::vector<double> end() {
    state_->stop();
    return weights();
  }
  std::vector<double> weights() const { return weight_.to_vector<double>(); }

 private:
  ServeOptions options(const std::string& directory) const {
    ServeOptions out;
    out.port = 0;
    out.threads = config_.threads;
    out.checkpoint.directory = directory;
    out.checkpoint.weights = {{"w", weight_}};
    out.checkpoint.durability = config_.durability;
    // More than are written while the directory is copied.
    out.checkpoint.keep = 20;
    if (config_.forgetful) out.limits.max_stored_answer_bytes = 20;
    if (config_.few_tickets) out.limits.max_tickets_per_session = 3;
    return out;
  }

  bool chance(int percent) { return std::uniform_int_distribution<int>(0, 99)(random_) < percent; }
  Task<> suspend() {
    if (!config_.async) co_return;
    while (chance(60)) co_await util::sleep(std::chrono::microseconds(chance(50) ? 0 : 200));
  }
  void fail_sometimes() {
    if (chance(10)) throw std::runtime_error("not now");
  }

  Tensor forward(User& user, const Tensor& slot) {
    const Tensor y = take(weight_, slot);
    user.set("step", [this, y, number = slot.item<float>()](Tensor jacobian) {
      weight_.update((weight_ + y.backward(jacobian).of(weight_)).detach());
      return scalar(number);
    });
    return y;
  }

  Routes routes() {
    return {{"forward",
             [this](User& user, Tensor slot) -> Task<Tensor> {
               co_await suspend();
               Tensor y = forward(user, slot);
               co_await suspend();
               co_return y;
             }},
            {"optimize",
             [this](User& user, Tensor jacobian) -> Task<Content> {
               co_await suspend();
               fail_sometimes();
               co_return user.call("step", jacobian);
             }},
            {"stash",
             [this](User& user, Tensor jacobian) {
               fail_sometimes();
               user.set("gradient", jacobian);
             }},
            {"apply", [this](User& user) -> Task<Content> {
               co_await suspend();
               fail_sometimes();
               co_return user.call("step", user.get<Tensor>("gradient"));
             }}};
  }

  const Config config_;
  std::mt19937 random_;  // used by handlers
  Tensor weight_;
  std::shared_ptr<Server::State> state_;
};

// What is known of a step.
struct Step {
  int slot = 0;
  bool split = false;  // by /stash and /apply instead of /optimize
  std::string ticket, session;
  int forwarding = 0;
  int expiries = 0;   // of all tickets, when the forward was sent
  bool sent = false;  // something that could have taken it
  bool acknowledged = false;
  bool stashed = false;
  bool restored = false;   // taken before a restart: then its session is forgotten
  bool expirable = false;  // its ticket may be gone for another reason than a restart
  std::set<std::string> gone;
};

enum class Action { kForward, kRight, kOther, kStranger };

struct Reply {
  int status = 0;
  std::string ticket, session, text;
};

class Driver {
 public:
  Driver(const Config& config, uint32_t seed) : config_(config), random_(seed), directory_(testing::fast_place()) {
    path_ = directory_.path() + "/0";
    world_ = std::make_unique<World>(config_, path_, kOperationsPerRound, random_());
  }

  void run() {
    for (int i = 0; i < kOperationsPerRound && !failed(); ++i) {
      const int roll = draw(0, 999);
      if (roll < 12)
        kill();
      else if (roll < 18)
        restart();
      else if (roll < 40)
        expire();
      else if (roll < 60)
        save();
      else
        operate();
      wait_below(draw(0, 12));
    }
    finish();
  }

 private:
  bool failed() const { return ::testing::Test::HasFailure(); }
  int draw(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  void note(const std::string& text) {
    log_.push_back(text);
    if (log_.size() > 40) log_.pop_front();
  }
  void fail(const std::string& what) {
    std::string all;
    for (const std::string& line : log_) all += "\n  " + line;
    ADD_FAILURE() << what << "\nThe last operations:" << all;
  }

  // --- Operations ---

  void operate() {
    const std::lock_guard lock(mutex_);
    if (steps_.empty() || draw(0, 2) == 0) {
      steps_.emplace_back();
      Step& fresh = steps_.back();
      fresh.slot = static_cast<int>(steps_.size()) - 1;
      fresh.split = draw(0, 3) == 0;
      return send_forward(fresh);
    }
    // Mostly a late one.
    const size_t back = static_cast<size_t>(std::min(draw(0, 12), draw(0, 400)));
    Step& step = steps_[steps_.size() - 1 - std::min(back, steps_.size() - 1)];
    if (step.ticket.empty()) {
      if (step.forwarding == 0) send_forward(step);
      return;
    }
    const int roll = draw(0, 9);
    send_step(step, roll < 7 ? Action::kRight : roll < 9 ? Action::kOther : Action::kStranger);
  }

  void send_forward(Step& step) {
    ++step.forwarding;
    step.expiries = expiries_;
    launch(step, Action::kForward, "forward", json("int64", std::to_string(step.slot)), "",
           sessions_.empty() || draw(0, 4) == 0 ? "" : sessions_[static_cast<size_t>(draw(0, 3)) % sessions_.size()]);
  }

  void send_step(Step& step, Action action) {
    std::string route = "optimize";
    if (step.split) route = step.stashed && draw(0, 3) > 0 ? "apply" : "stash";
    // Refused whether it comes first or last; once the step is taken another finite one is as well.
    const std::string other = step.acknowledged && draw(0, 1) ? "2" : "\"NaN\"";
    std::string body = json("float64", action == Action::kOther ? other : "1");
    if (route == "apply") {
      if (action == Action::kOther) return;
      body.clear();
    }
    const std::string session = action == Action::kStranger ? a_session_but(step.session)
                                : draw(0, 1)                ? step.session
                                                            : "";
    if (action == Action::kStranger && session.empty()) return;
    if (action == Action::kRight && route != "stash") step.sent = true;
    launch(step, action, route, body, step.ticket, session);
  }

  static std::string json(const std::string& dtype, const std::string& element) {
    return R"({"dtype":")" + dtype + R"(","shape":[1],"data":[)" + element + "]}";
  }

  std::string a_session_but(const std::string& mine) {
    for (const std::string& session : sessions_)
      if (session != mine) return session;
    return "";
  }

  void launch(Step& step, Action action, const std::string& route, const std::string& body, const std::string& ticket,
              const std::string& session) {
    http::Request request;
    request.method = "POST";
    request.target = "/" + route;
    if (!body.empty()) {
      request.body = http::copy_body(body);
      request.headers.set("Content-Type", "application/json");
    }
    request.headers.set("Accept", "application/json");
    if (!ticket.empty()) request.headers.set("Shumai-Ticket", ticket);
    if (!session.empty()) request.headers.set("Shumai-Session", session);
    const std::string name = "step " + std::to_string(step.slot) + " " + route + " " +
                             (action == Action::kOther      ? "with another body "
                              : action == Action::kStranger ? "of another session "
                                                            : "") +
                             ticket.substr(0, 4);
    note(name);
    ++outstanding_;
    asio::co_spawn(world_->state().loop.context(), ask(world_->state(), std::move(request)),
                   [this, &step, action, route, ticket, name, life = life_](std::exception_ptr, Reply reply) {
                     const std::lock_guard lock(mutex_);
                     if (life != life_) return;  // the server was killed before this got out
                     --outstanding_;
                     note("    " + name + ": " + std::to_string(reply.status));
                     take(step, action, route, ticket, reply);
                     changed_.notify_all();
                   });
  }

  static Task<Reply> ask(Server::State& state, http::Request request) {
    Reply out;
    try {
      const http::Response response = co_await state.respond(std::move(request));
      out.status = response.status;
      out.ticket = response.headers.get("Shumai-Ticket");
      out.session = response.headers.get("Shumai-Session");
      out.text = http::body_text(response.body);
    } catch (const Error& error) {
      out.status = error.code() == ErrorCode::kAlreadyDone ? 209 : error.status();
      out.text = error.what();
    } catch (const std::exception& error) {
      out.status = 500;
      out.text = error.what();
    }
    co_return out;
  }

  // --- What the answers may be ---

  void take(Step& step, Action action, const std::string& route, const std::string& ticket, const Reply& reply) {
    if (action == Action::kForward) return take_forward(step, reply);
    const std::string what = "step " + std::to_string(step.slot) + ", /" + route;
    if (reply.status == 410) {
      if (step.acknowledged && step.ticket == ticket)
        fail(what + ": 410 for a ticket whose step was acknowledged");
      else if (!step.expirable && step.ticket == ticket)
        fail(what + ": 410 for a ticket that nothing could have ended");
      step.gone.insert(ticket);
      if (step.ticket == ticket && !step.acknowledged) {
        step.ticket.clear();
        step.stashed = false;
      }
      return;
    }
    if (reply.status == 500) {
      if (reply.text != "not now") fail(what + ": 500, " + reply.text);
      return;
    }
    if (action == Action::kOther) {
      if (reply.status != 422) fail(what + " with another body: " + std::to_string(reply.status) + " " + reply.text);
      return;
    }
    if (action == Action::kStranger && reply.status == 403) return;
    if (action == Action::kStranger && !step.restored)
      fail(what + " of another session: " + std::to_string(reply.status) + " " + reply.text);
    take_success(step, route, ticket, reply, what);
  }

  void take_success(Step& step, const std::string& route, const std::string& ticket, const Reply& reply,
                    const std::string& what) {
    const bool done = reply.status == 209;  // 409: its step was taken, the answer isn't kept
    if (step.gone.contains(ticket)) {
      // Stashed, then expired; the answers came the other way round.
      if (route == "stash" && reply.status == 204) return;
      return fail(what + ": " + std::to_string(reply.status) + " for a ticket that was gone");
    }
    if (route == "stash") {
      if (!done && reply.status != 204) fail(what + ": " + std::to_string(reply.status) + " " + reply.text);
      step.stashed = true;
      return;
    }
    // /apply that comes before the /stash of the ticket ended.
    if (route == "apply" && reply.status == 404 && !step.acknowledged) return;
    if (!done && reply.status != 200) return fail(what + ": " + std::to_string(reply.status) + " " + reply.text);
    if (!done && reply.text != std::to_string(step.slot)) fail(what + ": answered " + reply.text);
    if (done && !step.acknowledged && !step.sent) fail(what + ": done, but nobody sent the gradient");
    step.acknowledged = true;
  }

  void take_forward(Step& step, const Reply& reply) {
    --step.forwarding;
    if (reply.status != 200) return fail("forward: " + std::to_string(reply.status) + " " + reply.text);
    step.ticket = reply.ticket;
    step.session = reply.session;
    step.stashed = step.restored = false;
    step.expirable = config_.few_tickets || step.expiries != expiries_;
    if (std::find(sessions_.begin(), sessions_.end(), reply.session) == sessions_.end()) {
      sessions_.push_back(reply.session);
      if (sessions_.size() > 4) sessions_.pop_front();
    }
  }

  void wait_below(int limit) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::minutes(1), [&] { return outstanding_ <= limit || failed(); }))
      fail(std::to_string(outstanding_) + " requests aren't answered");
  }

  // --- What happens to the server ---

  template <class F>
  void inside(F action) {
    asio::post(world_->state().logic, std::move(action));
  }

  // All idle tickets that aren't done.
  void expire() {
    const std::lock_guard lock(mutex_);
    note("expiry");
    ++expiries_;
    for (Step& step : steps_) step.expirable = true;
    Server::State& state = world_->state();
    inside([&state] { state.store.sweep(Clock::now() + state.options.limits.ticket_lifetime + milliseconds(1)); });
  }

  void save() {
    const std::lock_guard lock(mutex_);
    note("checkpoint");
    Server::State& state = world_->state();
    inside([&state] { state.saver->tick(Clock::now() + std::chrono::hours(1)); });
  }

  // Nothing that isn't out by now gets out, and the files stay as they are now.
  void kill() {
    {
      const std::lock_guard lock(mutex_);
      note("kill");
      ++life_;
      outstanding_ = 0;
    }
    const std::string copy = directory_.path() + "/" + std::to_string(life_);
    fs::create_directory(copy);
    for (const auto& entry : fs::directory_iterator(path_)) {
      std::error_code vanished;
      fs::copy_file(entry.path(), fs::path(copy) / entry.path().filename(), vanished);
    }
    world_.reset();
    fs::remove_all(path_);
    path_ = copy;
    start(config_.durability == Durability::kEveryUpdate);
  }

  void restart() {
    wait_below(0);
    note("restart");
    ++life_;
    world_->end();
    world_.reset();
    start(true);
  }

  void start(bool all_saved) {
    world_ = std::make_unique<World>(config_, path_, kOperationsPerRound, random_());
    const std::vector<double> weights = world_->weights();
    sessions_.clear();
    double total = 0;
    for (Step& step : steps_) {
      const double count = weights[static_cast<size_t>(step.slot)];
      total += count;
      const std::string what = "step " + std::to_string(step.slot) + " counts " + std::to_string(count) + " on restart";
      if (count != 0 && count != 1) fail(what);
      if (count == 1 && !step.sent) fail(what + ", but nobody sent its gradient");
      if (count == 0 && step.acknowledged && all_saved) fail(what + ", but it was acknowledged");
      step.acknowledged = step.restored = count == 1;
      step.expirable = true;
      step.forwarding = 0;
      step.gone.clear();
      // What took the step is remembered with it, and nothing else.
      if (count == 0) step.sent = false;
    }
    const auto version = static_cast<double>(world_->state().updates.version);
    if (version != total) fail("version " + std::to_string(version) + " after " + std::to_string(total) + " steps");
  }

  void finish() {
    wait_below(0);
    if (failed()) return;
    const std::vector<double> weights = world_->end();
    for (const Step& step : steps_) {
      const double count = weights[static_cast<size_t>(step.slot)];
      if (count != (step.acknowledged ? 1 : 0))
        fail("step " + std::to_string(step.slot) + " counts " + std::to_string(count) + " and was " +
             (step.acknowledged ? "" : "not ") + "acknowledged");
    }
  }

  const Config config_;
  std::mt19937 random_;
  const testing::Directory directory_;
  std::string path_;
  std::unique_ptr<World> world_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_ while requests are out:
  int outstanding_ = 0;
  int life_ = 0;
  int expiries_ = 0;
  std::deque<Step> steps_;
  std::deque<std::string> sessions_;
  std::deque<std::string> log_;
};

uint32_t chosen_seed() {
  const char* given = std::getenv("SHUMAI_TEST_SEED");
  return given ? static_cast<uint32_t>(std::atoll(given)) : std::random_device{}();
}

TEST(Interleaving, EveryStepHappensOnceWhateverComesBetween) {
  const uint32_t seed = chosen_seed();
  const char* wanted = std::getenv("SHUMAI_INTERLEAVINGS");
  const int rounds = std::max(1, (wanted ? std::atoi(wanted) : 8000) / kOperationsPerRound);
  std::printf("seed: SHUMAI_TEST_SEED=%u\n", seed);
  std::mt19937 random(seed);
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    Config config;
    const uint32_t bits = random();
    config.durability = bits & 1 ? Durability::kEveryUpdate : Durability::kInterval;
    config.async = bits & 2;
    config.forgetful = bits & 4;
    config.few_tickets = bits & 8;
    config.threads = bits & 16 ? 2 : 1;
    SCOPED_TRACE("SHUMAI_TEST_SEED=" + std::to_string(seed) + ", round " + std::to_string(round) + ": " +
                 config.describe());
    Driver(config, random()).run();
  }
}

}  // namespace
}  // namespace sm::io
