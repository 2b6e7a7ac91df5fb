#include "replicate/rendezvous.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "e2e/process.hpp"
#include "replicate/presence.hpp"
#include "shumai/error.hpp"
#include "util/testing.hpp"

namespace sm::replicate {
namespace {

using namespace std::chrono_literals;
using ::testing::UnorderedElementsAre;

// What every place has to do.
void check_place(const std::function<std::unique_ptr<Rendezvous>(const std::string& group)>& open) {
  const auto place = open("one"), same = open("one"), other = open("two");
  EXPECT_EQ(place->get("members/a"), std::nullopt);
  EXPECT_TRUE(place->list("members").empty());
  place->put("members/a", "first");
  place->put("members/a", std::string_view("sec\0nd", 6));
  place->put("members/b", "");
  EXPECT_EQ(same->get("members/a"), std::string("sec\0nd", 6));
  EXPECT_EQ(same->get("members/b"), "");
  EXPECT_EQ(other->get("members/a"), std::nullopt);
  place->put("formings/1", "x");
  place->put("addresses/1/0", "y");
  place->put("addresses/1/1", "z");
  EXPECT_THAT(same->list("members"), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(same->list("addresses/1"), UnorderedElementsAre("0", "1"));
  same->remove("addresses/1");
  EXPECT_EQ(place->get("addresses/1/1"), std::nullopt);
  EXPECT_TRUE(place->list("addresses/1").empty());
  same->remove("members/a");
  same->remove("members/never");
  EXPECT_THAT(place->list("members"), UnorderedElementsAre("b"));
  EXPECT_EQ(place->get("formings/1"), "x");
  // Of many that write a new name at once, one does.
  std::atomic<int> first{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] { first += open("one")->put_new("formings/2", std::to_string(i)) ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(first, 1);
  EXPECT_FALSE(place->put_new("formings/2", "late"));
  EXPECT_NE(place->get("formings/2"), "late");
}

TEST(Rendezvous, AFolder) {
  const util::testing::Directory folder;
  check_place([&](const std::string& group) { return open_rendezvous(folder.path("shared"), group, 1s); });
}

TEST(Rendezvous, AFolderThatCantBeMade) {
  const util::testing::Directory folder;
  std::ofstream(folder.path("file")) << "no folder";
  try {
    open_rendezvous(folder.path("file"), "group", 1s);
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConnection);
    EXPECT_THAT(error.what(), ::testing::HasSubstr(folder.path("file")));
  }
}

// Redis on a free port, which it says.
class Redis {
 public:
  explicit Redis(int port) : port_(port) {
    process_ = std::make_unique<e2e::Process>(std::vector<std::string>{
        "/usr/bin/redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1", "--save", "", "--appendonly",
        "no", "--requirepass", "sesame", "--dir", folder_.path()});
    process_->wait_for_line("Ready to accept connections");
  }
  std::string url(const std::string& password = "sesame") const {
    return "redis://:" + password + "@127.0.0.1:" + std::to_string(port_) + "/3";
  }

 private:
  const int port_;
  const util::testing::Directory folder_;
  std::unique_ptr<e2e::Process> process_;
};

TEST(Rendezvous, Redis) {
  const int port = Presence("127.0.0.1", "").port();
  std::optional<Redis> redis(port);
  check_place([&](const std::string& group) { return open_rendezvous(redis->url(), group, 1s); });
  const auto code_of = [](const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  const auto wrong = open_rendezvous(redis->url("simsalabim"), "one", 1s);
  EXPECT_EQ(code_of([&] { wrong->put("members/a", "x"); }), ErrorCode::kConnection);
  // Gone, and back.
  const auto place = open_rendezvous(redis->url(), "one", 1s);
  place->put("members/a", "x");
  redis.reset();
  EXPECT_EQ(code_of([&] { place->get("members/a"); }), ErrorCode::kConnection);
  redis.emplace(port);
  EXPECT_EQ(place->get("members/a"), std::nullopt);
  place->put("members/a", "y");
  EXPECT_EQ(place->get("members/a"), "y");
}

TEST(Rendezvous, PlacesAreChecked) {
  for (const char* where :
       {"", "redis://", "redis://:6379", "redis://host:port", "redis://host:70000", "redis://host/x", "http://host"})
    EXPECT_THROW(open_rendezvous(where, "group", 1s), Error) << where;
  for (const char* group : {"", "a/b", "..", ".hidden", "a b"})
    EXPECT_THROW(open_rendezvous("/tmp", group, 1s), Error) << group;
}

}  // namespace
}  // namespace sm::replicate
