#include "cli/target.hpp"

#include <algorithm>
#include <filesystem>
#include <regex>
#include <vector>

#include "cli/usage.hpp"
#include "serve/checkpoint.hpp"
#include "shumai/error.hpp"
#include "util/log.hpp"

namespace sm::cli {
namespace {

namespace fs = std::filesystem;

bool is_script(const fs::path& path) {
  constexpr std::string_view kEndings[] = {".js", ".mjs", ".cjs", ".ts", ".mts"};
  return std::find(std::begin(kEndings), std::end(kEndings), path.extension().string()) != std::end(kEndings);
}

bool is_url(const std::string& text) {
  static const std::regex kHostAndPort(R"(([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):[0-9]+(/.*)?)");
  return text.find("://") != text.npos || text.starts_with("unix:") || text == "localhost" ||
         std::regex_match(text, kHostAndPort);
}

// Newest first: the numbers have as many digits, all of them.
std::vector<std::string> checkpoints_in(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("checkpoint-") && name.ends_with(".safetensors")) files.push_back(entry.path());
  }
  std::sort(files.rbegin(), files.rend());
  return files;
}

// A server's has 20 digits; those of Module::checkpoint have fewer, and are files of a model.
bool is_of_server(const std::string& file) { return fs::path(file).filename().string().size() == 43; }

nn::JsonModel model_in(const std::string& file) {
  if (!is_of_server(file)) return nn::open_model(file);
  const io::Checkpoint checkpoint = io::read_checkpoint(file);
  if (checkpoint.model.empty())
    throw Error(ErrorCode::kInvalidArgument, "\"" + file + "\" doesn't say of which model it is");
  nn::JsonModel model(Json::parse(checkpoint.model));
  Tensors weights;
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (!name.starts_with("optimizer.") && !name.starts_with(io::kReplicaState)) weights.set(name, tensor);
  model.load_state(weights);
  return model;
}

}  // namespace

Target target_of(const std::string& text) {
  std::error_code ignored;
  if (fs::exists(text, ignored)) return is_script(text) ? Target::kScript : Target::kModel;
  if (is_url(text)) return Target::kUrl;
  throw UsageError("\"" + text + "\" is no file or directory here, and no URL such as localhost:3000");
}

nn::JsonModel model_of(const std::string& path) {
  if (!fs::is_directory(path)) return nn::open_model(path);
  for (const std::string& file : checkpoints_in(path)) {
    try {
      return model_in(file);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kProtocol) throw;
      util::log_warning("skipped " + file + ": " + error.what());
    }
  }
  throw Error(ErrorCode::kNotFound, "\"" + path + "\" has no checkpoint that can be read");
}

std::string summary_of(const nn::JsonModel& model) {
  int64_t weights = 0;
  for (const Tensor& tensor : model.parameters()) weights += tensor.elements();
  const auto plural = [](int64_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); };
  return plural(static_cast<int64_t>(model.size()), "layer") + ", " + plural(weights, "weight");
}

}  // namespace sm::cli
