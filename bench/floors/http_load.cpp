// A client that costs little: one thread, epoll, one request at a time on each
// of its connections, all the same bytes. Prints one JSON line: requests a
// second, and quantiles of the time from a request to the end of its answer.
//
// http_load PORT [--connections N] [--idle N] [--seconds S] [--path /forward] [--elements N]
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Settings {
  int port = 0;
  size_t connections = 1;
  size_t idle = 0;  // further connections, open and silent
  double seconds = 1;
  std::string path = "/forward";
  size_t elements = 256;  // of float32
};

struct Connection {
  int fd = -1;
  Clock::time_point begin;
  size_t received = 0;
  size_t expected = 0;  // 0: the header hasn't come
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::string body_of(size_t elements) {
  std::string header = R"({"0":{"dtype":"F32","shape":[)" + std::to_string(elements) + R"(],"data_offsets":[0,)" +
                       std::to_string(elements * 4) + "]}}";
  header.append((64 - (8 + header.size()) % 64) % 64, ' ');
  const uint64_t length = header.size();
  std::string body(reinterpret_cast<const char*>(&length), sizeof length);
  body += header;
  const float value = 0.5f;
  for (size_t i = 0; i < elements; ++i) body.append(reinterpret_cast<const char*>(&value), sizeof value);
  return body;
}

std::string request_of(const Settings& settings) {
  const std::string body = body_of(settings.elements);
  return "POST " + settings.path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-safetensors\r\n" +
         "Accept: application/x-safetensors\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("http_load: connect");
  return fd;
}

void send_request(Connection& connection, const std::string& request) {
  connection.begin = Clock::now();
  connection.received = connection.expected = 0;
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t put = ::write(connection.fd, request.data() + sent, request.size() - sent);
    if (put <= 0) fail("http_load: write");
    sent += static_cast<size_t>(put);
  }
}

// True when the answer is complete.
bool receive(Connection& connection) {
  static char buffer[1 << 18];
  const ssize_t got = ::read(connection.fd, buffer, sizeof buffer);
  if (got <= 0) fail("http_load: the server closed");
  if (connection.expected == 0) {
    const std::string_view text(buffer, static_cast<size_t>(got));
    const size_t end = text.find("\r\n\r\n");
    const size_t at = text.find("Content-Length: ");
    if (end == std::string_view::npos || at == std::string_view::npos || !text.starts_with("HTTP/1.1 200")) {
      std::fprintf(stderr, "http_load: expected a 200 with a length, got %.*s\n", static_cast<int>(got), buffer);
      std::exit(1);
    }
    size_t length = 0;
    std::from_chars(text.data() + at + 16, text.data() + end, length);
    connection.expected = end + 4 + length;
  }
  connection.received += static_cast<size_t>(got);
  return connection.received >= connection.expected;
}

std::vector<Connection> open_all(const Settings& settings, int epoll) {
  std::vector<Connection> all(settings.connections);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].fd = connect_to(settings.port);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
  }
  return all;
}

std::vector<double> measure(const Settings& settings) {
  const std::string request = request_of(settings);
  const int epoll = ::epoll_create1(0);
  std::vector<Connection> all = open_all(settings, epoll);
  for (Connection& connection : all) send_request(connection, request);
  std::vector<double> times;
  times.reserve(1 << 20);
  epoll_event events[256];
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(settings.seconds));
  while (Clock::now() < end) {
    const int ready = ::epoll_wait(epoll, events, 256, 1000);
    for (int i = 0; i < ready; ++i) {
      Connection& connection = all[events[i].data.u64];
      if (!receive(connection)) continue;
      times.push_back(std::chrono::duration<double>(Clock::now() - connection.begin).count());
      send_request(connection, request);
    }
  }
  for (const Connection& connection : all) ::close(connection.fd);
  return times;
}

Settings read(int argc, char** argv) {
  Settings settings;
  if (argc > 1) settings.port = std::atoi(argv[1]);
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--connections") settings.connections = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--idle") settings.idle = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--seconds") settings.seconds = std::strtod(argv[i + 1], nullptr);
    if (name == "--path") settings.path = argv[i + 1];
    if (name == "--elements") settings.elements = std::strtoul(argv[i + 1], nullptr, 10);
  }
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = read(argc, argv);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  std::vector<int> idle;
  for (size_t i = 0; i < settings.idle; ++i) idle.push_back(connect_to(settings.port));
  std::vector<double> times = measure(settings);
  std::sort(times.begin(), times.end());
  const auto quantile = [&](double q) {
    return times.empty() ? 0 : times[static_cast<size_t>(q * (times.size() - 1))] * 1e6;
  };
  std::printf(R"({"requests_per_second": %.0f, "p50_us": %.1f, "p99_us": %.1f})"
              "\n",
              static_cast<double>(times.size()) / settings.seconds, quantile(0.5), quantile(0.99));
  return 0;
}
