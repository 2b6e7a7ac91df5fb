#include "http/url.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

struct Row {
  const char* text;
  const char* origin;
  const char* target;
  const char* host_header;
};

TEST(Url, Parses) {
  const Row rows[] = {
      {"localhost:3000/forward", "http://localhost:3000", "/forward", "localhost:3000"},
      {"localhost", "http://localhost:80", "/", "localhost"},
      {"example.com/a?b=c", "http://example.com:80", "/a?b=c", "example.com"},
      {"HTTP://Example.COM:80", "http://example.com:80", "/", "example.com"},
      {"https://host/x", "https://host:443", "/x", "host"},
      {"https://host:80/", "https://host:80", "/", "host:80"},
      {"host:/x", "http://host:80", "/x", "host"},
      {"host?q=http://other", "http://host:80", "/?q=http://other", "host"},
      {"host/x#part", "http://host:80", "/x", "host"},
      {"[::1]:3000/f", "http://[::1]:3000", "/f", "[::1]:3000"},
      {"http://[0:0:0:0:0:0:0:1]", "http://[::1]:80", "/", "[::1]"},
      {"unix:/run/a.sock", "unix:/run/a.sock", "/", "localhost"},
      {"unix:/run/a.sock:", "unix:/run/a.sock", "/", "localhost"},
      {"unix:/run/a.sock:/forward?x", "unix:/run/a.sock", "/forward?x", "localhost"},
      {"unix:a:b.sock:/f", "unix:a:b.sock", "/f", "localhost"},
  };
  for (const Row& row : rows) {
    const Url url = Url::parse(row.text);
    EXPECT_EQ(url.origin(), row.origin) << row.text;
    EXPECT_EQ(url.target, row.target) << row.text;
    EXPECT_EQ(url.host_header(), row.host_header) << row.text;
    EXPECT_EQ(Url::parse(url.to_string()).to_string(), url.to_string()) << row.text;
  }
}

TEST(Url, RefusesWithTheReason) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "empty"},
      {"ftp://host/x", "expected http, https or unix, got 'ftp'"},
      {"http://", "host is missing"},
      {":3000", "host is missing"},
      {"host:0", "port from 1 to 65535, got '0'"},
      {"host:65536/x", "got '65536'"},
      {"host:8o", "got '8o'"},
      {"host:-1", "got '-1'"},
      {"::1", "brackets"},
      {"[::1", "']' is missing"},
      {"[::g]", "isn't an IPv6 address"},
      {"[::1]3000", "expected ':'"},
      {"user:secret@host", "token"},
      {"ho st/", "isn't a host name"},
      {"host/a b", "percent-encode"},
      {"host/a\r\nEvil: 1", "percent-encode"},
      {"unix:", "path is missing"},
      {"unix::/forward", "path is missing"},
  };
  for (const auto& [text, reason] : rows) {
    try {
      Url::parse(text);
      ADD_FAILURE() << text << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_THAT(error.what(), ::testing::HasSubstr(reason));
    }
  }
}

TEST(Url, ARouteOfAServerFollowsItsAddress) {
  EXPECT_EQ(route_url("localhost:3000", "forward"), "localhost:3000/forward");
  EXPECT_EQ(route_url("http://h/models/a", "forward"), "http://h/models/a/forward");
  EXPECT_EQ(route_url("unix:/run/a.sock", "forward"), "unix:/run/a.sock:/forward");
  EXPECT_EQ(route_url("unix:/run/a.sock:", "forward"), "unix:/run/a.sock:/forward");
  EXPECT_EQ(route_url("unix:/run/a.sock:/models/a", "forward"), "unix:/run/a.sock:/models/a/forward");
}

}  // namespace
}  // namespace sm::http
