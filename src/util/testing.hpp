#pragma once

#include <stdlib.h>

#include <filesystem>
#include <stdexcept>
#include <string>

// What tests of every layer share.
namespace sm::util::testing {

// A fresh directory that goes with this object.
class Directory {
 public:
  explicit Directory(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "shumai-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary directory in " + parent.string());
    path_ = name;
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace sm::util::testing
