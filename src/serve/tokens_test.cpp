#include "serve/tokens.hpp"

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>

#include "shumai/error.hpp"

namespace sm::io {
namespace {

std::string secret_of(int i) { return "secret-number-" + std::to_string(1000 + i); }

TokenSet many_tokens() {
  TokenSet tokens;
  for (int i = 0; i < 20; ++i) tokens.add({"token" + std::to_string(i), secret_of(i)});
  return tokens;
}

TEST(Tokens, AreFoundByTheirWholeSecret) {
  const TokenSet tokens = many_tokens();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(tokens.find(secret_of(i)), &tokens.entries()[static_cast<size_t>(i)]);
  for (const std::string& guess : {std::string(), secret_of(0).substr(1), secret_of(0) + "0", std::string("token0")})
    EXPECT_EQ(tokens.find(guess), nullptr) << guess;
  EXPECT_EQ(TokenSet().find(""), nullptr);
}

TEST(Tokens, OnlyHashesOfSecretsAreKept) {
  TokenSet tokens;
  tokens.add({"a", "a-secret-0123456789"});
  const TokenSet::Digest expected = TokenSet::digest_of("a-secret-0123456789");
  EXPECT_EQ(tokens.entries()[0].digest, expected);
  EXPECT_EQ(expected[0], 0x68);  // of sha256sum
  std::string secret(100, 'x');
  const char* const memory = secret.data();
  wipe(secret);
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(std::string_view(memory, 100), std::string(100, '\0'));
}

// How many instructions `action` takes, counted by stepping a child process
// through them; nothing where processes may not do that.
std::optional<long> instructions(const std::function<void()>& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    action();  // so that the second time finds everything linked and cached
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    ::raise(SIGUSR1);
    action();
    ::raise(SIGUSR2);
    ::_exit(0);
  }
  int status = 0;
  long steps = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSTOPPED(status)) return std::nullopt;
  while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGUSR2) {
    if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    ::waitpid(child, &status, 0);
    ++steps;
  }
  const bool counted = WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR2;
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  if (!counted) return std::nullopt;
  return steps;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SHUMAI_INSTRUMENTED
#endif
#endif

TEST(Tokens, AGuessTakesAsManyInstructionsHoweverNearItIs) {
#ifdef SHUMAI_INSTRUMENTED
  GTEST_SKIP() << "the instructions aren't ours";
#endif
  const TokenSet tokens = many_tokens();
  TokenSet::Digest far{}, near = tokens.entries()[7].digest;
  far[0] = static_cast<unsigned char>(near[0] ^ 1);
  near[31] ^= 1;
  const auto count = [&](const TokenSet::Digest& digest) {
    volatile size_t place = 0;
    return instructions([&] { place = tokens.place_of(digest); });
  };
  const std::optional<long> expected = count(far);
  if (!expected) GTEST_SKIP() << "no ptrace here";
  // 20 comparisons of 32 bytes: an early exit would show.
  EXPECT_GT(*expected, 20 * 32);
  EXPECT_EQ(count(near), expected);
  EXPECT_EQ(count(tokens.entries()[0].digest), expected);
  EXPECT_EQ(count(tokens.entries()[7].digest), expected);
  EXPECT_EQ(count(tokens.entries()[19].digest), expected);
}

TEST(Tokens, AFileHasOneALine) {
  TokenSet tokens;
  add_tokens(tokens, "#c\n a   first-secret-01#45 \t\r\n\n\tb second-secret-012345 /x,y #z\nc third-secret-0123456");
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens.find("first-secret-01#45")->name, "a");
  EXPECT_EQ(tokens.find("second-secret-012345")->routes, (std::vector<std::string>{"x", "y"}));
  EXPECT_TRUE(tokens.find("third-secret-0123456")->opens("anything"));
}

}  // namespace
}  // namespace sm::io
