#include "io/from_files.hpp"

#include <sys/stat.h>

namespace sm::io {

FileStamp FileStamp::of(const std::string& path) noexcept {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, static_cast<uint64_t>(found.st_size), found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec};
}

}  // namespace sm::io
