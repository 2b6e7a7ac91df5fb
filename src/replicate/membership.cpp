#include "replicate/membership.hpp"

#include <algorithm>
#include <charconv>
#include <random>

#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "util/log.hpp"

namespace sm::replicate {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kReach{1000};

std::string random_word() {
  std::random_device random;
  std::string out;
  for (int i = 0; i < 16; ++i) out += "0123456789abcdef"[random() % 16];
  return out;
}

std::optional<uint64_t> to_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Throws Error (kProtocol) when it isn't an object: whoever wrote it is no replica.
Json to_object(const std::string& text) {
  constexpr JsonLimits kLimits{Rendezvous::kMaxValue, 4, 100'000};
  Json value = Json::parse(text, kLimits);
  if (!value.is_object()) throw Error(ErrorCode::kProtocol, "replicas: rendezvous: a record is " + text.substr(0, 40));
  return value;
}

}  // namespace

std::string Membership::Forming::folder() const { return "addresses/" + std::to_string(number); }

Membership::Membership(std::shared_ptr<Rendezvous> rendezvous, const std::string& group, Self self)
    : rendezvous_(std::move(rendezvous)),
      group_(group),
      self_(std::move(self)),
      incarnation_(random_word()),
      presence_(self_.address, line_of(self_.id, incarnation_)) {
  refuse_conflict();
  write_record();
  thread_ = std::thread([this] { run(); });
}

Membership::~Membership() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
  try {
    rendezvous_->remove("members/" + self_.id);
  } catch (const Error&) {  // its beats end, which tells the same
  }
}

std::string Membership::line_of(const std::string& id, const std::string& incarnation) const {
  return "shumai replica of " + group_ + ": " + id + " " + incarnation + "\n";
}

void Membership::refuse_conflict() const {
  std::vector<Record> rivals;
  std::vector<Place> places;
  for (const std::string& id : rendezvous_->list("members")) {
    std::optional<Record> other = read(id);
    if (!other || (other->id != self_.id && other->model == self_.model)) continue;
    places.push_back({other->address, other->port, line_of(other->id, other->incarnation)});
    rivals.push_back(std::move(*other));
  }
  const std::vector<bool> reached = reachable(places, kReach);
  for (size_t i = 0; i < rivals.size(); ++i) {
    if (!reached[i]) continue;
    const Record& rival = rivals[i];
    if (rival.id == self_.id)
      throw Error(ErrorCode::kConflict, "replicas: another replica with the id \"" + rival.id + "\" runs at " +
                                            rival.address + "; each needs one of its own");
    throw Error(ErrorCode::kConflict, "replicas: the group \"" + group_ +
                                          "\" has another model: names, shapes or dtypes "
                                          "of the weights differ from those of \"" +
                                          rival.id + "\" at " + rival.address);
  }
}

std::optional<Membership::Record> Membership::read(const std::string& id) const {
  const std::optional<std::string> text = rendezvous_->get("members/" + id);
  if (!text) return std::nullopt;
  const Json object = to_object(*text);
  return Record{id,
                object["incarnation"].as_string(),
                object["model"].as_string(),
                object["address"].as_string(),
                static_cast<uint16_t>(object["port"].as_int64()),
                static_cast<uint64_t>(object["beat"].as_int64())};
}

void Membership::write_record() {
  const Json record = Json::object({{"incarnation", incarnation_},
                                    {"model", self_.model},
                                    {"address", self_.address},
                                    {"port", presence_.port()},
                                    {"beat", ++beat_}});
  rendezvous_->put("members/" + self_.id, record.dump());
}

void Membership::enter(const Forming& forming) {
  const std::lock_guard lock(mutex_);
  entered_ = forming;
  old_ = false;
}

void Membership::look_for_newest() {
  std::unique_lock lock(mutex_);
  const Forming before = entered_;
  lock.unlock();
  const bool old = !newest().is(before);
  lock.lock();
  // What was read may be from before the one that it entered meanwhile.
  if (entered_.is(before)) old_ = old;
}

void Membership::run() {
  std::string failure;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kBeat, [this] { return ending_; })) {
    lock.unlock();
    try {
      write_record();
      look_for_newest();
      failure.clear();
    } catch (const std::exception& error) {
      if (failure != error.what()) util::log_warning(std::string(error.what()) + "; trying again");
      failure = error.what();
    }
    lock.lock();
  }
}

