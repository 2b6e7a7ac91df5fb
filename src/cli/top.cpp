#include <fmt/core.h>

#include "cli/access.hpp"
#include "cli/commands.hpp"
#include "cli/frame.hpp"
#include "cli/terminal.hpp"
#include "shumai/error.hpp"

namespace sm::cli {
namespace {

Json look(const TopArguments& arguments, const std::string& url) {
  io::FetchOptions options = fetch_options(arguments.access);
  options.retry_for = std::chrono::milliseconds(0);
  const io::Content content = run(io::fetch(url + "/statistics", {}, options));
  if (!content.is_json() || !content.json().is_object())
    throw Error(ErrorCode::kProtocol, url + "/statistics answered " + content.describe() + " where JSON is expected");
  return content.json();
}

int watch(const TopArguments& arguments, const std::string& url) {
  const auto interval = std::chrono::milliseconds(static_cast<int64_t>(arguments.interval * 1000));
  Json now = look(arguments, url), before;
  const Terminal terminal;
  std::string failure;
  for (;;) {
    std::vector<std::string> lines = frame(arguments.url, now, before);
    if (!failure.empty()) lines.insert(lines.begin() + 1, "! " + failure);
    lines.insert(lines.end(), {"", "q quits"});
    terminal.draw(lines);
    if (const char key = terminal.wait_for_key(interval); key == 'q' || key == 'Q') return kSuccess;
    try {
      Json next = look(arguments, url);
      before = std::exchange(now, std::move(next));
      failure.clear();
    } catch (const Error& error) {  // it may come back
      failure = error.what();
    }
  }
}

}  // namespace

int top(const TopArguments& arguments) {
  const std::string url = base_url(arguments.url);
  if (!arguments.once && Terminal::available()) return watch(arguments, url);
  for (const std::string& line : frame(arguments.url, look(arguments, url), {})) fmt::print("{}\n", line);
  return kSuccess;
}

}  // namespace sm::cli
