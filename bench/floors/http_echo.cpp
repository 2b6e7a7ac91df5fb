// What one thread without a framework reaches: epoll, one read and one write a
// request, the body sent back as it came. Prints the port that it listens on.
//
// http_echo [PORT]
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Connection {
  std::string input;
  std::string output;
  size_t sent = 0;
  bool waits = false;  // until the output can go on
};

size_t length_of(std::string_view head) {
  constexpr std::string_view kName = "Content-Length: ";
  const size_t at = head.find(kName);
  size_t length = 0;
  if (at != std::string_view::npos) std::from_chars(head.data() + at + kName.size(), head.data() + head.size(), length);
  return length;
}

// Moves each complete request from the input to the output.
void answer(Connection& connection) {
  std::string_view rest = connection.input;
  for (;;) {
    const size_t end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) break;
    const size_t length = length_of(rest.substr(0, end + 2));
    if (rest.size() < end + 4 + length) break;
    connection.output += "HTTP/1.1 200 OK\r\nContent-Type: application/x-safetensors\r\nContent-Length: ";
    connection.output += std::to_string(length);
    connection.output += "\r\n\r\n";
    connection.output += rest.substr(end + 4, length);
    rest.remove_prefix(end + 4 + length);
  }
  connection.input.erase(0, connection.input.size() - rest.size());
}

bool read_some(int fd, Connection& connection) {
  static char buffer[1 << 16];
  const ssize_t got = ::read(fd, buffer, sizeof buffer);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  connection.input.append(buffer, static_cast<size_t>(got));
  return true;
}

bool write_all(int fd, Connection& connection) {
  while (connection.sent < connection.output.size()) {
    const ssize_t put =
        ::write(fd, connection.output.data() + connection.sent, connection.output.size() - connection.sent);
    if (put < 0) return errno == EAGAIN;
    connection.sent += static_cast<size_t>(put);
  }
  connection.output.clear();
  connection.sent = 0;
  return true;
}

int listen_on(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    std::perror("http_echo");
    std::exit(1);
  }
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void serve(int epoll, int fd, std::vector<Connection>& connections) {
  Connection& connection = connections[static_cast<size_t>(fd)];
  bool open = read_some(fd, connection);
  if (open) {
    answer(connection);
    open = write_all(fd, connection);
  }
  if (open) {
    if (connection.output.empty() == !connection.waits) return;
    connection.waits = !connection.waits;
    epoll_event event{};
    event.events = connection.waits ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    return;
  }
  ::close(fd);
  connection = Connection();
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = listen_on(argc > 1 ? std::atoi(argv[1]) : 0);
  const int epoll = ::epoll_create1(0);
  watch(epoll, listener);
  std::vector<Connection> connections;
  epoll_event events[256];
  for (;;) {
    const int ready = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd != listener) {
        serve(epoll, fd, connections);
        continue;
      }
      const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
      if (accepted < 0) continue;
      const int on = 1;
      ::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (connections.size() <= static_cast<size_t>(accepted)) connections.resize(static_cast<size_t>(accepted) + 1);
      watch(epoll, accepted);
    }
  }
}
