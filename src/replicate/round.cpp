#include <algorithm>
#include <cmath>

#include "replicate/replica.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "shumai/ops.hpp"
#include "tensor/impl.hpp"
#include "util/log.hpp"

// What the members of a group do together.
namespace sm::replicate {
namespace {

using std::chrono::steady_clock;

// What every member of a new forming says of itself.
enum Claim : size_t { kRound, kVersion, kDigest, kRecordSize, kClaims };
// What every member sums up in a tick.
enum Wish : size_t { kAverage, kReady, kGo, kLeave, kOutdated, kWishes };

constexpr size_t kMaxRecord = size_t{64} << 20;

std::string to_record(const Agreed& state) {
  Json included = Json::object();
  for (const auto& [id, number] : state.included) included[id] = number;
  return included.dump();
}

std::map<std::string, uint64_t> from_record(const std::string& text) {
  std::map<std::string, uint64_t> out;
  const Json included = Json::parse(text);
  for (const auto& [id, number] : included.as_object()) out[id] = static_cast<uint64_t>(number.as_int64());
  return out;
}

std::span<std::byte> bytes_of(const Tensor& flat) {
  std::byte* bytes = flat.dtype() == DType::f64 ? reinterpret_cast<std::byte*>(mutable_data<double>(flat))
                                                : reinterpret_cast<std::byte*>(mutable_data<float>(flat));
  return {bytes, flat.nbytes()};
}

void sum(Collective& collective, const Tensor& flat) {
  const auto count = static_cast<size_t>(flat.elements());
  if (flat.dtype() == DType::f64)
    collective.sum(std::span(mutable_data<double>(flat), count));
  else
    collective.sum(std::span(mutable_data<float>(flat), count));
}

}  // namespace

void Replica::agree() {
  const auto size = static_cast<size_t>(collective_->size()), rank = static_cast<size_t>(collective_->rank());
  const Agreed& mine = prepared_ ? *prepared_ : now_;
  std::vector<int64_t> claims(size * kClaims);
  const auto claim = [&](size_t member, Claim what) -> int64_t& { return claims[member * kClaims + what]; };
  claim(rank, kRound) = mine.round;
  claim(rank, kVersion) = static_cast<int64_t>(version_);
  claim(rank, kDigest) = digest(mine.base);
  claim(rank, kRecordSize) = static_cast<int64_t>(to_record(mine).size());
  collective_->sum(claims);
  size_t winner = 0;
  for (size_t i = 1; i < size; ++i)
    if (std::pair(claim(i, kRound), claim(i, kVersion)) > std::pair(claim(winner, kRound), claim(winner, kVersion)))
      winner = i;
  const auto newest = [&](size_t i) {
    return claim(i, kRound) == claim(winner, kRound) && claim(i, kDigest) == claim(winner, kDigest);
  };
  // A sum that one has, all had who may have made it their state: see average().
  if (prepared_ && newest(rank)) commit();
  prepared_.reset();
  bool all = true;
  for (size_t i = 0; i < size; ++i) all = all && newest(i);
  if (!all) receive(static_cast<int>(winner), static_cast<size_t>(claim(winner, kRecordSize)), newest(rank));
  now_.round = std::max(now_.round, int64_t{0});
  now_.sent_weights.clear();
}

void Replica::receive(int winner, size_t record_size, bool newest) {
  if (record_size > kMaxRecord)
    throw Error(ErrorCode::kProtocol, "replicas: a record of " + std::to_string(record_size) + " bytes can't be right");
  const bool sends = collective_->rank() == winner;
  std::string record = sends ? to_record(now_) : std::string(record_size, ' ');
  collective_->broadcast(std::as_writable_bytes(std::span(record)), winner);
  int64_t round[] = {sends ? now_.round : 0};
  collective_->sum(std::span<int64_t>(round));
  Agreed theirs;
  theirs.base = now_.base.copy();
  theirs.velocity = now_.velocity.copy();
  collective_->broadcast(bytes_of(theirs.base), winner);
  collective_->broadcast(bytes_of(theirs.velocity), winner);
  if (newest) return;
  theirs.round = round[0];
  theirs.included = from_record(record);
  theirs.sent = now_.sent;
  move_on(std::move(theirs), nullptr);
}

bool Replica::due() const {
  const uint64_t more = updates_ - counted_;
  if (more == 0) return false;
  if (leaving_) return true;
  // Alone, an average is for those who come: what was learned until then is the group's.
  if (collective_->size() == 1) return membership_->is_old();
  return options_.synchronous || (options_.every > 0 && more >= options_.every) ||
         (options_.interval.count() > 0 && steady_clock::now() - averaged_ >= options_.interval);
}

bool Replica::tick() {
  const bool leaves = leaving_ && updates_ == counted_ && !copy_ && !prepared_;
  int64_t wishes[kWishes] = {};
  // What is being averaged may be all that it wants.
  wishes[kAverage] = !prepared_ && due();
  wishes[kReady] = copy_is_ready();
  wishes[kGo] = collective_->rank() == 0 && copy_ && steady_clock::now() - asked_ > options_.timeout;
  wishes[kLeave] = leaves;
  wishes[kOutdated] = membership_->is_old();
  // Nobody takes it into the next forming.
  if (leaves) membership_.reset();
  collective_->sum(std::span<int64_t>(wishes));
  if (prepared_) commit();
  if (wishes[kLeave] > 0 || (wishes[kOutdated] > 0 && !(alone_ && (copy_ || due())))) return false;
  if (copy_) {
    if (wishes[kReady] == collective_->size() || wishes[kGo] > 0) average();
  } else if (wishes[kAverage] > 0) {
    asked_ = steady_clock::now();
    take_copy();
  }
  return true;
}

void Replica::take_copy() {
  copy_ = std::make_shared<Copy>();
  copy_->number = now_.sent + 1;
  owner_.run([self = shared_from_this(), copy = copy_] {
    for (const Tensor& weight : self->weights_) {
      copy->weights.push_back(make_alias(weight));
      copy->versions.push_back(weight.version());
    }
    copy->updates = self->updates_;
    const auto ready = [self, copy] {
      {
        const std::lock_guard lock(self->mutex_);
        copy->ready = true;
      }
      self->wake();
    };
    if (!self->owner_.save) return ready();
    self->agreed_.sent = copy->number;
    self->agreed_.sent_weights = copy->weights;
    self->owner_.save(ready);
  });
}

bool Replica::copy_is_ready() const {
  const std::lock_guard lock(mutex_);
  return copy_ && copy_->ready;
}

// Whoever comes to the end of this has the sum. A member that is through the tick
// after it knows that all have, and makes it its state; one that isn't, and forms
// again, learns from the others whether it is anybody's.
void Replica::average() {
  const auto rank = static_cast<size_t>(collective_->rank());
  Tensor away = zeros_like(now_.base);
  std::vector<int64_t> numbers(static_cast<size_t>(collective_->size()));
  double squares[] = {0};
  if (!copy_is_ready()) {
    copy_.reset();
  } else {
    const Tensor mine = difference(now_.base, layout_.flatten(copy_->weights));
    squares[0] = squared_norm(mine);
    copy_->finite = std::isfinite(squares[0]);
    if (!copy_->finite) squares[0] = 0;
    if (copy_->finite && copy_->updates != counted_) {
      away = mine;
      numbers[rank] = static_cast<int64_t>(copy_->number);
      now_.sent = copy_->number;
      now_.sent_weights = copy_->weights;
      sent_updates_ = copy_->updates;
    }
  }
  collective_->sum(numbers);
  collective_->sum(std::span<double>(squares));
  sum(*collective_, away);
  Agreed next;
  next.round = now_.round + 1;
  next.included = now_.included;
  next.sent = now_.sent;
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != 0) next.included[forming_.ids[i]] = static_cast<uint64_t>(numbers[i]);
  const int64_t replicas = std::ranges::count_if(numbers, [](int64_t number) { return number != 0; });
  // Alone there is nothing to average: the weights are what they are.
  const Outer outer = numbers.size() == 1 ? Outer{1, 0} : options_.outer;
  Outer::Result result{now_.base, now_.velocity};
  if (replicas > 0) result = outer.step(layout_, now_.base, now_.velocity, away, replicas);
  next.base = result.base;
  next.velocity = result.velocity;
  drift_ = std::sqrt(squares[0] / static_cast<double>(std::max<int64_t>(replicas, 1)) /
                     std::max(squared_norm(now_.base), 1e-30));
  prepared_ = std::move(next);
}

