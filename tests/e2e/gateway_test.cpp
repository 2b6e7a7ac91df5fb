#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "e2e/foreign.hpp"
#include "e2e/training.hpp"
#include "io/testing.hpp"

// Training through the gateways that deploy/ configures, with TLS, kept
// connections and retries, while the server behind them is killed.
namespace sm::e2e {
namespace {

constexpr int kKills = 5;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// One of deploy/'s files as a test can run it.
std::string configured(const std::string& name, const std::vector<std::pair<std::string, std::string>>& changes) {
  std::string text = text_of(std::string(SHUMAI_SOURCE_DIR) + "/deploy/" + name);
  for (const auto& [from, to] : changes) {
    EXPECT_NE(text.find(from), std::string::npos) << name << " has no line with " << from;
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
  }
  return text;
}

class Gateway : public ::testing::Test {
 protected:
  // Steps of several clients, each counted once, while the server is killed and started again.
  void train_through(ListeningProgram& gateway) {
    io::RemoteModelOptions options;
    options.tls.ca_file = authority_.ca_file();
    const std::string url = "https://localhost:" + std::to_string(gateway.port());
    Clients clients([&] { return count_steps_together(url, tally_, 4, options); });
    const auto go_on = [&] {
      const int before = tally_.done;
      return poll_until([&] { return tally_.done > before + 50 || clients.ended(); });
    };
    for (int i = 0; i < kKills; ++i) {
      ASSERT_TRUE(go_on()) << "no step after " << i << " kills";
      server_.kill();
      server_.restart();
    }
    ASSERT_TRUE(go_on());
    EXPECT_FALSE(clients.ended()) << "the steps were over before the kills";
    tally_.enough = true;
    EXPECT_EQ(clients.join(), "") << "a client saw an error; the gateway says " << gateway.process().output();
    expect_counted_once(server_.url(), tally_);
    EXPECT_EQ(server_.statistics()["weights"]["version"].as_int64(), tally_.done);
    EXPECT_LT(connections(), 60) << "connections to the server aren't kept";
  }

  // That the server has accepted since its last start.
  double connections() const {
    const std::string metrics = io::testing::text(io::testing::send(server_.url() + "/metrics"));
    const std::string name = "\nshumai_connections_accepted_total ";
    return std::stod(metrics.substr(metrics.find(name) + name.size()));
  }
  std::string server_address() const { return "127.0.0.1:" + std::to_string(server_.port()); }

  const io::testing::Directory files_, weights_{io::testing::fast_place()};
  const io::testing::Authority authority_{files_.path()};
  const io::testing::Identity identity_ = authority_.server();
  Tally tally_{1 << 14};
  TrainingServer server_{{"--model", "count", "--size", std::to_string(tally_.slots), "--durability", "every-update",
                          "--directory", weights_.path()}};
};

TEST_F(Gateway, NoStepIsLostOrDoubledThroughNginx) {
  const std::string log = files_.path() + "/access.log", own_files = "http {\n" + [&] {
    std::string out;
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      out += std::string("  ") + kind + "_temp_path " + files_.path() + "/" + kind + ";\n";
    return out;
  }();
  ListeningProgram nginx([&](uint16_t port) -> std::vector<std::string> {
    const std::string config = files_.path() + "/nginx.conf";
    std::ofstream(config) << configured("nginx.conf", {{"worker_processes auto;", "worker_processes 1; user root;"},
                                                       {"/run/nginx.pid", files_.path() + "/nginx.pid"},
                                                       {"http {\n", own_files},
                                                       {"/var/log/nginx/shumai.log", log},
                                                       {"127.0.0.1:3000", server_address()},
                                                       {"listen 443", "listen 127.0.0.1:" + std::to_string(port)},
                                                       {"/etc/shumai/server.crt", identity_.cert_file},
                                                       {"/etc/shumai/server.key", identity_.key_file}});
    return {"/usr/sbin/nginx", "-c", config, "-e", "stderr", "-g", "daemon off;"};
  });
  train_through(nginx);
  EXPECT_NE(text_of(log).find(", "), std::string::npos) << "nginx tried nothing again";
}

TEST_F(Gateway, NoStepIsLostOrDoubledThroughHaproxy) {
  std::ofstream(files_.path() + "/both.pem") << text_of(identity_.cert_file) << text_of(identity_.key_file);
  ListeningProgram haproxy([&](uint16_t port) -> std::vector<std::string> {
    const std::string config = files_.path() + "/haproxy.cfg";
    std::ofstream(config) << configured("haproxy.cfg", {{"127.0.0.1:3000", server_address()},
                                                        {"bind :443", "bind 127.0.0.1:" + std::to_string(port)},
                                                        {"/etc/shumai/server.pem", files_.path() + "/both.pem"}});
    return {"/usr/sbin/haproxy", "-f", config, "-db"};
  });
  train_through(haproxy);
  EXPECT_TRUE(std::regex_search(haproxy.process().output(), std::regex("\\[[1-9][0-9]* retries")))
      << "HAProxy tried nothing again";
}

}  // namespace
}  // namespace sm::e2e
