#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "e2e/foreign.hpp"
#include "e2e/training.hpp"

// /metrics as Debian's Prometheus reads it.
namespace sm::e2e {
namespace {

constexpr int kSteps = 20;

// What every kind of metric counts has happened: steps, errors, checkpoints.
class Prometheus : public ::testing::Test {
 protected:
  void SetUp() override {
    Tally tally(kSteps);
    Clients clients([&] { return count_steps(server_.url(), tally); });
    ASSERT_EQ(clients.join(), "");
    io::testing::send(server_.url() + "/forward", "POST", "nonsense");
    io::testing::send(server_.url() + "/nowhere");
  }

  io::testing::Directory directory_;
  TrainingServer server_{{"--model", "count", "--size", std::to_string(kSteps), "--directory", directory_.path()}};
};

TEST_F(Prometheus, PromtoolFindsNothing) {
  const std::string metrics = io::testing::text(io::testing::send(server_.url() + "/metrics"));
  const std::string path = directory_.path() + "/metrics";
  std::ofstream(path) << metrics;
  Process promtool({"/bin/sh", "-c", "exec promtool check metrics <" + path});
  EXPECT_EQ(promtool.wait(), 0);
  EXPECT_EQ(promtool.output(), "") << metrics;
  for (const char* name : {"requests_total", "request_duration_seconds", "received_bytes_total", "sent_bytes_total",
                           "tickets", "tickets_evicted_total", "update_staleness", "updates_total", "weights_version",
                           "compute_queue_requests", "checkpoint_writes_total"})
    EXPECT_NE(metrics.find("# TYPE shumai_" + std::string(name) + " "), std::string::npos) << name;
}

// The one value of a query, once there is one.
double value_of(uint16_t prometheus, const std::string& query) {
  double value = -1;
  EXPECT_TRUE(poll_until([&] {
    const http::Response response =
        io::testing::send("http://127.0.0.1:" + std::to_string(prometheus) + "/api/v1/query?query=" + query);
    if (response.status != 200) return false;  // still starting
    const Json answer = Json::parse(io::testing::text(response));
    const Json& result = answer["data"]["result"];
    if (result.size() != 1) return false;
    value = std::stod(result[0]["value"][1].as_string());
    return true;
  })) << query;
  return value;
}

TEST_F(Prometheus, ScrapesWithoutAWarning) {
  const std::string config = directory_.path() + "/prometheus.yml";
  std::ofstream(config) << "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
                           "scrape_configs:\n"
                           "  - {job_name: shumai, static_configs: [{targets: ['127.0.0.1:"
                        << server_.port() << "']}]}\n";
  ListeningProgram prometheus([&](uint16_t port) -> std::vector<std::string> {
    return {"/usr/bin/prometheus", "--config.file=" + config, "--storage.tsdb.path=" + directory_.path() + "/tsdb",
            "--web.listen-address=127.0.0.1:" + std::to_string(port)};
  });
  EXPECT_EQ(value_of(prometheus.port(), "shumai_updates_total"), kSteps);
  EXPECT_EQ(value_of(prometheus.port(), "up"), 1);
  EXPECT_EQ(value_of(prometheus.port(), "shumai_requests_total%7Broute=%22forward%22,code=%22400%22%7D"), 1);
  EXPECT_EQ(prometheus.process().output().find("level=warn"), std::string::npos) << prometheus.process().output();
  EXPECT_EQ(prometheus.process().output().find("level=error"), std::string::npos) << prometheus.process().output();
}

}  // namespace
}  // namespace sm::e2e
