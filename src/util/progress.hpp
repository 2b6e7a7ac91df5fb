#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace sm::util {

// Where progress is shown.
struct Screen {
  std::function<void(std::string_view)> write;
  std::function<std::chrono::steady_clock::time_point()> now;
  std::function<int()> columns;
  bool terminal = false;  // lines can be written over
  bool unicode = false;   // it shows block characters
};

// Standard error, as the environment describes it.
Screen standard_error();

// A line that tells how far something is. On a terminal it is redrawn at most
// ten times a second and never wraps; elsewhere a new line comes at most every
// five seconds, and a last one at the end. For one thread.
class Progress {
 public:
  // `text` gets the number of the step that ended last, from 0. It may be empty.
  Progress(int64_t total, std::function<std::string(int64_t step)> text, Screen screen);

  // One step is done.
  void advance();
  // Draws once more and leaves the line. Without it the line stays open.
  void end();

 private:
  std::string facts(double seconds) const;
  std::string line(double seconds) const;
  void draw();

  int64_t total_;
  int64_t done_ = 0;
  std::function<std::string(int64_t)> text_;
  Screen screen_;
  std::chrono::steady_clock::time_point start_, drawn_;
};

// Whether the environment's locale has block characters.
bool locale_is_utf8();

// `share` (0 to 1) of `columns` cells filled: in eighths with unicode, else with '#'.
std::string bar_of(double share, int columns, bool unicode);

// The first `columns` characters of UTF-8 `text`, without control characters.
std::string fitted(std::string_view text, int columns);

}  // namespace sm::util
