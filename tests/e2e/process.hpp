#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// Real processes for end-to-end tests.
namespace sm::e2e {

using namespace std::chrono_literals;

// Generous: a sanitized build on a busy machine is slow, and a test that
// passes never waits this long.
inline constexpr std::chrono::seconds kPatience{120};

// The path of a program that the build put beside the running test.
inline std::string binary(std::string_view name) {
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
  if (!std::filesystem::exists(path)) throw std::runtime_error("no program at '" + path.string() + "', build it first");
  return path.string();
}

// Asks again and again, a few milliseconds apart, until `done` or the deadline.
template <class F>
bool poll_until(F done, std::chrono::milliseconds patience = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

// "PID NAME" of each process of a group that hasn't ended. Zombies have.
inline std::vector<std::string> members_of_group(pid_t group) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    // "PID (NAME) STATE PARENT GROUP ...", where the name may hold anything.
    const size_t open = stat.find('('), close = stat.rfind(')');
    char state = 0;
    long parent = 0, its_group = 0;
    if (close == std::string::npos ||
        std::sscanf(stat.c_str() + close + 1, " %c %ld %ld", &state, &parent, &its_group) != 3)
      continue;
    if (its_group == group && state != 'Z' && state != 'X')
      found.push_back(pid + " " + stat.substr(open + 1, close - open - 1));
  }
  return found;
}

// A program that runs in a process group of its own, whose number is pid().
// Its stdin is empty; its stdout and stderr are read as they come, as one
// text. The destructor kills the whole group and waits for the program, and
// the program is killed when the thread that made it ends: a test that fails
// leaves nothing behind.
//
// Functions that wait throw std::runtime_error with the output so far when
// their time is over. Use it from one thread.
class Process {
 public:
  explicit Process(std::vector<std::string> argv) : name_(argv.at(0)) {
    int ends[2];
    // Unlike a pipe, a socket can be shut from our side while a stray child still holds the other.
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair failed");
    std::vector<char*> arguments;
    for (std::string& argument : argv) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) run_program(arguments.data(), ends[1], parent);
    close(ends[1]);
    socket_ = ends[0];
    if (pid_ < 0) {
      close(socket_);
      throw std::runtime_error("fork failed");
    }
    setpgid(pid_, pid_);  // here too: whoever comes first, the group exists from now on
    reader_ = std::thread([this] { read_all(); });
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    ::kill(-pid_, SIGKILL);
    if (!status_) {
      int status = 0;
      waitpid(pid_, &status, 0);
    }
    shutdown(socket_, SHUT_RDWR);
    reader_.join();
    close(socket_);
  }

  pid_t pid() const { return pid_; }

  // To the program alone; kill_group() is what a terminal's Ctrl-C does.
  void kill(int signal) const {
    if (!status_) ::kill(pid_, signal);
  }
  void kill_group(int signal) const { ::kill(-pid_, signal); }

  bool running() { return !try_wait(); }

  // The exit status, as a shell counts: 128 + N after signal N.
  int wait(std::chrono::milliseconds patience = kPatience) {
    if (!poll_until([this] { return try_wait(); }, patience)) fail("is still running");
    // What it wrote last may still be on its way; a child that outlived it may never close its end.
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, 1s, [this] { return ended_; });
    return WIFSIGNALED(*status_) ? 128 + WTERMSIG(*status_) : WEXITSTATUS(*status_);
  }

  // The next line in which `pattern` is found, after the one that the last
  // call returned. Carriage returns end lines too, as a progress bar's do.
  std::string wait_for_line(const std::string& pattern, std::chrono::milliseconds patience = kPatience) {
    const std::regex wanted(pattern);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::unique_lock lock(mutex_);
    while (true) {
      while (std::optional<std::string> line = next_line())
        if (std::regex_search(*line, wanted)) return *line;
      const bool over = ended_;
      if (over || more_.wait_until(lock, deadline) == std::cv_status::timeout) {
        lock.unlock();
        fail((over ? "ended without a line like \"" : "wrote no line like \"") + pattern + "\"");
      }
    }
  }

  // All that it has written until now.
  std::string output() const {
    const std::lock_guard lock(mutex_);
    return output_;
  }

 private:
  [[noreturn]] static void run_program(char** arguments, int output, pid_t parent) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    const int input = open("/dev/null", O_RDONLY);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execv(arguments[0], arguments);
    _exit(127);
  }

  void read_all() {
    char bytes[4096];
    ssize_t count;
    while ((count = read(socket_, bytes, sizeof bytes)) > 0) {
      const std::lock_guard lock(mutex_);
      output_.append(bytes, static_cast<size_t>(count));
      more_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
    more_.notify_all();
  }

  std::optional<std::string> next_line() {
    const size_t end = output_.find_first_of("\r\n", seen_);
    if (end == std::string::npos) {
      if (!ended_ || seen_ == output_.size()) return std::nullopt;
      return output_.substr(std::exchange(seen_, output_.size()));
    }
    const size_t start = std::exchange(seen_, end + 1);
    return output_.substr(start, end - start);
  }

  bool try_wait() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return status_.has_value();
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error("'" + name_ + "' " + what + "; its output: " + output());
  }

  std::string name_;
  pid_t pid_ = -1;
  int socket_ = -1;
  std::optional<int> status_;
  std::thread reader_;
  mutable std::mutex mutex_;
  std::condition_variable more_;
  // Guarded by mutex_:
  std::string output_;
  size_t seen_ = 0;
  bool ended_ = false;
};

}  // namespace sm::e2e
