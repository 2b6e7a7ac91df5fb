#include <cmath>
#include <limits>
#include <optional>

#include <fmt/core.h>

#include "cli/commands.hpp"
#include "codec/file.hpp"
#include "codec/npy.hpp"
#include "codec/safetensors.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "shumai/ops.hpp"
#include "util/progress.hpp"

namespace sm::cli {
namespace {

struct File {
  Tensors tensors;
  codec::Metadata metadata;
  size_t hidden = 0;  // tensors that aren't shown
};

// Without the finished tickets of a server's checkpoint and their answers.
Tensors without_own(const Tensors& all) {
  Tensors out;
  for (const auto& [name, tensor] : all)
    if (!name.starts_with("shumai.")) out.set(name, tensor);
  return out;
}

// Checked as strictly as a message of a stranger.
File read(const std::string& path, bool all) {
  const util::BufferRef bytes = codec::read_file(path);
  File out;
  try {
    if (codec::is_npy(bytes->data(), bytes->size())) {
      out.tensors.set("tensor", codec::decode_npy(bytes, 0, bytes->size()));
    } else {
      constexpr codec::SafetensorsLimits kLimits = {.max_header_bytes = size_t{256} << 20, .max_tensors = 1'000'000};
      out.tensors = codec::decode_safetensors(bytes, 0, bytes->size(), &out.metadata, kLimits);
    }
  } catch (const Error& error) {
    throw Error(error.code(), "\"" + path + "\": " + error.what());
  }
  if (all) return out;
  Tensors shown = without_own(out.tensors);
  out.hidden = out.tensors.size() - shown.size();
  out.tensors = std::move(shown);
  return out;
}

struct Stats {
  double min = std::numeric_limits<double>::infinity(), max = -min, mean = 0;
  int64_t finite = 0, nan = 0, infinite = 0;
};

Stats stats_of(const Tensor& tensor) {
  Stats out;
  double sum = 0;
  for (const double value : tensor.to_vector<double>()) {
    if (std::isnan(value)) {
      ++out.nan;
    } else if (std::isinf(value)) {
      ++out.infinite;
    } else {
      ++out.finite;
      sum += value;
      out.min = std::min(out.min, value);
      out.max = std::max(out.max, value);
    }
  }
  out.mean = sum / static_cast<double>(out.finite);
  return out;
}

Json to_json(const Shape& shape) {
  Json out = Json::array();
  for (const int64_t size : shape) out.push_back(size);
  return out;
}

Json to_json(const Stats& stats) {
  Json out = Json::object({{"min", {}}, {"max", {}}, {"mean", {}}, {"nan", stats.nan}, {"infinite", stats.infinite}});
  if (stats.finite == 0) return out;
  out["min"] = stats.min;
  out["max"] = stats.max;
  out["mean"] = stats.mean;
  return out;
}

// Metadata that is JSON itself, such as a model's description, as what it is.
Json to_json(const codec::Metadata& metadata) {
  Json out = Json::object();
  for (const auto& [key, text] : metadata) {
    out[key] = text;
    if (!text.starts_with('{') && !text.starts_with('[')) continue;
    try {
      out[key] = Json::parse(text);
    } catch (const Error&) {  // it only looked like it
    }
  }
  return out;
}

void print_json(const File& file, bool with_stats) {
  Json tensors = Json::array();
  for (const auto& [name, tensor] : file.tensors) {
    Json entry = Json::object({{"name", name},
                               {"dtype", name_of(tensor.dtype())},
                               {"shape", to_json(tensor.shape())},
                               {"bytes", tensor.nbytes()}});
    if (with_stats) entry["stats"] = to_json(stats_of(tensor));
    tensors.push_back(std::move(entry));
  }
  fmt::print(
      "{}\n",
      Json::object({{"tensors", std::move(tensors)}, {"metadata", to_json(file.metadata)}, {"hidden", file.hidden}})
          .dump());
}

std::string text_of(const Stats& stats) {
  if (stats.finite == 0) return fmt::format("no finite value, {} NaN, {} infinite", stats.nan, stats.infinite);
  return fmt::format("min {:.6g}, max {:.6g}, mean {:.6g}, {} NaN, {} infinite", stats.min, stats.max, stats.mean,
                     stats.nan, stats.infinite);
}

// Control characters of a file must not reach the terminal.
std::string printable(const std::string& text) { return util::fitted(text, std::numeric_limits<int>::max()); }

void print_text(const File& file, bool with_stats) {
  size_t name_width = 4, shape_width = 5, bytes = 0;
  for (const auto& [name, tensor] : file.tensors) {
    name_width = std::max(name_width, printable(name).size());
    shape_width = std::max(shape_width, tensor.shape().to_string().size());
    bytes += tensor.nbytes();
  }
  for (const auto& [name, tensor] : file.tensors) {
    fmt::print("{:{}}  {:8}  {:{}}  {:>12}{}{}\n", printable(name), name_width, name_of(tensor.dtype()),
               tensor.shape().to_string(), shape_width, tensor.nbytes(), with_stats ? "  " : "",
               with_stats ? text_of(stats_of(tensor)) : "");
  }
  fmt::print("{} tensor{}, {} bytes{}\n", file.tensors.size(), file.tensors.size() == 1 ? "" : "s", bytes,
             file.hidden ? fmt::format("; {} of the server's own (--all)", file.hidden) : "");
  for (const auto& [key, text] : file.metadata) fmt::print("{}: {}\n", printable(key), printable(text));
}

}  // namespace

int inspect(const InspectArguments& arguments) {
  const File file = read(arguments.file, arguments.all);
  if (arguments.json)
    print_json(file, arguments.stats);
  else
    print_text(file, arguments.stats);
  return kSuccess;
}

}  // namespace sm::cli
