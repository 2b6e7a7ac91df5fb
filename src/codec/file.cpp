#include "codec/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "shumai/error.hpp"

namespace sm::codec {
namespace {

[[noreturn]] void fail(const char* action, const std::string& path, int code) {
  ErrorCode kind = ErrorCode::kInternal;
  if (code == ENOENT || code == ENOTDIR) kind = ErrorCode::kNotFound;
  if (code == EACCES || code == EPERM || code == EROFS) kind = ErrorCode::kForbidden;
  throw Error(kind,
              std::string("file: can't ") + action + " \"" + path + "\": " + std::generic_category().message(code));
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const noexcept { return fd_; }
  // False with errno set: some file systems report a failed write only here.
  bool close() noexcept { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

// Removes the file on the way out unless it was renamed.
class Unlinker {
 public:
  explicit Unlinker(std::string path) : path_(std::move(path)) {}
  Unlinker(const Unlinker&) = delete;
  Unlinker& operator=(const Unlinker&) = delete;
  ~Unlinker() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  void release() noexcept { path_.clear(); }

 private:
  std::string path_;
};

// Opens a new file beside `path`. Another process of this number, in another
// container or before a crash, may have taken a name.
int open_temporary(const std::string& path, std::string& name) {
  static std::atomic<uint64_t> counter{0};
  for (;;) {
    name = path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}

bool write_all(int fd, std::span<const util::Slice> pieces) {
  size_t piece = 0;
  size_t done = 0;  // bytes of pieces[piece]
  while (piece < pieces.size()) {
    std::array<iovec, 64> batch;
    size_t count = 0;
    for (size_t i = piece; i < pieces.size() && count < batch.size(); ++i) {
      const size_t skip = i == piece ? done : 0;
      batch[count++] = {const_cast<std::byte*>(pieces[i].data) + skip, pieces[i].size - skip};
    }
    const ssize_t written = ::writev(fd, batch.data(), static_cast<int>(count));
    if (written < 0 && errno != EINTR) return false;
    done += static_cast<size_t>(std::max<ssize_t>(written, 0));
    while (piece < pieces.size() && done >= pieces[piece].size) done -= pieces[piece++].size;
  }
  return true;
}

void sync_directory(const std::string& path) {
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  const std::string directory = parent.empty() ? "." : parent.string();
  const File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) fail("open the directory", directory, errno);
  // EINVAL: a file system without it.
  if (::fsync(file.get()) != 0 && errno != EINVAL) fail("sync the directory", directory, errno);
}

}  // namespace

void atomic_write(const std::string& path, std::span<const util::Slice> pieces) {
  std::string temporary;
  File file(open_temporary(path, temporary));
  if (file.get() < 0) fail("create a file in the folder of", path, errno);
  Unlinker unlinker(temporary);
  if (!write_all(file.get(), pieces)) fail("write", temporary, errno);
  if (::fsync(file.get()) != 0) fail("sync", temporary, errno);
  if (!file.close()) fail("close", temporary, errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail("rename a new file to", path, errno);
  unlinker.release();
  sync_directory(path);
}

util::BufferRef read_file(const std::string& path) {
  // O_NONBLOCK: opening a pipe must fail below, not wait for a writer.
  const File file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (file.get() < 0) fail("open", path, errno);
  struct stat info;
  if (::fstat(file.get(), &info) != 0) fail("examine", path, errno);
  if (!S_ISREG(info.st_mode)) throw Error(ErrorCode::kInvalidArgument, "file: \"" + path + "\" isn't a regular file");
  const size_t size = static_cast<size_t>(info.st_size);
  util::BufferRef buffer = util::Buffer::allocate(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::read(file.get(), buffer->data() + done, size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path, errno);
    if (count == 0) throw Error(ErrorCode::kInternal, "file: \"" + path + "\" shrank while it was read");
    done += static_cast<size_t>(count);
  }
  return buffer;
}

}  // namespace sm::codec
