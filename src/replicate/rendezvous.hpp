#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sm::replicate {

// Where replicas find each other: small values under names, which all of them
// see. Names are words of letters, digits, '.', '_' and '-', with slashes
// between them. Thread-safe. Everything throws Error: kConnection when the
// place can't be reached, kProtocol when something else is there.
class Rendezvous {
 public:
  static constexpr size_t kMaxValue = size_t{1} << 20;  // bytes

  virtual ~Rendezvous() = default;

  virtual void put(const std::string& name, std::string_view value) = 0;
  // False when there is one already: of several that try, one succeeds.
  virtual bool put_new(const std::string& name, std::string_view value) = 0;
  virtual std::optional<std::string> get(const std::string& name) = 0;
  // What follows `folder` and a slash in names that have nothing more after it, in any order.
  virtual std::vector<std::string> list(const std::string& folder) = 0;
  // With all that is under it.
  virtual void remove(const std::string& name) = 0;
};

// `where` is a folder that all replicas share, or "redis://[:PASSWORD@]HOST[:PORT][/DATABASE]";
// `group` keeps groups in one place apart. Throws Error (kInvalidArgument) for
// anything else. A Redis call takes at most `timeout`.
std::unique_ptr<Rendezvous> open_rendezvous(const std::string& where, const std::string& group,
                                            std::chrono::milliseconds timeout);

// Whether `text` is one word of a name, 1 to 64 characters.
bool is_word(std::string_view text);

std::unique_ptr<Rendezvous> open_folder(const std::string& path, const std::string& group);
std::unique_ptr<Rendezvous> open_redis(const std::string& url, const std::string& group,
                                       std::chrono::milliseconds timeout);

}  // namespace sm::replicate
