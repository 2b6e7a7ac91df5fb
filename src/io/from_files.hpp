#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shumai/error.hpp"
#include "util/log.hpp"

namespace sm::io {

// What tells whether a file is another one now; all zero when there is none.
struct FileStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t seconds = 0, nanoseconds = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;

  static FileStamp of(const std::string& path) noexcept;
};

// Something made of files, made anew when they change. A change counts once
// the files stay the same from one look to the next, so that a pair that is
// being replaced isn't read half. What can't be made is logged, and what was
// made before stays. Thread-safe.
template <class T>
class FromFiles {
 public:
  using Clock = std::chrono::steady_clock;

  // `make` throws Error for files that it can't use; the first one goes to the caller.
  FromFiles(std::vector<std::string> files, std::function<std::shared_ptr<T>()> make,
            std::chrono::milliseconds check_every)
      : files_(std::move(files)), make_(std::move(make)), check_every_(check_every) {
    loaded_ = seen_ = look();
    value_ = make_();
    next_look_ = Clock::now() + check_every_;
  }

  std::shared_ptr<T> get() {
    const std::lock_guard lock(mutex_);
    check();
    return value_;
  }
  uint64_t reloads() {
    const std::lock_guard lock(mutex_);
    return reloads_;
  }
  // Of the last try; empty when what the files hold is in use.
  std::string failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  using Stamps = std::vector<FileStamp>;

  Stamps look() const {
    Stamps stamps;
    for (const std::string& file : files_) stamps.push_back(FileStamp::of(file));
    return stamps;
  }

  void check() {
    const Clock::time_point now = Clock::now();
    if (files_.empty() || now < next_look_) return;
    next_look_ = now + check_every_;
    Stamps stamps = look();
    const bool settled = stamps == seen_;
    seen_ = stamps;
    if (!settled || stamps == loaded_) return;
    loaded_ = std::move(stamps);
    try {
      value_ = make_();
      ++reloads_;
      failure_.clear();
      util::log_info("tls: " + files_.front() + " has changed and is in use now");
    } catch (const Error& error) {
      failure_ = error.what();
      util::log_error(failure_ + "; what was loaded before stays in use");
    }
  }

  const std::vector<std::string> files_;
  const std::function<std::shared_ptr<T>()> make_;
  const std::chrono::milliseconds check_every_;
  std::mutex mutex_;
  // Guarded by mutex_:
  Clock::time_point next_look_;
  Stamps loaded_, seen_;
  std::shared_ptr<T> value_;
  uint64_t reloads_ = 0;
  std::string failure_;
};

}  // namespace sm::io
