#include "cli/refusal.hpp"

#include <algorithm>
#include <vector>

#include "util/nearest.hpp"

namespace sm::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  return names;
}

// CLI11 lists what is left from its end.
const std::string& misfit(const std::vector<std::string>& left) {
  for (auto word = left.rbegin(); word != left.rend(); ++word)
    if (word->starts_with("-") && word->size() > 1) return *word;
  return left.back();
}

}  // namespace

std::string command_in(const CLI::App& app) {
  const auto used = app.get_subcommands();
  return used.empty() ? "" : used.front()->get_name();
}

std::string why_refused(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> left = app.remaining(true);
  const std::string command = command_in(app);
  if (command.empty()) {
    const std::vector<std::string> known = command_names(app);
    const std::string there = "there is " + joined(known);
    if (left.empty() || left.front().starts_with("-"))
      return (left.empty() ? "" : "no option " + left.front() + " before a command; ") + "expected a command, " + there;
    return "no command \"" + left.front() + "\", " + there + util::did_you_mean(left.front(), known);
  }
  if (left.empty() || error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError)) return error.what();
  const std::string& word = misfit(left);
  const CLI::App& used = *app.get_subcommand(command);
  if (word.starts_with("-") && word.size() > 1)
    return "no option " + word +
           util::did_you_mean(word.substr(std::min(word.find_first_not_of('-'), word.size())), option_names(used));
  const bool lines = command == "infer" || command == "train";
  return "no place for the argument \"" + word + "\"" +
         (lines ? "; tensors come from standard input or a file, a line each" : "");
}

}  // namespace sm::cli
