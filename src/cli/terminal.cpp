#include "cli/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "util/progress.hpp"

namespace sm::cli {
namespace {

constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";
constexpr const char* kLeave = "\x1b[?25h\x1b[?1049l";
constexpr const char* kHome = "\x1b[H";
constexpr const char* kClearLine = "\x1b[K";
constexpr const char* kClearBelow = "\x1b[J";

volatile std::sig_atomic_t ending = 0;

void set_handler(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;  // without SA_RESTART: poll returns
  sigaction(signal, &action, nullptr);
}

void write_out(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

bool Terminal::available() { return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO); }

Terminal::Terminal() {
  tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) set_handler(signal, [](int) { ending = 1; });
  set_handler(SIGWINCH, [](int) {});
  write_out(kEnter);
}

Terminal::~Terminal() {
  write_out(kLeave);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Terminal::draw(const std::vector<std::string>& lines) const {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size = {24, 80, 0, 0};
  std::string out = kHome;
  for (size_t i = 0; i < lines.size() && i < size.ws_row; ++i)
    out += (i ? "\r\n" : "") + util::fitted(lines[i], size.ws_col) + kClearLine;
  write_out(out + kClearBelow);
}

char Terminal::wait_for_key(std::chrono::milliseconds time) const {
  if (ending) return 'q';
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  char key = 0;
  const int ready = poll(&input, 1, static_cast<int>(time.count()));
  if (ending) return 'q';
  if (ready <= 0) return 0;
  // The terminal is gone.
  return read(STDIN_FILENO, &key, 1) == 1 ? key : 'q';
}

}  // namespace sm::cli
