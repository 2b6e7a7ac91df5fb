#pragma once

#include <string>

#include "shumai/json_model.hpp"

// What a command works on: a model in a file, one behind a URL, or a program in JavaScript.
namespace sm::cli {

enum class Target { kModel, kScript, kUrl };

// By what exists and how it is written. Throws UsageError for what is none of these.
Target target_of(const std::string& text);

// The model of a file or of a directory of checkpoints, where it is that of the
// newest one that is whole. Throws Error.
nn::JsonModel model_of(const std::string& path);

// "3 layers, 1234 weights"
std::string summary_of(const nn::JsonModel& model);

}  // namespace sm::cli
