// Starts the model's server and a client that trains it, in JavaScript with a
// feed of digits or in C++, as processes of their own; waits for the client,
// stops the servers, and ends with the client's status. Whatever happens to
// it, even kill -9, all end with it.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/arguments.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kGrace{5000};
constexpr int64_t kSteps = 5000;

// SIGCHLD and the signals that ask to stop, taken one by one from a file
// descriptor instead of by handlers.
class Signals {
 public:
  Signals() {
    sigset_t taken;
    sigemptyset(&taken);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&taken, signal);
    sigprocmask(SIG_BLOCK, &taken, &before_);
    descriptor_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor_ < 0) throw std::runtime_error("signalfd failed");
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() { close(descriptor_); }

  // Returns as soon as a signal is there, `input` can be read, or the deadline has passed.
  void wait(Clock::time_point deadline, int input = -1) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd events[] = {{descriptor_, POLLIN, 0}, {input, POLLIN, 0}};
    poll(events, 2, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    signalfd_siginfo info;
    while (read(descriptor_, &info, sizeof info) == sizeof info)
      if (info.ssi_signo != SIGCHLD && stop_ == 0) stop_ = static_cast<int>(info.ssi_signo);
  }
  // The first signal that asked to stop; 0 while none did.
  int stop() const { return stop_; }
  void restore() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
  int descriptor_;
  int stop_ = 0;
};

std::filesystem::path own_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

// The path of a program beside this one.
std::string beside(const std::string& name) { return (own_folder() / name).string(); }

// A program, found along PATH unless named by a path. It dies with this process.
class Child {
 public:
  // `output`, when not -1, becomes its stdout.
  Child(const Signals& signals, std::vector<std::string> command, int output = -1) {
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("can't start " + command[0]);
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);  // it died before prctl
    signals.restore();
    if (output >= 0) dup2(output, STDOUT_FILENO);
    execvp(argv[0], argv.data());
    std::fprintf(stderr, "digits_demo: can't run '%s'\n", argv[0]);
    _exit(127);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (ended()) return;
    kill(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  void kill(int signal) {
    if (!ended()) ::kill(pid_, signal);
  }
  // Its status as a shell counts, 128 + N after signal N; nothing while it runs.
  std::optional<int> ended() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_)
      status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return status_;
  }
  // Asks it to end, and waits, but not for ever.
  void stop(Signals& signals) {
    kill(SIGTERM);
    const auto deadline = Clock::now() + kGrace;
    while (!ended() && Clock::now() < deadline) signals.wait(deadline);
  }

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// The URL in the server's first line; empty when it ended, or was told to, before it wrote one.
std::string read_url(Signals& signals, int output) {
  std::string line;
  while (signals.stop() == 0) {
    char byte = 0;
    const ssize_t count = read(output, &byte, 1);
    if (count == 1 && byte == '\n') return line.substr(std::min(line.find("http"), line.size()));
    if (count == 1)
      line += byte;
    else if (count == 0)
      break;
    else if (errno == EAGAIN)
      signals.wait(Clock::now() + kGrace, output);
  }
  return "";
}

// A program that prints the URL that it serves on.
struct Service {
  Service(Signals& signals, const std::string& program, const std::string& seed)
      : Service(signals, program, seed, Pipe()) {}

  Child child;
  std::string url;  // empty when a signal came first

 private:
  struct Pipe {
    Pipe() {
      if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("pipe2 failed");
    }
    int ends[2];
  };

  Service(Signals& signals, const std::string& program, const std::string& seed, Pipe pipe)
      : child(signals, {beside(program), "--port", "0", "--seed", seed}, pipe.ends[1]) {
    close(pipe.ends[1]);
    url = read_url(signals, pipe.ends[0]);
    if (url.empty() && signals.stop() == 0) throw std::runtime_error(program + " ended before it listened");
  }
};

// What runs the JavaScript client: the addon of this build, when there is one beside it.
std::vector<std::string> script_client() {
  const std::filesystem::path addon = own_folder().parent_path() / "js" / "shumai.node";
  if (std::filesystem::exists(addon)) setenv("SHUMAI_ADDON", addon.c_str(), 0);
  return {"node", DIGITS_SOURCE_DIR "/client.js"};
}

int run(const Arguments& arguments) {
  const std::string seed = std::to_string(arguments.number("--seed", 1, 0, INT64_MAX));
  const std::string steps = std::to_string(arguments.number("--steps", kSteps, 1, INT64_MAX));
  const bool script = arguments.choice("--client", {"js", "cpp"}) == "js";
  Signals signals;
  Service server(signals, "digits_server", seed);
  if (signals.stop()) return 128 + signals.stop();
  std::optional<Service> feed;
  if (script) feed.emplace(signals, "digits_feed", seed);
  if (signals.stop()) return 128 + signals.stop();

  std::vector<std::string> command = script ? script_client() : std::vector<std::string>{beside("digits_client")};
  command.push_back(server.url);
  if (script) command.push_back(feed->url);
  command.insert(command.end(), {"--steps", steps});
  if (!script) command.insert(command.end(), {"--seed", seed});
  Child client(signals, command);
  while (!client.ended() && !server.child.ended() && signals.stop() == 0) signals.wait(Clock::now() + kGrace);
  if (signals.stop()) {
    client.stop(signals);
    if (isatty(STDERR_FILENO)) std::fputc('\n', stderr);  // the bar's line is unfinished
  } else if (!client.ended()) {
    std::fprintf(stderr, "digits_demo: the server ended early\n");
  }
  if (feed) feed->child.stop(signals);
  server.child.stop(signals);
  if (signals.stop()) return 128 + signals.stop();
  return client.ended().value_or(1);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv, "digits_demo [--client js|cpp] [--steps N] [--seed N]");
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "digits_demo: %s\n", error.what());
    return 1;
  }
}
