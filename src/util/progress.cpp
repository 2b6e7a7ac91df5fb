#include "util/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace sm::util {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kRedraw{0.1};
constexpr Seconds kPlainLine{5};
constexpr int kWidestBar = 30;
constexpr int kNarrowestBar = 5;
constexpr int kDefaultColumns = 80;

bool stderr_is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) && kind && std::string_view(kind) != "dumb";
}

int stderr_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultColumns;
}

std::string duration_text(double seconds) {
  if (!(seconds < 360'000)) return "?";
  const int64_t whole = std::llround(seconds);
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  return hours ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest) : fmt::format("{}:{:02}", minutes, rest);
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), begins_character));
}

}  // namespace

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (!value || !*value) continue;
    std::string lower(value);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

Screen standard_error() {
  return {[](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
          [] { return std::chrono::steady_clock::now(); }, stderr_columns, stderr_is_terminal(), locale_is_utf8()};
}

std::string bar_of(double share, int columns, bool unicode) {
  static constexpr const char* kEighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
  const int parts = unicode ? 8 : 1;
  const int filled = static_cast<int>(std::clamp(share, 0.0, 1.0) * columns * parts);
  std::string bar;
  for (int i = 0; i < columns; ++i) {
    const int here = std::clamp(filled - i * parts, 0, parts);
    if (unicode)
      bar += kEighths[here];
    else
      bar += here ? '#' : '.';
  }
  return bar;
}

std::string fitted(std::string_view text, int columns) {
  std::string out;
  int used = 0;
  for (char byte : text) {
    if (begins_character(byte) && ++used > columns) break;
    out += static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f ? ' ' : byte;
  }
  return out;
}

Progress::Progress(int64_t total, std::function<std::string(int64_t)> text, Screen screen)
    : total_(total), text_(std::move(text)), screen_(std::move(screen)), start_(screen_.now()), drawn_(start_) {
  if (screen_.terminal) draw();
}

void Progress::advance() {
  ++done_;
  const auto since = screen_.now() - drawn_;
  if (done_ < total_ && since >= (screen_.terminal ? kRedraw : kPlainLine)) draw();
}

void Progress::end() {
  draw();
  if (screen_.terminal) screen_.write("\n");
}

std::string Progress::facts(double seconds) const {
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  const double time = done_ < total_ ? static_cast<double>(total_ - done_) / rate : seconds;
  std::string out = fmt::format("{}/{}", done_, total_);
  if (done_ > 0 && rate > 0) out += fmt::format(" {:.{}f}/s", rate, rate < 10 ? 2 : 0);
  if (done_ > 0 || total_ == 0) out += " " + duration_text(time) + (done_ < total_ ? " left" : "");
  if (text_ && done_ > 0) out += " " + text_(done_ - 1);
  return out;
}

std::string Progress::line(double seconds) const {
  // The last column stays free: some terminals wrap once it is written.
  const int columns = std::max(screen_.columns() - 1, 1);
  const double share = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
  const std::string percent = fmt::format("{:3.0f}% ", std::floor(100 * share));
  const std::string told = facts(seconds);
  const int room = columns - columns_of(percent) - columns_of(told) - 3;
  std::string bar;
  if (const int width = std::clamp(room, kNarrowestBar, kWidestBar); columns >= 20 + width)
    bar = "|" + bar_of(share, width, screen_.unicode) + "| ";
  return fitted(percent + bar + told, columns);
}

void Progress::draw() {
  drawn_ = screen_.now();
  const double seconds = Seconds(drawn_ - start_).count();
  // Written at once, so that lines of other threads don't come in between.
  if (screen_.terminal)
    screen_.write("\r" + line(seconds) + "\x1b[K");
  else
    screen_.write(fitted(facts(seconds), 1000) + "\n");
}

}  // namespace sm::util
