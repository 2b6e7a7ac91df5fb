#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include "cli/commands.hpp"
#include "cli/definition.hpp"
#include "cli/refusal.hpp"
#include "cli/shells.hpp"
#include "cli/usage.hpp"
#include "shumai/error.hpp"

namespace {

using namespace sm::cli;

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return std::fflush(stdout) == 0 ? kSuccess : kFailure;
}

int run(const CLI::App& app, const std::string& command, const Arguments& arguments) {
  if (command == "serve") return serve(arguments.serve);
  if (command == "train") return train(arguments.train);
  if (command == "infer") return infer(arguments.infer);
  if (command == "bench") return bench(arguments.bench);
  if (command == "top") return top(arguments.top);
  if (command == "inspect") return inspect(arguments.inspect);
  if (command == "completion") return print(completion(app, arguments.shell));
  return print(manual(app));
}

int refuse(const std::string& command, const std::string& message) {
  const std::string name = command.empty() ? "" : command + ": ";
  std::fprintf(stderr, "shumai: %s%s (see shumai %s--help)\n", name.c_str(), message.c_str(),
               command.empty() ? "" : (command + " ").c_str());
  return kUsage;
}

int guarded(const std::string& command, const std::function<int()>& action) {
  try {
    return action();
  } catch (const UsageError& error) {
    return refuse(command, error.what());
  } catch (const std::exception& error) {
    const std::string message = error.what();
    // serve() names itself.
    const bool named = message.starts_with(command + ": ");
    std::fprintf(stderr, "shumai: %s%s\n", named ? "" : (command + ": ").c_str(), message.c_str());
  }
  return kFailure;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const auto app = define(arguments);
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app->exit(error);
    return refuse(command_in(*app), why_refused(*app, error));
  }
  // A reader that has enough, as head has, is told from a write that fails.
  std::signal(SIGPIPE, SIG_DFL);
  const std::string command = command_in(*app);
  return guarded(command, [&] { return run(*app, command, arguments); });
}