void Replica::commit() {
  averaged_ = steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    ++status_.averages;
    status_.round = prepared_->round;
    status_.drift = drift_;
    status_.bytes_sent = bytes_before_ + collective_->bytes_sent();
    last_average_ = averaged_;
  }
  Agreed next = std::move(*prepared_);
  prepared_.reset();
  move_on(std::move(next), std::exchange(copy_, nullptr));
}

void Replica::move_on(Agreed next, const std::shared_ptr<Copy>& copy) {
  const auto mine = next.included.find(options_.id);
  const bool counted = !now_.sent_weights.empty() && mine != next.included.end() && mine->second == now_.sent;
  const Tensor reference = counted ? layout_.flatten(now_.sent_weights) : now_.base;
  if (counted) counted_ = sent_updates_;
  now_ = std::move(next);
  move_weights(reference, copy);
}

void Replica::move_weights(const Tensor& reference, const std::shared_ptr<Copy>& copy) {
  if (copy && !copy->finite)
    util::log_error("replicas: the weights had NaN or infinity in them; those of the group replace them");
  owner_.run([self = shared_from_this(), state = now_, reference, copy, counted = counted_] {
    const NoGrad no_grad;
    const Tensor step = difference(state.base, reference);
    const bool all = copy && !copy->finite;
    for (size_t i = 0; i < self->weights_.size(); ++i) {
      const Tensor& weight = self->weights_[i];
      const bool as_copied = weight.version() == (copy ? copy->versions[i] : self->base_versions_[i]);
      if (all || as_copied)
        weight.update(self->layout_.weight(state.base, i));
      else
        weight.update(weight.detach() + self->layout_.weight(step, i));
      self->base_versions_[i] = all || as_copied ? weight.version() : kNoVersion;
    }
    self->agreed_ = state;
    self->included_ = counted;
    self->owner_.moved();
    if (self->on_average_) self->on_average_();
  });
}

}  // namespace sm::replicate
