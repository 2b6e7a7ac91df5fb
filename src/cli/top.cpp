#include <fmt/core.h>

#include "cli/access.hpp"
#include "cli/commands.hpp"
#include "cli/curves.hpp"
#include "cli/frame.hpp"
#include "cli/terminal.hpp"
#include "shumai/error.hpp"
#include "util/progress.hpp"

namespace sm::cli {
namespace {

// What the server says, and what it said before.
struct View {
  Json now, before;
  Curves curves;
  std::string cursor;
};

void look(const TopArguments& arguments, const std::string& url, View& view) {
  io::FetchOptions options = fetch_options(arguments.access);
  options.retry_for = std::chrono::milliseconds(0);
  const std::string asked = url + "/statistics/feed";
  const io::Content content = run(io::fetch(asked + "?after=" + view.cursor, {}, options));
  const Json* statistics =
      content.is_json() && content.json().is_object() ? content.json().find("statistics") : nullptr;
  if (!statistics || !statistics->is_object())
    throw Error(ErrorCode::kProtocol,
                asked + " answered " + content.describe() + " where a server's statistics are expected");
  view.before = std::exchange(view.now, *statistics);
  if (const Json* history = content.json().find("history")) view.curves.add(*history);
  const Json* cursor = content.json().find("cursor");
  const bool plain =
      cursor && cursor->is_string() && cursor->as_string().find_first_not_of("0123456789.") == std::string::npos;
  view.cursor = plain ? cursor->as_string() : "";
}

std::vector<std::string> lines_of(const TopArguments& arguments, const View& view) {
  std::vector<std::string> lines = frame(arguments.url, view.now, view.before);
  constexpr size_t kWidth = 40;
  const std::vector<std::string> curves = view.curves.lines(kWidth, util::locale_is_utf8());
  if (curves.empty()) return lines;
  lines.emplace_back();
  lines.insert(lines.end(), curves.begin(), curves.end());
  return lines;
}

int watch(const TopArguments& arguments, const std::string& url) {
  const auto interval = std::chrono::milliseconds(static_cast<int64_t>(arguments.interval * 1000));
  View view;
  look(arguments, url, view);
  const Terminal terminal;
  std::string failure;
  for (;;) {
    std::vector<std::string> lines = lines_of(arguments, view);
    if (!failure.empty()) lines.insert(lines.begin() + 1, "! " + failure);
    lines.insert(lines.end(), {"", "q quits"});
    terminal.draw(lines);
    if (const char key = terminal.wait_for_key(interval); key == 'q' || key == 'Q') return kSuccess;
    try {
      look(arguments, url, view);
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
  View view;
  look(arguments, url, view);
  for (const std::string& line : lines_of(arguments, view)) fmt::print("{}\n", line);
  return kSuccess;
}

}  // namespace sm::cli
