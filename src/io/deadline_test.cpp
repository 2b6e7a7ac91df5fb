#include "io/deadline.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sm::io {
namespace {

using std::chrono::milliseconds;

struct Pair {
  Pair() { ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends); }
  ~Pair() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  // Waits for that.
  bool is_shut_down() const {
    char byte;
    return ::recv(ends[0], &byte, 1, 0) == 0;
  }
  int ends[2];
};

TEST(Deadline, AnEarlierOneComesFirstThoughItWasMadeLater) {
  const Pair sockets;
  const Deadline late(Clock::now() + std::chrono::hours(1));
  Deadline soon(Clock::now() + milliseconds(20));
  soon.watch(sockets.ends[1]);
  EXPECT_TRUE(sockets.is_shut_down());
  EXPECT_TRUE(soon.passed());
  EXPECT_FALSE(late.passed());
}

TEST(Deadline, ALaterOneComesThoughTheEarlierIsOver) {
  const Pair sockets;
  { const Deadline over(Clock::now() + milliseconds(5)); }
  Deadline next(Clock::now() + milliseconds(30));
  next.watch(sockets.ends[1]);
  EXPECT_TRUE(sockets.is_shut_down());
}

TEST(Deadline, OneThatHasPassedShutsDownWhatItIsGivenToWatch) {
  const Pair first, second;
  Deadline deadline(Clock::now());
  deadline.watch(first.ends[1]);
  EXPECT_TRUE(first.is_shut_down());
  deadline.watch(second.ends[1]);
  EXPECT_TRUE(second.is_shut_down());
}

TEST(Deadline, OneThatIsReleasedLeavesTheSocketAlone) {
  const Pair released, watched;
  Deadline early(Clock::now() + milliseconds(5)), late(Clock::now() + milliseconds(20));
  early.watch(released.ends[1]);
  early.release();
  late.watch(watched.ends[1]);
  EXPECT_TRUE(watched.is_shut_down());
  EXPECT_TRUE(early.passed());
  EXPECT_EQ(::send(released.ends[1], "x", 1, MSG_NOSIGNAL), 1);
}

}  // namespace
}  // namespace sm::io
