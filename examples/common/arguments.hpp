#pragma once

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

// The arguments of an example: `positional` ones in order, and "--name VALUE"
// for each name that `usage` mentions. Anything else prints the usage and exits
// with status 2.
class Arguments {
 public:
  Arguments(int argc, char** argv, std::string_view usage, size_t positional = 0) : usage_(usage) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view argument = argv[i];
      if (!argument.starts_with("-")) {
        positional_.emplace_back(argument);
        continue;
      }
      if (argument == "--help") leave(stdout, 0);
      if (argument.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") != argument.npos ||
          usage_.find(std::string("[").append(argument).append(" ")) == usage_.npos)
        fail("no such option: " + std::string(argument));
      if (++i == argc) fail(std::string(argument) + " needs a value");
      options_.push_back({std::string(argument), argv[i]});
    }
    if (positional_.size() != positional)
      fail("expected " + std::to_string(positional) + " arguments, got " + std::to_string(positional_.size()));
  }

  const std::string& positional(size_t index) const { return positional_.at(index); }

  long number(std::string_view option, long fallback, long low, long high) const {
    long value = fallback;
    for (const Option& given : options_)
      if (given.name == option) value = parse(option, given.value);
    if (value < low || value > high)
      fail(std::string(option) + " must be from " + std::to_string(low) + " to " + std::to_string(high) + ", got " +
           std::to_string(value));
    return value;
  }

  std::string text(std::string_view option, std::string fallback) const {
    for (const Option& given : options_)
      if (given.name == option) fallback = given.value;
    return fallback;
  }

  // One of `choices`; the first when it isn't given.
  std::string choice(std::string_view option, const std::vector<std::string>& choices) const {
    std::string value = choices.front();
    for (const Option& given : options_)
      if (given.name == option) value = given.value;
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
      fail(std::string(option) + ": no such choice, '" + value + "'");
    return value;
  }

 private:
  struct Option {
    std::string name;
    std::string value;
  };

  long parse(std::string_view name, std::string_view text) const {
    long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      fail(std::string(name) + " needs a number, got '" + std::string(text) + "'");
    return value;
  }

  [[noreturn]] void fail(const std::string& problem) const {
    std::fprintf(stderr, "%s\n", problem.c_str());
    leave(stderr, 2);
  }

  [[noreturn]] void leave(std::FILE* where, int status) const {
    std::fprintf(where, "usage: %s\n", usage_.c_str());
    std::exit(status);
  }

  std::string usage_;
  std::vector<std::string> positional_;
  std::vector<Option> options_;
};
