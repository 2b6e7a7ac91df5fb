#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "replicate/presence.hpp"
#include "replicate/rendezvous.hpp"

namespace sm::replicate {

// Who is in a group.
//
// Every replica keeps a record of itself under members/ID, which it writes again
// each kBeat. A forming of the group is a record formings/NUMBER with the
// members in the order of their ranks; numbers follow each other, and of several
// replicas that write one, one succeeds. So there is one line of formings, and a
// replica that isn't in the newest is in no group. In a place that was emptied
// numbers begin again; formings of one number are told apart by their word.
//
// Invariant: who writes the forming after N reaches most of those members of N
// that still beat (half of them, if the first of these is among them). Of the
// two sides of a network that broke apart at most one goes on as the group.
class Membership {
 public:
  static constexpr std::chrono::milliseconds kBeat{500};
  static constexpr std::chrono::milliseconds kSilence{3000};  // without a beat: gone

  struct Self {
    std::string id;       // the same after a restart
    std::string model;    // what differs between models that can't be averaged
    std::string address;  // of this machine, in numbers
  };
  struct Forming {
    uint64_t number = 0;
    std::string word;                       // no other has it
    std::vector<std::string> ids;           // by rank
    std::vector<std::string> incarnations;  // which run of each
    int rank = -1;                          // this replica's; -1: it isn't a member

    int size() const { return static_cast<int>(ids.size()); }
    bool is(const Forming& other) const { return number == other.number && word == other.word; }
    std::string folder() const;  // for what its members write for each other
  };

  // Begins to beat. Throws Error when the place can't be reached; kConflict when
  // another replica of that id is there, or one with another model.
  Membership(std::shared_ptr<Rendezvous> rendezvous, const std::string& group, Self self);
  ~Membership();

  // For the replica's own thread, all of these:
  // The newest forming, without a member when there is none.
  Forming newest() const;
  // Writes the one after `last`, of this replica and all that it reaches, when it
  // may. False when it may not, or another was first.
  bool propose(const Forming& last);
  // Says that its members have found each other, which is_settled() tells; for rank 0.
  // Removes what formings before it left.
  void settle(const Forming& forming) const;
  bool is_settled(const Forming& forming) const;
  // Whether one of its members has left since.
  bool lacks(const Forming& forming) const;

  // Says that this replica goes into `forming`.
  void enter(const Forming& forming);

  // Whether the one that it entered was the newest no more at the last beat. Thread-safe.
  bool is_old() const noexcept { return old_; }

 private:
  struct Record {
    std::string id, incarnation, model, address;
    uint16_t port = 0;
    uint64_t beat = 0;
  };
  struct Seen {
    std::string incarnation;
    uint64_t beat = 0;
    std::chrono::steady_clock::time_point when;
  };

  std::optional<Record> read(const std::string& id) const;
  std::string line_of(const std::string& id, const std::string& incarnation) const;
  void refuse_conflict() const;
  void write_record();
  void look_for_newest();
  void run();
  // Records of the others that beat.
  std::vector<Record> living();
  bool may_propose(const Forming& last, const std::vector<Record>& living, const std::vector<bool>& reached) const;

  const std::shared_ptr<Rendezvous> rendezvous_;
  const std::string group_;
  const Self self_;
  const std::string incarnation_;
  Presence presence_;
  std::map<std::string, Seen> seen_;
  std::atomic<bool> old_{false};
  uint64_t beat_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // guarded by mutex_
  Forming entered_;      // guarded by mutex_
  std::thread thread_;
};

}  // namespace sm::replicate
