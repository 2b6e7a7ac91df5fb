#pragma once

#include <condition_variable>
#include <cstdint>
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

// A directory of checkpoints. Not thread-safe.
class CheckpointDirectory {
 public:
  // Makes the directory when it is missing. Throws Error when that can't be done.
  CheckpointDirectory(std::string path, int keep);

  // The newest one that is whole. Says in `skipped` which newer ones aren't, and why.
  std::optional<Checkpoint> newest(std::vector<std::string>& skipped) const;

  // Writes one and removes those that are too many. Throws Error.
  void write(const Checkpoint& checkpoint) const;

 private:
  std::vector<std::string> files() const;  // newest first

  const std::string path_;
  const size_t keep_;
};

// Writes checkpoints one after the other on a thread of its own. Thread-safe.
class CheckpointWriter {
 public:
  // Told on that thread how each write ended; the message is empty when it went well.
  using Done = std::function<void(std::string failure)>;

  explicit CheckpointWriter(CheckpointDirectory directory);
  // Ends after what is being written.
  ~CheckpointWriter();

  // Only when the one before is done.
  void write(Checkpoint checkpoint, Done done);

 private:
  struct Job {
    Checkpoint checkpoint;
    Done done;
  };
  void run();

  const CheckpointDirectory directory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_;  // guarded by mutex_
  bool ending_ = false;     // guarded by mutex_
  std::thread thread_;
};

}  // namespace sm::io
