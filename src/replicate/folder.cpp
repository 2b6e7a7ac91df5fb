#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "replicate/rendezvous.hpp"
#include "shumai/error.hpp"

namespace sm::replicate {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::kConnection, "replicas: rendezvous \"" + path.string() + "\": " + why);
}

// Names are files. One appears complete or not at all, on NFS too: it is
// written under another name, and then renamed or linked.
class Folder final : public Rendezvous {
 public:
  explicit Folder(fs::path root) : root_(std::move(root)) {
    std::error_code error;
    fs::create_directories(root_, error);
    if (error) fail(root_, error.message());
  }

  void put(const std::string& name, std::string_view value) override {
    const fs::path made = write(name, value);
    std::error_code error;
    fs::rename(made, root_ / name, error);
    if (!error) return;
    fs::remove(made, error);
    fail(root_ / name, error.message());
  }

  bool put_new(const std::string& name, std::string_view value) override {
    const fs::path made = write(name, value);
    const bool done = ::link(made.c_str(), (root_ / name).c_str()) == 0;
    const int why = errno;
    std::error_code ignored;
    fs::remove(made, ignored);
    if (!done && why != EEXIST) fail(root_ / name, std::strerror(why));
    return done;
  }

  std::optional<std::string> get(const std::string& name) override {
    std::ifstream file(root_ / name, std::ios::binary);
    if (!file) return std::nullopt;
    std::string value(kMaxValue + 1, '\0');
    file.read(value.data(), static_cast<std::streamsize>(value.size()));
    value.resize(static_cast<size_t>(file.gcount()));
    if (value.size() > kMaxValue)
      throw Error(ErrorCode::kProtocol,
                  "replicas: rendezvous: \"" + name + "\" is larger than any that replicas write");
    return value;
  }

  std::vector<std::string> list(const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator item(root_ / folder, error), end; !error && item != end; item.increment(error))
      if (is_word(item->path().filename().string())) names.push_back(item->path().filename().string());
    if (error && error != std::errc::no_such_file_or_directory) fail(root_ / folder, error.message());
    return names;
  }

  void remove(const std::string& name) override {
    std::error_code ignored;
    fs::remove_all(root_ / name, ignored);
  }

 private:
  // Under a name that is_word() refuses, so that list() doesn't show it.
  fs::path write(const std::string& name, std::string_view value) {
    static std::atomic<uint64_t> count{0};
    const fs::path path = root_ / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) fail(path.parent_path(), error.message());
    char host[256] = {};
    ::gethostname(host, sizeof(host) - 1);
    fs::path made = path.parent_path() / ("." + path.filename().string() + "." + host + "." +
                                          std::to_string(::getpid()) + "." + std::to_string(++count));
    std::ofstream file(made, std::ios::binary);
    file.write(value.data(), static_cast<std::streamsize>(value.size()));
    file.close();
    if (!file) fail(made, "can't be written");
    return made;
  }

  const fs::path root_;
};

}  // namespace

std::unique_ptr<Rendezvous> open_folder(const std::string& path, const std::string& group) {
  return std::make_unique<Folder>(fs::path(path) / group);
}

}  // namespace sm::replicate
