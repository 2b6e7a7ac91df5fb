#include "cli/script.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "shumai/error.hpp"

namespace sm::cli {
namespace {

// The package that the file imports has left its commands where this finds them, whatever its name and place are.
constexpr const char* kBootstrap = R"js(
import { pathToFileURL } from 'node:url'
const command = process.env.SHUMAI_COMMAND
const file = process.argv[1]
const module = await import(pathToFileURL(file).href)
if (typeof module.default === 'function' || command !== 'serve') {
  const commands = globalThis[Symbol.for('shumai.commands')]
  if (commands === undefined) {
    console.error(`shumai: ${command}: ${file} doesn't import shumai`)
    process.exit(1)
  }
  await commands[command](module)
}
)js";

bool is_typescript(const std::string& file) { return file.ends_with(".ts") || file.ends_with(".mts"); }

std::string runtime_for(const std::string& file, const std::string& asked_for) {
  if (!asked_for.empty()) return asked_for;
  if (const char* runtime = std::getenv("SHUMAI_RUNTIME"); runtime && *runtime) return runtime;
  return is_typescript(file) ? "bun" : "node";
}

bool is_bun(const std::string& runtime) {
  return std::filesystem::path(runtime).filename().string().find("bun") != std::string::npos;
}

}  // namespace

int run_script(const std::string& command, const std::string& file, const std::vector<std::string>& arguments,
               const ScriptOptions& options) {
  const std::string runtime = runtime_for(file, options.runtime);
  std::vector<std::string> words = {runtime};
  if (!is_bun(runtime)) words.push_back("--input-type=module");
  words.insert(words.end(), {"-e", kBootstrap, "--", std::filesystem::absolute(file).string()});
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  setenv("SHUMAI_COMMAND", command.c_str(), 1);
  if (options.keep_going) setenv("SHUMAI_KEEP_GOING", "1", 1);
  for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
  execvp(argv[0], argv.data());
  throw Error(ErrorCode::kNotFound,
              "can't run \"" + runtime + "\": " + std::strerror(errno) + "; --runtime or SHUMAI_RUNTIME names another");
}

}  // namespace sm::cli
