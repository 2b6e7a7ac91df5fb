#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/client.hpp"
#include "shumai/shumai.hpp"
#include "util/testing.hpp"

// What the tests of this layer share.
namespace sm::io::testing {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// One plain request, as a foreign client would send it.
inline http::Response send(const std::string& url, const std::string& method = "GET", const std::string& body = "",
                           const HeaderList& headers = {}) {
  http::Request request;
  request.method = method;
  request.body = http::copy_body(body);
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  for (const auto& [name, value] : headers) request.headers.set(name, value);
  const http::Client client;
  return run(client.send(http::Url::parse(url), std::move(request)));
}

inline http::Response post(const std::string& url, const std::string& json, const HeaderList& headers = {}) {
  return send(url, "POST", json, headers);
}

inline std::string text(const http::Response& response) { return std::string(http::body_text(response.body)); }

inline std::string detail_of(const http::Response& response) {
  return Json::parse(http::body_text(response.body))["detail"].as_string();
}

// The message of the Error that `action` throws; fails the test when it throws none or of another code.
inline std::string error_of(const std::function<void()>& action, ErrorCode code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

inline ServeOptions any_port() { return {.port = 0}; }

using util::testing::Directory;

// What this process writes to stderr while this object lives, to be read as it comes.
class CapturedLog {
 public:
  CapturedLog() : stderr_(::dup(STDERR_FILENO)) {
    const int file = ::open(path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ::dup2(file, STDERR_FILENO);
    ::close(file);
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() {
    ::dup2(stderr_, STDERR_FILENO);
    ::close(stderr_);
  }
  std::string text() const {
    std::ifstream file(path());
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  std::string path() const { return directory_.path() + "/log"; }

  Directory directory_;
  int stderr_;
};

// In memory where there is such a place: what is killed is a process, so nothing depends on the disk,
// and a step needn't wait for it.
inline std::filesystem::path fast_place() {
  const std::filesystem::path memory("/dev/shm");
  return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

// Whether `done` came to be true within a minute.
inline bool eventually(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace sm::io::testing
