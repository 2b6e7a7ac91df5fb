#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "serve/finished.hpp"
#include "shumai/random.hpp"
#include "shumai/tensor.hpp"

// Checkpoint files. A safetensors file that holds the tensors under their own
// names, so that any reader opens it, and beside them:
//
//   shumai.finished           u8 [n, 36], a row for each call of a ticket that is done:
//                             16 bytes ticket, 16 bytes body digest, u16 route, u8 answer, u8 0
//   shumai.answer.N[.name]    the answer of row N: tensors, or JSON as u8
//   shumai.replica.NAME       what a replica knows of its group, see replicas.cpp
//   __metadata__              "shumai.format": "1", "shumai.version": updates,
//                             "shumai.random": "seed position", "shumai.routes": JSON array,
//                             "shumai.model": the architecture as JSON, when the server knows it,
//                             "shumai.checksum": XXH3 of all this, 32 hexadecimal digits
namespace sm::io {

// Before the names of those tensors that are a replica's.
inline constexpr std::string_view kReplicaState = "shumai.replica.";

struct Checkpoint {
  uint64_t version = 0;  // updates
  RandomState random;
  Tensors tensors;  // share their storage: copy on write keeps their values
  FinishedTickets finished;
  std::string model;  // CheckpointOptions::model
};

// Writes to `path`, complete or not at all. Throws Error.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Throws Error: kNotFound when there is none, kProtocol for one that isn't whole.
Checkpoint read_checkpoint(const std::string& path);

// A directory of checkpoints. Files appear and go whole, so several threads may
// read; one writes.
class CheckpointDirectory {
 public:
  // Makes the directory when it is missing. Throws Error when that can't be done.
  CheckpointDirectory(std::string path, int keep);

  // The newest one that is whole. Says in `skipped` which newer ones aren't, and why.
  std::optional<Checkpoint> newest(std::vector<std::string>& skipped) const;

  // Writes one and removes those that are too many. Throws Error.
  void write(const Checkpoint& checkpoint) const;

  struct Entry {
    uint64_t version = 0;
    uint64_t bytes = 0;
    double time = 0;  // seconds since 1970
  };
  // Newest first, at most `most`. What is in them isn't looked at.
  std::vector<Entry> entries(size_t most) const;
  std::string path_of(uint64_t version) const;

 private:
  std::vector<std::string> files() const;  // newest first

  const std::string path_;
  const size_t keep_;
};

// A thread that reads and writes checkpoints, one after the other. Thread-safe.
class CheckpointThread {
 public:
  CheckpointThread();
  // Ends after what it was given.
  ~CheckpointThread();

  // `job` throws nothing.
  void run(std::function<void()> job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool ending_ = false;                     // guarded by mutex_
  std::thread thread_;
};

}  // namespace sm::io
