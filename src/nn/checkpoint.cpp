#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

#include "shumai/error.hpp"
#include "shumai/module.hpp"
#include "util/log.hpp"

namespace sm::nn {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBefore = "checkpoint-";
constexpr std::string_view kAfter = ".safetensors";
constexpr size_t kDigits = 10;

std::string file_name(int64_t number) {
  const std::string digits = std::to_string(number);
  std::string name(kBefore);
  name.append(kDigits - std::min(kDigits, digits.size()), '0').append(digits).append(kAfter);
  return name;
}

// 0 for a file that isn't ours.
int64_t number_in(const std::string& name) {
  if (!name.starts_with(kBefore) || !name.ends_with(kAfter)) return 0;
  int64_t number = 0;
  const char* start = name.data() + kBefore.size();
  std::from_chars(start, name.data() + name.size() - kAfter.size(), number);
  return number > 0 && file_name(number) == name ? number : 0;
}

// Newest first.
std::vector<int64_t> numbers_in(const std::string& directory) {
  std::vector<int64_t> numbers;
  for (const auto& entry : fs::directory_iterator(directory))
    if (const int64_t number = number_in(entry.path().filename().string())) numbers.push_back(number);
  std::sort(numbers.rbegin(), numbers.rend());
  return numbers;
}

// Turns the library's exceptions about files into ours.
template <class F>
auto on_files(const std::string& directory, F f) {
  try {
    return f();
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kInternal, "checkpoint: \"" + directory + "\": " + error.code().message());
  }
}

// Nothing when the file is damaged.
std::optional<Tensors> read(const std::string& path) {
  try {
    return sm::load(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kProtocol && error.code() != ErrorCode::kTooLarge) throw;
    util::log_warning("checkpoint: passed over: " + std::string(error.what()));
    return std::nullopt;
  }
}

}  // namespace

Checkpoint Module::checkpoint(const std::string& directory, int keep) const {
  return Checkpoint(*this, directory, keep);
}

Checkpoint::Checkpoint(Module module, std::string directory, int keep)
    : module_(std::move(module)), directory_(std::move(directory)), keep_(keep) {
  if (keep < 1)
    throw Error(ErrorCode::kInvalidArgument, "checkpoint: keep must be 1 or more, got " + std::to_string(keep));
  const std::vector<int64_t> numbers = on_files(directory_, [&] {
    fs::create_directories(directory_);
    return numbers_in(directory_);
  });
  if (!numbers.empty()) number_ = numbers.front();
  for (const int64_t number : numbers) {
    const std::string path = (fs::path(directory_) / file_name(number)).string();
    if (const std::optional<Tensors> state = read(path)) {
      module_.load_state(*state);
      return;
    }
  }
}

std::string Checkpoint::save() {
  std::string path = (fs::path(directory_) / file_name(number_ + 1)).string();
  module_.save(path);
  ++number_;
  on_files(directory_, [&] {
    const std::vector<int64_t> numbers = numbers_in(directory_);
    for (size_t i = static_cast<size_t>(keep_); i < numbers.size(); ++i)
      fs::remove(fs::path(directory_) / file_name(numbers[i]));
  });
  return path;
}

}  // namespace sm::nn
