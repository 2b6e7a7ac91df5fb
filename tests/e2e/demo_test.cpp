#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "e2e/process.hpp"

namespace sm::e2e {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kEndless = {binary("digits_demo"), "--client", "cpp", "--steps", "1000000000"};

// 0 when the group has none of that name.
pid_t member_named(pid_t group, const std::string& name) {
  for (const std::string& member : members_of_group(group))
    if (member.ends_with(" " + name)) return static_cast<pid_t>(std::stol(member));
  return 0;
}

void wait_for_both(const Process& demo) {
  for (const char* name : {"digits_server", "digits_client"})
    ASSERT_TRUE(poll_until([&] { return member_named(demo.pid(), name) != 0; })) << name << ": " << demo.output();
}

TEST(Demo, EndsWithItsAccuracyAndLeavesNoProcess) {
  Process demo({binary("digits_demo"), "--client", "cpp", "--steps", "20"});
  EXPECT_EQ(demo.wait(), 0) << demo.output();
  EXPECT_THAT(members_of_group(demo.pid()), IsEmpty());
  const std::string line = demo.wait_for_line("^demo: ");
  EXPECT_TRUE(std::regex_match(line, std::regex("demo: accuracy [01]\\.[0-9]{2,} after 20 steps, [0-9]+ steps/s")))
      << line;
  EXPECT_TRUE(demo.output().ends_with(line + "\n")) << demo.output();
}

TEST(Demo, CtrlCInTheMiddleLeavesNoProcess) {
  Process demo(kEndless);
  demo.wait_for_line("^[0-9]+/1000000000 .*loss");
  demo.kill_group(SIGINT);
  EXPECT_EQ(demo.wait(), 128 + SIGINT) << demo.output();
  EXPECT_THAT(members_of_group(demo.pid()), IsEmpty());
}

TEST(Demo, CtrlCAtOnceLeavesNoProcess) {
  Process demo(kEndless);
  demo.kill_group(SIGINT);
  EXPECT_EQ(demo.wait(), 128 + SIGINT) << demo.output();
  EXPECT_THAT(members_of_group(demo.pid()), IsEmpty());
}

TEST(Demo, PassesASignalOfItsOwnOn) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Process demo(kEndless);
    wait_for_both(demo);
    demo.kill(signal);
    EXPECT_EQ(demo.wait(), 128 + signal) << demo.output();
    EXPECT_THAT(members_of_group(demo.pid()), IsEmpty());
  }
}

TEST(Demo, ItsProcessesEndWithItEvenWhenItIsKilled) {
  Process demo(kEndless);
  wait_for_both(demo);
  demo.kill(SIGKILL);
  EXPECT_EQ(demo.wait(), 128 + SIGKILL);
  EXPECT_TRUE(poll_until([&] { return members_of_group(demo.pid()).empty(); }, 10s));
}

TEST(Demo, SaysWhenTheServerEnds) {
  Process demo(kEndless);
  wait_for_both(demo);
  ::kill(member_named(demo.pid(), "digits_server"), SIGKILL);
  EXPECT_EQ(demo.wait(), 1);
  EXPECT_THAT(demo.output(), HasSubstr("the server ended early"));
  EXPECT_THAT(members_of_group(demo.pid()), IsEmpty());
}

TEST(Demo, ClientSaysWhenNobodyListens) {
  Process client({binary("digits_client"), "http://127.0.0.1:1"});
  EXPECT_EQ(client.wait(), 1);
  EXPECT_THAT(client.output(), HasSubstr("digits_client: "));
  EXPECT_THAT(client.output(), HasSubstr("127.0.0.1:1"));
}

TEST(Demo, RefusesArgumentsThatItDoesNotKnow) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"--steps", "many"}, {"--steps", "0"}, {"--steps"}, {"--speed", "1"}, {"--st", "1"}, {"more"}}) {
    std::vector<std::string> argv{binary("digits_demo")};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    Process demo(argv);
    EXPECT_EQ(demo.wait(), 2) << arguments[0];
    EXPECT_THAT(demo.output(), HasSubstr("usage: digits_demo [--client js|cpp] [--steps N]")) << arguments[0];
  }
}

}  // namespace
}  // namespace sm::e2e
