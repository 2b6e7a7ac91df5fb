#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/arguments.hpp"

namespace sm::cli {

// The command line, which fills `out`: the one place from which parsing, help,
// the manual and the completions come. `out` must outlive it.
std::unique_ptr<CLI::App> define(Arguments& out);

// Command lines that its help shows: "shumai top localhost:3000".
std::vector<std::string> examples_of(const std::string& command);

}  // namespace sm::cli
