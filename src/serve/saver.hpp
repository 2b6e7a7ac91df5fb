#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "serve/checkpoint.hpp"
#include "serve/store.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"
#include "shumai/json.hpp"
#include "shumai/task.hpp"
#include "util/buffer.hpp"

namespace sm::io {

// Decides when a server's checkpoint is taken, and who waits for it. Runs on
// the server's logical thread, but for report().
//
// One write is under way at a time. What happens meanwhile is in the next one,
// so that updates that wait together share a write.
class Saver : public std::enable_shared_from_this<Saver> {
 public:
  // Throws Error for a directory that can't be used.
  Saver(const CheckpointOptions& options, Store& store, boost::asio::any_io_executor logic);

  // Goes on from the newest checkpoint that is whole, if there is one: weights,
  // state, finished tickets, random stream. Returns its version. Throws Error
  // (kInvalidArgument) when it is of another model.
  uint64_t resume();

  // True when a weight that lives here and requires gradients was updated since the last call.
  bool weights_moved();

  // The server's state is now `version`.
  void updated(uint64_t version);

  // Every update is to be durable before it is acknowledged.
  bool strict() const noexcept { return options_.durability == Durability::kEveryUpdate; }

  // Until `version` is on the disk. Throws Error (kUnavailable) when a write of it failed.
  Task<> durable(uint64_t version);

  // Starts a write when its time has come. Called now and then.
  void tick(Clock::time_point now);

  // Writes what isn't written yet, once.
  Task<> flush();

  // Reads the checkpoint of `version`. Runs anywhere. Throws Error: kNotFound when there is none any more.
  static Task<std::shared_ptr<const Checkpoint>> read(std::shared_ptr<Saver> self, uint64_t version);
  // The file itself, likewise.
  static Task<util::BufferRef> read_file(std::shared_ptr<Saver> self, uint64_t version);
  // Whether put_back() may be called.
  bool can_put_back() const { return !options_.ask_state || options_.run; }
  // Weights and state become those of the checkpoint. What comes next is an
  // update to a new version: see updated().
  static Task<> put_back(std::shared_ptr<Saver> self, std::shared_ptr<const Checkpoint> checkpoint);
  // The newest that there are. Thread-safe.
  std::vector<CheckpointDirectory::Entry> entries() const { return directory_.entries(kMostEntries); }

  struct Report {
    uint64_t version = 0, writes = 0, failures = 0;
    double seconds = 0;  // of the last write
    std::string failure;
    std::vector<std::string> skipped;  // when the server resumed
    bool resumed = false;
  };
  // Thread-safe, both.
  Report status() const;
  Json report() const;

 private:
  static constexpr size_t kMostEntries = 100;

  // Throws Error (kInvalidArgument) when it is another model's.
  void check_fits(const Checkpoint& checkpoint) const;
  void load(const Checkpoint& checkpoint) const;
  Error no_such(uint64_t version) const;
  // What `read` makes of the path of that version's file, on the thread of files. Throws as read().
  template <class Read>
  static auto at_file(std::shared_ptr<Saver> self, uint64_t version, Read read)
      -> Task<std::invoke_result_t<Read, const std::string&>>;
  void start();
  void ask();
  void write(Tensors tensors, uint64_t version);
  void give_up(const std::string& failure);
  void tell(uint64_t version, const std::string& failure, double seconds);
  void written(uint64_t version, const std::string& failure);

  const CheckpointOptions options_;
  Store& store_;
  const boost::asio::any_io_executor logic_;
  const CheckpointDirectory directory_;
  uint64_t weight_updates_ = 0;
  uint64_t version_ = 0;  // of the state now
  uint64_t durable_ = 0;  // of the last that was written
  uint64_t failed_ = 0;   // of the last that couldn't be
  std::string failure_;
  bool busy_ = false;
  Clock::time_point last_start_;
  boost::asio::steady_timer changed_;  // cancelled when a write has ended

  mutable std::mutex mutex_;
  Report report_;  // guarded by mutex_
  CheckpointThread thread_;
};

}  // namespace sm::io
