#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace sm::cli {

// The command that the words begin with, for messages about what follows it; empty when there is none.
std::string command_in(const CLI::App& app);

// What is wrong with a command line that `app` refused, with what was meant where a name is misspelt.
std::string why_refused(const CLI::App& app, const CLI::ParseError& error);

}  // namespace sm::cli
