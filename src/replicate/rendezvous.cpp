#include "replicate/rendezvous.hpp"

#include <algorithm>

#include "shumai/error.hpp"

namespace sm::replicate {

bool is_word(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !text.empty() && text.size() <= 64 && text.front() != '.' && std::ranges::all_of(text, fits);
}

std::unique_ptr<Rendezvous> open_rendezvous(const std::string& where, const std::string& group,
                                            std::chrono::milliseconds timeout) {
  if (!is_word(group))
    throw Error(ErrorCode::kInvalidArgument,
                "replicas: a group's name has 1 to 64 letters, digits, '.', '_' or '-', and doesn't begin with '.', "
                "got \"" +
                    group + "\"");
  if (where.starts_with("redis://")) return open_redis(where, group, timeout);
  if (where.empty() || where.find("://") != std::string::npos)
    throw Error(ErrorCode::kInvalidArgument,
                "replicas: rendezvous must be a folder's path or redis://HOST:PORT, got \"" + where + "\"");
  return open_folder(where, group);
}

}  // namespace sm::replicate
