#pragma once

#include <string>
#include <utility>
#include <vector>

// Models and servers that are JavaScript.
namespace sm::cli {

struct ScriptOptions {
  std::string runtime;  // a program; empty: by the script's ending and SHUMAI_RUNTIME
  bool keep_going = false;
  // Set for the script, which finds them in its environment.
  std::vector<std::pair<std::string, std::string>> environment = {};
};

// Becomes the runtime that runs `file`, so that signals reach it and its exit
// code is ours. What the file does by itself it does; if it exports a function
// as its default, that is a model, and `command` ("serve", "train" or "infer")
// is done with it. Returns only by throwing Error.
[[noreturn]] int run_script(const std::string& command, const std::string& file,
                            const std::vector<std::string>& arguments, const ScriptOptions& options);

}  // namespace sm::cli
