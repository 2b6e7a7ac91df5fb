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

std::string nginx_folders(const std::string& files) {
  std::string out = "http {\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
    out += std::string("  ") + kind + "_temp_path " + files + "/" + kind + ";\n";
  return out;
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
  const std::string log = files_.path() + "/access.log";
  ListeningProgram nginx([&](uint16_t port) -> std::vector<std::string> {
    const std::string config = files_.path() + "/nginx.conf";
    std::ofstream(config) << configured("nginx.conf", {{"worker_processes auto;", "worker_processes 1; user root;"},
                                                       {"/run/nginx.pid", files_.path() + "/nginx.pid"},
                                                       {"http {\n", nginx_folders(files_.path())},
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

// Four replicas, of which every one is restarted while clients train.
class ReplicaGateway : public ::testing::Test {
 protected:
  using Changes = std::vector<std::pair<std::string, std::string>>;

  void SetUp() override {
    for (int i = 0; i < kReplicas; ++i) {
      const std::string id = "model-" + std::to_string(i);
      replicas_.push_back(std::make_unique<TrainingServer>(
          std::vector<std::string>{"--model", "link", "--rendezvous", place_.path(), "--id", id, "--every", "20",
                                   "--directory", weights_.path(id)}));
    }
  }
  Changes changes() const {
    Changes out;
    for (int i = 0; i < kReplicas; ++i)
      out.emplace_back("10.0.0.1" + std::to_string(i) + ":3000", "127.0.0.1:" + std::to_string(replica(i).port()));
    return out;
  }
  TrainingServer& replica(int i) const { return *replicas_[static_cast<size_t>(i)]; }

  Task<> train(std::string url, io::RemoteModelOptions options) {
    const io::RemoteModel model = io::remote_model(url, options);
    while (!enough_) {
      const Tensor x = tensor({1.0, -2.0, 0.5});
      const Tensor y = co_await model(x);
      const Tensor error = loss::mse(y, x * 3.0);
      last_loss_ = error.detach().item<double>();
      co_await error.backward_async();
      ++steps_;
    }
  }

  void restart_all_behind(ListeningProgram& gateway) {
    io::RemoteModelOptions options;
    options.tls.ca_file = authority_.ca_file();
    const std::string url = "https://localhost:" + std::to_string(gateway.port());
    Clients clients([&]() -> Task<> {
      std::vector<Task<>> all;
      for (int i = 0; i < kClients; ++i) all.push_back(train(url, options));
      co_await util::all(std::move(all));
    });
    const auto go_on = [&] {
      const int before = steps_;
      return poll_until([&] { return steps_ > before + 4 * kClients || clients.ended(); });
    };
    ASSERT_TRUE(go_on());
    for (int i = 0; i < kReplicas; ++i) {
      EXPECT_EQ(replica(i).stop(), 0);
      ASSERT_TRUE(go_on()) << "no step without replica " << i;
      replica(i).restart();
      EXPECT_TRUE(poll_until([&] { return group_size(i) == kReplicas; }));
      ASSERT_TRUE(go_on());
    }
    EXPECT_FALSE(clients.ended()) << "the clients ended early";
    EXPECT_TRUE(poll_until([&] { return last_loss_ < 0.01 || clients.ended(); })) << last_loss_;
    enough_ = true;
    EXPECT_EQ(clients.join(), "") << "a client saw an error; the gateway says " << gateway.process().output();
    for (int i = 0; i < kReplicas; ++i)
      EXPECT_NEAR(run(io::tfetch(replica(i).url() + "/weights")).item<double>(), 3, 0.1) << "replica " << i;
  }
  size_t group_size(int i) const { return replica(i).statistics()["replicas"]["members"].size(); }

  static constexpr int kReplicas = 4, kClients = 32;
  const io::testing::Directory files_, place_, weights_{io::testing::fast_place()};
  const io::testing::Authority authority_{files_.path()};
  const io::testing::Identity identity_ = authority_.server();
  std::vector<std::unique_ptr<TrainingServer>> replicas_;
  std::atomic<bool> enough_{false};
  std::atomic<int> steps_{0};
  std::atomic<double> last_loss_{1e9};
};

TEST_F(ReplicaGateway, NoClientSeesARollingRestartThroughHaproxy) {
  std::ofstream(files_.path() + "/both.pem") << text_of(identity_.cert_file) << text_of(identity_.key_file);
  ListeningProgram haproxy([&](uint16_t port) -> std::vector<std::string> {
    Changes own = changes();
    own.emplace_back("bind :443", "bind 127.0.0.1:" + std::to_string(port));
    own.emplace_back("/etc/shumai/server.pem", files_.path() + "/both.pem");
    const std::string config = files_.path() + "/haproxy.cfg";
    std::ofstream(config) << configured("haproxy-replicas.cfg", own);
    return {"/usr/sbin/haproxy", "-f", config, "-db"};
  });
  restart_all_behind(haproxy);
}

TEST_F(ReplicaGateway, NoClientSeesARollingRestartThroughNginx) {
  ListeningProgram nginx([&](uint16_t port) -> std::vector<std::string> {
    Changes own = changes();
    own.insert(own.end(), {{"worker_processes auto;", "worker_processes 1; user root;"},
                           {"/run/nginx.pid", files_.path() + "/nginx.pid"},
                           {"http {\n", nginx_folders(files_.path())},
                           {"/var/log/nginx/shumai.log", files_.path() + "/access.log"},
                           {"listen 443", "listen 127.0.0.1:" + std::to_string(port)},
                           {"/etc/shumai/server.crt", identity_.cert_file},
                           {"/etc/shumai/server.key", identity_.key_file}});
    const std::string config = files_.path() + "/nginx.conf";
    std::ofstream(config) << configured("nginx-replicas.conf", own);
    return {"/usr/sbin/nginx", "-c", config, "-e", "stderr", "-g", "daemon off;"};
  });
  restart_all_behind(nginx);
}

}  // namespace
}  // namespace sm::e2e