Membership::Forming Membership::newest() const {
  Forming forming;
  for (const std::string& name : rendezvous_->list("formings"))
    if (const auto number = to_number(name)) forming.number = std::max(forming.number, *number);
  if (forming.number == 0) return forming;
  const std::optional<std::string> text = rendezvous_->get("formings/" + std::to_string(forming.number));
  if (!text) throw Error(ErrorCode::kUnavailable, "replicas: rendezvous: a newer forming came meanwhile");
  const Json record = to_object(*text);
  forming.word = record["word"].as_string();
  for (const Json& member : record["members"].as_array()) {
    forming.ids.push_back(member["id"].as_string());
    forming.incarnations.push_back(member["incarnation"].as_string());
    if (forming.ids.back() == self_.id && forming.incarnations.back() == incarnation_)
      forming.rank = forming.size() - 1;
  }
  return forming;
}

std::vector<Membership::Record> Membership::living() {
  std::vector<Record> out;
  const auto now = steady_clock::now();
  for (const std::string& id : rendezvous_->list("members")) {
    if (id == self_.id) continue;
    std::optional<Record> record = read(id);
    if (!record || record->model != self_.model) continue;
    // Clocks of other machines tell nothing: what counts is when the beat was seen to change.
    auto [seen, fresh] = seen_.try_emplace(id, Seen{record->incarnation, record->beat, now});
    if (!fresh && (seen->second.incarnation != record->incarnation || seen->second.beat != record->beat))
      seen->second = Seen{record->incarnation, record->beat, now};
    if (now - seen->second.when < kSilence) out.push_back(std::move(*record));
  }
  return out;
}

bool Membership::may_propose(const Forming& last, const std::vector<Record>& living,
                             const std::vector<bool>& reached) const {
  size_t voters = 0, reached_voters = 0;
  bool first_reached = false;
  for (const std::string& id : last.ids) {
    bool lives = id == self_.id, reaches = lives;
    for (size_t i = 0; i < living.size(); ++i) {
      if (living[i].id != id) continue;
      lives = true;
      reaches = reached[i];
    }
    if (!lives) continue;
    if (voters++ == 0) first_reached = reaches;
    if (reaches) ++reached_voters;
  }
  return 2 * reached_voters > voters || (2 * reached_voters == voters && (first_reached || voters == 0));
}

bool Membership::propose(const Forming& last) {
  const std::vector<Record> others = living();
  std::vector<Place> places;
  places.reserve(others.size());
  for (const Record& other : others)
    places.push_back({other.address, other.port, line_of(other.id, other.incarnation)});
  const std::vector<bool> reached = reachable(places, kReach);
  if (!may_propose(last, others, reached)) return false;
  std::vector<std::pair<std::string, std::string>> members{{self_.id, incarnation_}};
  for (size_t i = 0; i < others.size(); ++i)
    if (reached[i]) members.emplace_back(others[i].id, others[i].incarnation);
  // Who was in the group before comes first, in the order of before.
  const auto order = [&](const auto& member) {
    return std::pair(std::ranges::find(last.ids, member.first) - last.ids.begin(), member.first);
  };
  std::ranges::sort(members, {}, order);
  Json list = Json::array();
  for (const auto& [id, incarnation] : members)
    list.push_back(Json::object({{"id", id}, {"incarnation", incarnation}}));
  return rendezvous_->put_new("formings/" + std::to_string(last.number + 1),
                              Json::object({{"word", random_word()}, {"members", std::move(list)}}).dump());
}

void Membership::settle(const Forming& forming) const {
  rendezvous_->put("settled/" + std::to_string(forming.number), self_.id);
  for (const std::string& name : rendezvous_->list("formings"))
    if (const auto number = to_number(name); number && *number + 1 < forming.number)
      for (const char* folder : {"formings/", "addresses/", "settled/"}) rendezvous_->remove(folder + name);
}

bool Membership::lacks(const Forming& forming) const {
  const std::vector<std::string> there = rendezvous_->list("members");
  return std::ranges::any_of(forming.ids,
                             [&](const std::string& id) { return std::ranges::find(there, id) == there.end(); });
}

bool Membership::is_settled(const Forming& forming) const {
  return forming.number == 0 || rendezvous_->get("settled/" + std::to_string(forming.number)).has_value();
}

}  // namespace sm::replicate
