#include <stdexcept>

#include <fmt/core.h>

#include "cli/shells.hpp"

namespace sm::cli {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

std::vector<const CLI::Option*> options_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_positional(); });
}

bool takes_file(const CLI::Option& option) {
  return option.get_type_name() == "FILE" || option.get_type_name() == "DIR";
}
bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// What a set of words allows, as the check's description "{a,b}" has it.
std::string choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}');
  if (open == type.npos || close == type.npos) return "";
  std::string words = type.substr(open + 1, close - open - 1);
  for (char& c : words)
    if (c == ',') c = ' ';
  return words;
}

std::string flags_of(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : options_of(app))
    for (const std::string& name : option->get_lnames()) out += (out.empty() ? "--" : " --") + name;
  return out;
}

std::string names_of(const std::vector<const CLI::App*>& commands) {
  std::string out;
  for (const CLI::App* command : commands) out += (out.empty() ? "" : " ") + command->get_name();
  return out;
}

std::string bash(const CLI::App& app) {
  std::string cases, values;
  for (const CLI::App* command : commands_of(app)) {
    cases += fmt::format("    {}) words='{}' ;;\n", command->get_name(),
                         command->get_name() == "completion" ? "bash zsh fish" : flags_of(*command));
    for (const CLI::Option* option : options_of(*command)) {
      const std::string choices = choices_of(*option);
      if (!choices.empty())
        values += fmt::format("    {}:--{}) words='{}' ;;\n", command->get_name(), option->get_lnames()[0], choices);
    }
  }
  return fmt::format(R"(# bash completion of shumai
_shumai() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command=${{COMP_WORDS[1]}} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W '{} {}' -- "$current")
    return
  fi
  case $command:$before in
{}  esac
  [ -n "$words" ] || [[ $current != -* && $command != completion ]] || case $command in
{}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o bashdefault -o default -F _shumai shumai
)",
                     names_of(commands_of(app)), flags_of(app), values, cases);
}

// Within single quotes, where zsh's _arguments gives colons and brackets a meaning.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (c == ':' || c == '[' || c == ']') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh(const CLI::App& app) {
  std::string list, cases;
  for (const CLI::App* command : commands_of(app)) {
    list += fmt::format("    '{}:{}'\n", command->get_name(), zsh_text(command->get_description()));
    cases += fmt::format("    {})\n      _arguments", command->get_name());
    for (const CLI::Option* option : options_of(*command)) {
      const std::string choices = choices_of(*option);
      const std::string value = !takes_value(*option) ? ""
                                : !choices.empty()    ? ":value:(" + choices + ")"
                                : takes_file(*option) ? ":file:_files"
                                                      : ":value: ";
      cases +=
          fmt::format(" \\\n        '--{}[{}]{}'", option->get_lnames()[0], zsh_text(option->get_description()), value);
    }
    cases += command->get_name() == "completion" ? " \\\n        '1:shell:(bash zsh fish)'\n"
                                                 : " \\\n        '*:file:_files'\n";
    cases += "      ;;\n";
  }
  return fmt::format(R"(#compdef shumai
_shumai() {{
  local -a commands
  commands=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
compdef _shumai shumai
)",
                     list, cases);
}

std::string fish_text(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out;
}

std::string fish(const CLI::App& app) {
  std::string out = "# fish completion of shumai\n";
  for (const CLI::App* command : commands_of(app))
    out += fmt::format("complete -c shumai -n __fish_use_subcommand -f -a {} -d '{}'\n", command->get_name(),
                       fish_text(command->get_description()));
  for (const CLI::App* command : commands_of(app)) {
    for (const CLI::Option* option : options_of(*command)) {
      const std::string choices = choices_of(*option);
      const std::string value = !takes_value(*option) ? ""
                                : !choices.empty()    ? " -x -a '" + choices + "'"
                                : takes_file(*option) ? " -r"
                                                      : " -x";
      out += fmt::format("complete -c shumai -n '__fish_seen_subcommand_from {}' -l {} -d '{}'{}\n",
                         command->get_name(), option->get_lnames()[0], fish_text(option->get_description()), value);
    }
  }
  return out + "complete -c shumai -n '__fish_seen_subcommand_from completion' -x -a 'bash zsh fish'\n";
}

}  // namespace

std::string completion(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") return bash(app);
  if (shell == "zsh") return zsh(app);
  if (shell == "fish") return fish(app);
  throw std::logic_error("no shell " + shell);
}

}  // namespace sm::cli
