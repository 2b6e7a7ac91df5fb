#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "http/client.hpp"
#include "shumai/shumai.hpp"

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

}  // namespace sm::io::testing
