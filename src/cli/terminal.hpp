#pragma once

#include <termios.h>

#include <chrono>
#include <string>
#include <vector>

namespace sm::cli {

// The terminal for itself while it lives: another screen, keys as they are
// typed, no cursor. Signals that end the process leave it as it was.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Both ends are a terminal.
  static bool available();

  // As much of the lines as fits.
  void draw(const std::vector<std::string>& lines) const;
  // The next key; 0 when none came in time, or the size of the terminal changed.
  char wait_for_key(std::chrono::milliseconds time) const;

 private:
  termios before_;
};

}  // namespace sm::cli
