#include "serve/checkpoint.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "serve/testing.hpp"

namespace sm::io {
namespace {

namespace fs = std::filesystem;
using testing::Directory;
using testing::error_of;

Checkpoint example() {
  Checkpoint out;
  out.version = 7;
  out.random = {123456789012345, 42};
  out.tensors.set("w", tensor({1.5f, -2.f}));
  out.tensors.set("count", scalar<int64_t>(3));
  FinishedTicket first{"00112233445566778899aabbccddeeff", {}};
  first.calls.push_back({"optimize", {1, 2}, true, Content(tensor({{1.f, 2.f}, {3.f, 4.f}}))});
  first.calls.push_back({"apply", {3, 4}, true, Content()});
  FinishedTicket second{"ffeeddccbbaa99887766554433221100", {}};
  second.calls.push_back({"optimize", {5, 6}, false, Content()});
  second.calls.push_back({"info", {7, 8}, true, Content(Json::object({{"ok", true}}))});
  second.calls.push_back({"many", {9, 9}, true, Content(Tensors{{"a", scalar(1.f)}, {"b", scalar(2.f)}})});
  out.finished = {first, second};
  return out;
}

TEST(Checkpoint, ComesBackAsItWasWritten) {
  const Directory directory;
  const std::string path = directory.path() + "/one.safetensors";
  write_checkpoint(path, example());
  const Checkpoint back = read_checkpoint(path);
  EXPECT_EQ(back.version, 7u);
  EXPECT_EQ(back.random.seed, 123456789012345u);
  EXPECT_EQ(back.random.position, 42u);
  ASSERT_EQ(back.tensors.size(), 2u);
  EXPECT_EQ(back.tensors["w"].to_vector<float>(), (std::vector<float>{1.5f, -2.f}));
  EXPECT_EQ(back.tensors["count"].item<int64_t>(), 3);
  ASSERT_EQ(back.finished.size(), 2u);
  EXPECT_EQ(back.finished[0].id, "00112233445566778899aabbccddeeff");
  ASSERT_EQ(back.finished[0].calls.size(), 2u);
  EXPECT_EQ(back.finished[0].calls[0].route, "optimize");
  EXPECT_EQ(back.finished[0].calls[0].body, (BodyDigest{1, 2}));
  EXPECT_EQ(back.finished[0].calls[0].answer.tensor().to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_TRUE(back.finished[0].calls[1].kept);
  EXPECT_TRUE(back.finished[0].calls[1].answer.empty());
  EXPECT_FALSE(back.finished[1].calls[0].kept);
  EXPECT_TRUE(back.finished[1].calls[1].answer.json()["ok"].as_bool());
  EXPECT_EQ(back.finished[1].calls[2].answer.tensors()["b"].item<float>(), 2);
}

TEST(Checkpoint, AnyDamageIsNoticed) {
  const Directory directory;
  const std::string path = directory.path() + "/one.safetensors";
  write_checkpoint(path, example());
  const auto size = fs::file_size(path);
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(whole.size(), size);
  for (size_t at = 0; at < size; at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(path, std::ios::binary) << damaged;
    try {
      const Checkpoint back = read_checkpoint(path);
      // Padding between header and data carries nothing.
      EXPECT_EQ(back.tensors["w"].to_vector<float>(), (std::vector<float>{1.5f, -2.f})) << "byte " << at;
      EXPECT_EQ(back.version, 7u) << "byte " << at;
    } catch (const Error& error) {
      // Too large: a length that was damaged.
      EXPECT_TRUE(error.code() == ErrorCode::kProtocol || error.code() == ErrorCode::kTooLarge)
          << "byte " << at << ": " << error.what();
    }
  }
  for (size_t length = 0; length < size; length += 5) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, length);
    EXPECT_THROW(read_checkpoint(path), Error) << length << " bytes";
  }
}

TEST(Checkpoint, ADirectoryKeepsTheNewestAndSkipsTornOnes) {
  const Directory directory;
  const std::string own = directory.path() + "/deep/er";
  const CheckpointDirectory checkpoints(own, 2);
  std::vector<std::string> skipped;
  EXPECT_FALSE(checkpoints.newest(skipped));
  for (uint64_t version : {9, 10, 11}) {
    Checkpoint next = example();
    next.version = version;
    checkpoints.write(next);
  }
  size_t files = 0;
  std::string newest;
  for (const auto& entry : fs::directory_iterator(own)) {
    ++files;
    newest = std::max(newest, entry.path().string());
  }
  EXPECT_EQ(files, 2u);
  EXPECT_EQ(checkpoints.newest(skipped)->version, 11u);
  EXPECT_TRUE(skipped.empty());
  fs::resize_file(newest, fs::file_size(newest) - 1);
  EXPECT_EQ(checkpoints.newest(skipped)->version, 10u);
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_NE(skipped[0].find(newest), std::string::npos);
}

TEST(Checkpoint, LeftoversOfACrashAreRemoved) {
  const Directory directory;
  const std::string leftover = directory.path() + "/checkpoint-00000000000000000003.safetensors.tmp-12-0";
  std::ofstream(leftover) << "half";
  const CheckpointDirectory checkpoints(directory.path(), 1);
  EXPECT_FALSE(fs::exists(leftover));
}

TEST(Checkpoint, ADirectoryThatCantBeIsSaid) {
  const Directory directory;
  std::ofstream(directory.path() + "/file") << "x";
  const std::string message =
      error_of([&] { CheckpointDirectory(directory.path() + "/file", 1); }, ErrorCode::kInvalidArgument);
  EXPECT_NE(message.find("/file"), std::string::npos);
  error_of([&] { CheckpointDirectory(directory.path(), 0); }, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace sm::io
