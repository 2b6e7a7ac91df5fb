#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "replicate/average.hpp"
#include "replicate/collective.hpp"
#include "replicate/membership.hpp"
#include "shumai/tensor.hpp"

namespace sm::replicate {

struct Options {
  std::string rendezvous, group, id, address;
  uint64_t every = 0;                     // updates of one replica; 0: by time alone
  std::chrono::milliseconds interval{0};  // 0: by updates alone
  bool synchronous = false;
  Outer outer;
  std::chrono::milliseconds timeout{2000};  // without a sign of a member
};

// What a replica knows of the group beside its weights. Immutable; tensors are flat.
struct Agreed {
  int64_t round = -1;  // averages that these weights came of; -1: none, of no group yet
  Tensor base;         // the weights after the last one
  Tensor velocity;     // of the outer optimizer
  // By replica: its last contribution that is in `base`.
  std::map<std::string, uint64_t> included;
  // The replica's own last contribution, and the weights that it was made of, in the order of
  // the layout, while nobody has said whether it is included.
  uint64_t sent = 0;
  std::vector<Tensor> sent_weights;
};

// Who has the weights, and where they may be touched.
struct Owner {
  // Floating ones are averaged; they are updated within run().
  Tensors weights;
  // Runs `work` soon, one at a time, and in the order of the calls; never, when the place is gone.
  std::function<void(std::function<void()> work)> run;
  // Within run(): the weights were moved by what others learned.
  std::function<void()> moved;
  // Within run(): calls `done` (from anywhere) when weights and state as they are now are on the
  // disk, or can't be. Null: nothing has to be.
  std::function<void(std::function<void()> done)> save;
};

// One of several servers that hold the same model, each with clients of its own.
// Now and then they average what each learned since the last time, while they go on
// serving: local training with an outer optimizer (Douillard et al., "DiLoCo", 2023).
//
// The group lives on a thread of its own. Its members meet every few milliseconds
// in a small sum (a "tick"), which tells each what the others want, and that they are
// alive. When one has made its updates, all take a copy of their weights, and when
// all have one they sum up how far these are from the last average. The next tick
// that all come through makes that the new average, for all or for none of those
// that go on together: whoever was there has the sum.
//
// Each then moves its weights by what the others learned, keeping what it learned
// itself meanwhile. A member that is cut off goes on alone and brings what it
// learned when it comes back. What it sent before it was cut off is counted once:
// the group remembers the number of each member's last contribution.
//
// Functions are thread-safe unless they say otherwise.
class Replica : public std::enable_shared_from_this<Replica> {
 public:
  // `agreed` of a checkpoint, with the weights of then; `version`: updates that the weights
  // come of. Throws Error for options that can't be used, a rendezvous that can't be
  // reached, an id that is taken.
  Replica(Options options, Owner owner, std::optional<Agreed> agreed, uint64_t version);
  ~Replica();

  // Once, when run() works.
  void start();
  // Leaves the group, after a last average if there is something to bring, but no
  // later than `deadline`. run() must go on working until then.
  void stop(std::chrono::steady_clock::time_point deadline);

  // Within run(): one more update of the weights. Returns their number.
  uint64_t updated();
  // Whether the group has update `number`, or there is no group to wait for.
  bool has(uint64_t number) const;
  // Called, from any thread, when has() may have become true. Set before start().
  void on_average(std::function<void()> function) { on_average_ = std::move(function); }

  // Within run(): what belongs to the weights of now.
  Agreed agreed() const { return agreed_; }

  struct Status {
    std::vector<std::string> members;  // by rank; empty when this replica is in no group
    int rank = -1;
    uint64_t forming = 0;
    int64_t round = -1;
    uint64_t averages = 0, failures = 0, bytes_sent = 0;
    double seconds_since_average = -1;  // -1: there was none
    double drift = 0;     // of the replicas from their mean before the last average, relative to the weights (RMS)
    std::string failure;  // why there is no group, or why the last one broke
  };
  Status status() const;
  const Options& options() const { return options_; }

 private:
  // A copy of the weights that is being taken for a round.
  struct Copy {
    std::vector<Tensor> weights;
    std::vector<uint64_t> versions;
    uint64_t updates = 0;
    bool ready = false;  // and on the disk, where that is needed; guarded by mutex_
    // The thread's own:
    uint64_t number = 0;  // of the contribution
    bool finite = true;
  };
  // --- replica.cpp ---
  void run();
  void form();
  bool may_leave() const;
  bool may_propose(const Membership::Forming& newest);
  std::chrono::milliseconds patience() const;
  // Returns when the group has to form again.
  void meet();
  void note_failure(const std::string& why);
  void note_members();
  void wait(std::chrono::milliseconds time);
  void wake();
  void let_go_of_group();

  // --- round.cpp ---
  // All members of a new forming get the newest state that one of them has.
  void agree();
  // `record_size` bytes of a record, and the state, are the winner's; `newest` when it is this one's too.
  void receive(int winner, size_t record_size, bool newest);
  // False when the group has to form again.
  bool tick();
  bool due() const;
  void take_copy();
  bool copy_is_ready() const;
  void average();
  // prepared_ is what all have.
  void commit();
  // `next` is what the group has now; `copy` is what this replica took for it, null when it took none.
  void move_on(Agreed next, const std::shared_ptr<Copy>& copy);
  // Within run(), later: the weights go as far as it is from `reference` to now_.base.
  void move_weights(const Tensor& reference, const std::shared_ptr<Copy>& copy);

  const Options options_;
  const Owner owner_;
  const Layout layout_;
  const std::vector<Tensor> weights_;
  const uint64_t version_;
  std::function<void()> on_average_;

  // The thread's own:
  Agreed now_;
  std::optional<Agreed> prepared_;  // becomes now_ when all have it
  std::shared_ptr<Copy> copy_;      // null unless all were asked for one
  double drift_ = 0;                // as prepared_ has it
  uint64_t counted_ = 0;            // updates that the group has
  uint64_t sent_updates_ = 0;       // and those that are in the last contribution
  std::chrono::steady_clock::time_point asked_, averaged_;
  const std::shared_ptr<Rendezvous> rendezvous_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<Collective> collective_;
  Membership::Forming forming_, seen_forming_;
  std::chrono::steady_clock::time_point seen_since_;
  uint64_t bytes_before_ = 0;  // sent in formings before

  // Within run():
  Agreed agreed_;
  static constexpr uint64_t kNoVersion = ~uint64_t{0};
  std::vector<uint64_t> base_versions_;  // that the weights had when they were last the base

  std::atomic<uint64_t> updates_{0};                // made
  std::atomic<uint64_t> included_{0};               // that the group has
  std::atomic<bool> alone_{true};                   // no group to wait for
  std::chrono::steady_clock::time_point leave_by_;  // written before leaving_
  std::atomic<bool> leaving_{false};                // when there is nothing left to bring
  std::atomic<bool> stop_{false};                   // at once

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;                                  // guarded by mutex_
  bool left_ = false;                                   // guarded by mutex_
  Status status_;                                       // guarded by mutex_
  std::chrono::steady_clock::time_point last_average_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace sm::replicate
