#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace sm::cli {

// A script for "bash", "zsh" or "fish" that completes the commands and options of `app`.
std::string completion(const CLI::App& app, const std::string& shell);

// The manual page in roff, of section 1.
std::string manual(const CLI::App& app);

}  // namespace sm::cli
