#pragma once

namespace sm {

// Turns the recording of graphs on or off for its lifetime, on this thread;
// NoGrad's counterpart for the library itself.
class Recording {
 public:
  explicit Recording(bool on) noexcept;
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  bool before_;
};

}  // namespace sm
