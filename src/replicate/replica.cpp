#include "replicate/replica.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <random>
#include <utility>

#include "shumai/error.hpp"
#include "util/log.hpp"

namespace sm::replicate {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Until a call to the rendezvous is given up.
constexpr milliseconds kRendezvousTimeout{2000};
// Until another forming is tried.
constexpr milliseconds kRetry{200};

// Contributions are told apart by their numbers, also from those of an earlier run that nobody remembers here.
uint64_t first_number() {
  std::random_device random;
  return (static_cast<uint64_t>(random()) << 16) + 1;
}

Options checked(Options options) {
  const auto refuse = [](const std::string& why) { throw Error(ErrorCode::kInvalidArgument, "replicas: " + why); };
  if (!is_word(options.id))
    refuse("id must have 1 to 64 letters, digits, '.', '_' or '-', and not begin with '.', got \"" + options.id + "\"");
  if (options.every == 0 && options.interval.count() <= 0 && !options.synchronous)
    refuse("expected `every` (updates) or `interval` (time) above 0 between averages, got neither");
  if (options.interval.count() < 0)
    refuse("interval must be 0 or more, got " + std::to_string(options.interval.count()) + " ms");
  if (options.timeout < milliseconds(100))
    refuse("timeout must be at least 100 ms, got " + std::to_string(options.timeout.count()) + " ms");
  if (!(options.outer.rate > 0) || !(options.outer.momentum >= 0) || !(options.outer.momentum < 1))
    refuse("the outer optimizer needs a rate above 0 and a momentum from 0 to below 1, got " +
           std::to_string(options.outer.rate) + " and " + std::to_string(options.outer.momentum));
  if (options.synchronous) options.outer = {1, 0};
  return options;
}

}  // namespace

Replica::Replica(Options options, Owner owner, std::optional<Agreed> agreed, uint64_t version)
    : options_(checked(std::move(options))),
      owner_(std::move(owner)),
      layout_(owner_.weights),
      weights_(layout_.select(owner_.weights)),
      version_(version),
      averaged_(steady_clock::now()),
      rendezvous_(open_rendezvous(options_.rendezvous, options_.group, kRendezvousTimeout)) {
  if (agreed) {
    now_ = std::move(*agreed);
    base_versions_.assign(weights_.size(), kNoVersion);
    // What was learned and not brought to the group counts as an update.
    if (digest(layout_.flatten(weights_)) != digest(now_.base)) updates_ = 1;
  } else {
    now_.base = layout_.flatten(weights_);
    now_.velocity = zeros_like(now_.base);
    now_.sent = first_number();
    for (const Tensor& weight : weights_) base_versions_.push_back(weight.version());
  }
  agreed_ = now_;
  membership_ = std::make_unique<Membership>(rendezvous_, options_.group,
                                             Membership::Self{options_.id, layout_.digest(), options_.address});
  // Gloo leaks when it can't bind the address, which the membership has tried.
  transport_ = make_gloo(options_.address);
}

Replica::~Replica() {
  stop_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void Replica::start() {
  thread_ = std::thread([this] { run(); });
}

void Replica::stop(steady_clock::time_point deadline) {
  if (!thread_.joinable()) return;
  leave_by_ = std::min(deadline, steady_clock::now() + patience());
  leaving_ = true;
  wake();
  {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [this] { return left_; });
  }
  stop_ = true;
  wake();
  thread_.join();
}

void Replica::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void Replica::wait(milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return woken_ || stop_; });
  woken_ = false;
}

uint64_t Replica::updated() {
  const uint64_t number = ++updates_;
  const uint64_t least = options_.synchronous ? 1 : options_.every;
  if (least > 0 && (number - included_) % least == 0) wake();
  return number;
}

bool Replica::has(uint64_t number) const { return alone_ || included_ >= number; }

Replica::Status Replica::status() const {
  const std::lock_guard lock(mutex_);
  Status out = status_;
  if (out.averages > 0)
    out.seconds_since_average = std::chrono::duration<double>(steady_clock::now() - last_average_).count();
  return out;
}

void Replica::run() {
  while (!stop_ && membership_) {
    try {
      form();
      if (stop_ || !membership_) break;
      agree();
      note_members();
      meet();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCancelled) note_failure(error.what());
    } catch (const std::exception& error) {
      note_failure(error.what());
    }
    let_go_of_group();
  }
  const std::lock_guard lock(mutex_);
  left_ = true;
  changed_.notify_all();
}

// Others may hear of a forming a beat later, or after they waited for one that is gone.
milliseconds Replica::patience() const { return options_.timeout + 3 * Membership::kBeat; }

void Replica::form() {
  while (!stop_) {
    if (may_leave()) return membership_.reset();
    const Membership::Forming newest = membership_->newest();
    if (newest.rank >= 0 && !newest.is(forming_)) {
      forming_ = newest;
      membership_->enter(forming_);
      util::log_debug(
          fmt::format("replicas: {} joins forming {} of {}", options_.id, newest.number, fmt::join(newest.ids, ", ")));
      const auto is_over = [this] {
        return stop_ || may_leave() || membership_->is_old() || membership_->lacks(forming_);
      };
      collective_ = newest.size() == 1 ? make_single()
                                       : transport_->connect(*rendezvous_, newest.folder(), newest.rank, newest.size(),
                                                             {patience(), options_.timeout, is_over});
      return;
    }
    if (!may_propose(newest) || !membership_->propose(newest)) wait(kRetry);
  }
}

// Out of a group, what it learned is worth waiting for one, for as long as that takes.
bool Replica::may_leave() const { return leaving_ && (updates_ == counted_ || steady_clock::now() > leave_by_); }

// Those who are in it are left time to find each other.
bool Replica::may_propose(const Membership::Forming& newest) {
  const auto now = steady_clock::now();
  if (!seen_forming_.is(newest)) seen_since_ = now;
  seen_forming_ = newest;
  return newest.rank >= 0 || now - seen_since_ > patience() || membership_->is_settled(newest);
}

void Replica::meet() {
  if (forming_.rank == 0) membership_->settle(forming_);
  constexpr milliseconds kTick{50}, kSynchronousTick{2}, kCopying{1};
  while (!stop_ && tick()) {
    if (prepared_) continue;
    if (copy_)
      wait(kCopying);
    else if (!due())
      wait(options_.synchronous ? kSynchronousTick : kTick);
  }
}

void Replica::let_go_of_group() {
  if (collective_) bytes_before_ += collective_->bytes_sent();
  collective_.reset();
  copy_.reset();
  alone_ = true;
  {
    const std::lock_guard lock(mutex_);
    status_.members.clear();
    status_.rank = -1;
  }
  if (on_average_) on_average_();
}

void Replica::note_members() {
  alone_ = forming_.size() == 1;
  const std::lock_guard lock(mutex_);
  status_.members = forming_.ids;
  status_.rank = forming_.rank;
  status_.forming = forming_.number;
  status_.round = now_.round;
  status_.bytes_sent = bytes_before_ + collective_->bytes_sent();
  status_.failure.clear();
}

void Replica::note_failure(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    ++status_.failures;
    if (std::exchange(status_.failure, why) == why) return;
  }
  util::log_warning(why + "; serving goes on, and the group forms again");
}

}  // namespace sm::replicate
