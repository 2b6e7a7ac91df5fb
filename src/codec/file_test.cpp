#include "codec/file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "shumai/error.hpp"
#include "util/testing.hpp"

namespace sm::codec {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_.path(name); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(directory_.path()), fs::directory_iterator()));
  }
  static util::Slice slice(std::string_view text) {
    return {nullptr, reinterpret_cast<const std::byte*>(text.data()), text.size()};
  }
  static std::string content(const std::string& path) {
    const util::BufferRef buffer = read_file(path);
    return {reinterpret_cast<const char*>(buffer->data()), buffer->size()};
  }

  const util::testing::Directory directory_;
};

ErrorCode code_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST_F(FileTest, WritesThePiecesInOrderAndLeavesNothingElse) {
  const std::vector<util::Slice> pieces = {slice("one "), slice(""), slice("two")};
  atomic_write(path("a"), pieces);
  EXPECT_EQ(content(path("a")), "one two");
  EXPECT_EQ(files(), 1u);
}

TEST_F(FileTest, WritesMorePiecesThanOneSystemCallTakes) {
  std::vector<std::string> texts;
  std::string expected;
  for (int i = 0; i < 300; ++i) expected += texts.emplace_back(std::to_string(i));
  std::vector<util::Slice> pieces;
  pieces.reserve(texts.size());
  for (const std::string& text : texts) pieces.push_back(slice(text));
  atomic_write(path("a"), pieces);
  EXPECT_EQ(content(path("a")), expected);
}

TEST_F(FileTest, NoPiecesMakeAnEmptyFile) {
  atomic_write(path("a"), {});
  EXPECT_EQ(content(path("a")), "");
}

TEST_F(FileTest, ReplacesAFileWithoutTouchingTheOldOne) {
  const util::Slice old_text = slice("old"), new_text = slice("new");
  atomic_write(path("a"), {&old_text, 1});
  fs::create_hard_link(path("a"), path("kept"));
  atomic_write(path("a"), {&new_text, 1});
  EXPECT_EQ(content(path("a")), "new");
  EXPECT_EQ(content(path("kept")), "old");
}

TEST_F(FileTest, NewFilesFollowTheUmask) {
  const mode_t before = ::umask(027);
  atomic_write(path("a"), {});
  ::umask(before);
  struct stat info;
  ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(FileTest, MissingDirectoryIsNamed) {
  try {
    atomic_write(path("no/a"), {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(std::string(error.what()),
              "file: can't create a file in the folder of \"" + path("no/a") + "\": No such file or directory");
  }
}

TEST_F(FileTest, AFailedRenameLeavesNoTemporaryFile) {
  fs::create_directories(path("a/b"));
  EXPECT_EQ(code_of([&] { atomic_write(path("a"), {}); }), ErrorCode::kInternal);
  EXPECT_EQ(files(), 1u);
}

TEST_F(FileTest, ReadingWhatIsNotThereSaysSo) {
  try {
    read_file(path("a"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_EQ(std::string(error.what()), "file: can't open \"" + path("a") + "\": No such file or directory");
  }
}

TEST_F(FileTest, OnlyRegularFilesAreRead) {
  EXPECT_EQ(code_of([&] { read_file(directory_.path()); }), ErrorCode::kInvalidArgument);
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { read_file(path("pipe")); }), ErrorCode::kInvalidArgument);
}

TEST_F(FileTest, ARelativePathWithoutADirectoryWorks) {
  const fs::path before = fs::current_path();
  fs::current_path(directory_.path());
  const util::Slice text = slice("x");
  atomic_write("plain", {&text, 1});
  fs::current_path(before);
  EXPECT_EQ(content(path("plain")), "x");
}

}  // namespace
}  // namespace sm::codec
