#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "e2e/training.hpp"

// Checkpoints on a disk that fills up, and files that a crash of the machine tore.
namespace sm::e2e {
namespace {

namespace fs = std::filesystem;
using io::testing::HeaderList;
using io::testing::post;
using testing::HasSubstr;

// From now on a file of the server can't grow beyond `bytes`, as on a disk that is full.
void limit_files(TrainingServer& server, rlim_t bytes) {
  const rlimit limit{bytes, RLIM_INFINITY};
  ASSERT_EQ(::prlimit(server.process().pid(), RLIMIT_FSIZE, &limit, nullptr), 0);
}
void fill_disk(TrainingServer& server) { limit_files(server, 4096); }
void free_disk(TrainingServer& server) { limit_files(server, RLIM_INFINITY); }

Json checkpoint_of(const TrainingServer& server) { return server.statistics()["checkpoint"]; }

std::vector<std::string> options(const std::string& durability, const std::string& directory) {
  // 16 kB of weights.
  return {"--model",  "count",      "--size", "2048",        "--durability",
          durability, "--interval", "100",    "--directory", directory};
}

void step(const TrainingServer& server, int index, int expected_status) {
  const std::string body = R"({"dtype":"int64","shape":[1],"data":[)" + std::to_string(index) + "]}";
  const http::Response forward = post(server.url() + "/forward", body);
  ASSERT_EQ(forward.status, 200) << "the server goes on: " << io::testing::text(forward);
  const HeaderList ticket{{"Shumai-Ticket", std::string(forward.headers.get("Shumai-Ticket"))}};
  const http::Response answer =
      post(server.url() + "/optimize", R"({"dtype":"float64","shape":[1],"data":[1]})", ticket);
  EXPECT_EQ(answer.status, expected_status) << io::testing::text(answer);
  if (expected_status != 503) return;
  EXPECT_EQ(answer.headers.get("Retry-After"), "1");
  EXPECT_THAT(io::testing::detail_of(answer), HasSubstr("can't be saved yet"));
  EXPECT_THAT(io::testing::detail_of(answer), HasSubstr("File too large"));
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum;
}

TEST(Disk, AFullOneDelaysAClientThatWantsEveryUpdateSaved) {
  const io::testing::Directory directory(fast_place());
  Tally tally(2048);
  TrainingServer server(options("every-update", directory.path()));
  Clients clients([&] { return count_steps_together(server.url(), tally, 2); });
  ASSERT_TRUE(poll_until([&] { return tally.done > 20; }));
  fill_disk(server);
  ASSERT_TRUE(poll_until([&] { return checkpoint_of(server).contains("error"); }));
  EXPECT_THAT(checkpoint_of(server)["error"].as_string(), HasSubstr("File too large"));
  EXPECT_THAT(server.process().wait_for_line("checkpoint: can't write to"), HasSubstr("File too large"));
  // Both clients wait by now, or will with their next step.
  const int stuck = tally.done;
  step(server, 2047, 503);
  EXPECT_LE(tally.done, stuck + 2) << "nothing is acknowledged that isn't saved";
  free_disk(server);
  ASSERT_TRUE(poll_until([&] { return tally.done > stuck + 20; }));
  EXPECT_FALSE(checkpoint_of(server).contains("error"));
  tally.enough = true;
  EXPECT_EQ(clients.join(), "") << "a client saw an error";
  server.kill();
  server.restart();
  // Ours was taken and saved as well; nobody asked again.
  const std::vector<double> counts = weights_of(server.url());
  EXPECT_EQ(sum_of(counts), tally.done + 1);
  EXPECT_EQ(*std::max_element(counts.begin(), counts.end()), 1) << "none was taken twice";
}

TEST(Disk, AFullOneIsSaidAndTrainingGoesOn) {
  const io::testing::Directory directory(fast_place());
  TrainingServer server(options("interval", directory.path()));
  step(server, 0, 204);
  ASSERT_TRUE(poll_until([&] { return checkpoint_of(server)["version"].as_int64() == 1; }));
  fill_disk(server);
  for (int i = 1; i <= 5; ++i) step(server, i, 204);
  ASSERT_TRUE(poll_until([&] { return checkpoint_of(server).contains("error"); }));
  server.process().wait_for_line("checkpoint: can't write to .*File too large");
  EXPECT_EQ(checkpoint_of(server)["version"].as_int64(), 1) << "the last good one";
  step(server, 6, 204);
  server.kill();
  server.restart();
  EXPECT_EQ(sum_of(weights_of(server.url())), 1) << "resumed from the last good one";
  step(server, 7, 204);
  fill_disk(server);
  step(server, 8, 204);
  ASSERT_TRUE(poll_until([&] { return checkpoint_of(server).contains("error"); }));
  free_disk(server);
  ASSERT_TRUE(poll_until([&] { return !checkpoint_of(server).contains("error"); })) << "it tries again by itself";
  server.kill();
  server.restart();
  EXPECT_EQ(sum_of(weights_of(server.url())), 3);
}

TEST(Disk, ATornCheckpointIsSkippedAndSaid) {
  const io::testing::Directory directory(fast_place());
  TrainingServer server(options("every-update", directory.path()));
  for (int i = 0; i < 3; ++i) step(server, i, 204);
  server.kill();
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 3u);
  fs::resize_file(files[2], fs::file_size(files[2]) / 2);
  // The right size, but one bit of it is another.
  std::fstream second(files[1], std::ios::in | std::ios::out | std::ios::binary);
  second.seekg(-1, std::ios::end);
  const int last = second.get();
  second.seekp(-1, std::ios::end);
  second.put(static_cast<char>(last ^ 1));
  second.close();

  server.restart();
  for (int i : {2, 1})
    EXPECT_THAT(server.process().output(), HasSubstr("checkpoint: skipped " + files[static_cast<size_t>(i)].string()));
  EXPECT_EQ(checkpoint_of(server)["skipped"].size(), 2u) << checkpoint_of(server).dump();
  EXPECT_TRUE(checkpoint_of(server)["resumed"].as_bool());
  EXPECT_EQ(sum_of(weights_of(server.url())), 1);
  step(server, 3, 204);
  EXPECT_EQ(sum_of(weights_of(server.url())), 2);
}

}  // namespace
}  // namespace sm::e2e
