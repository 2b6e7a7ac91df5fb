#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/inference.hpp"
#include "shumai/content.hpp"
#include "shumai/serve_options.hpp"

namespace sm::io {

// "v2" and what is below it: the Open Inference Protocol's.
bool is_inference_path(std::string_view path);

// What a request of the protocol asks for.
struct InferenceTarget {
  enum class Kind : uint8_t { kServer, kLive, kReady, kModel, kModelReady, kInfer };
  Kind kind = Kind::kServer;
  std::string model;
  std::optional<std::string> version;

  // Throws Error (kNotFound) for a path of no endpoint; it begins with "v2".
  static InferenceTarget parse(std::string_view path);
  // Throws Error (kNotFound) when another version of the weights was asked for.
  void check_version(uint64_t version) const;
};

// What a message carried, for metadata.
using TensorInfos = std::vector<InferenceModel::TensorInfo>;
// A route as a model of the protocol. Thread-safe.
class ServedModel {
 public:
  // Throws Error (kInvalidArgument) for a name that no path can have, and tensors named twice.
  explicit ServedModel(InferenceModel model);

  const std::string& name() const noexcept { return model_.name; }
  const std::string& route() const noexcept { return model_.route; }

  // What the handler gets. Throws Error (kInvalidArgument, kDTypeMismatch,
  // kShapeMismatch) for other inputs than the options tell.
  Content bind(const Tensors& inputs, bool takes_names) const;

  // The outputs that were asked for. Throws Error: kInvalidArgument for one
  // that there isn't, kInternal for an answer that isn't tensors.
  std::vector<codec::InferenceResponse::Output> choose(const Content& answer,
                                                       const codec::InferenceRequest& request) const;

  // A call went well. Sizes that differ between calls become -1.
  void saw(const Content& inputs, const Content& outputs);

  Json metadata(uint64_t version) const;

 private:
  Tensors name_outputs(const Content& answer) const;

  const InferenceModel model_;
  mutable std::mutex mutex_;
  TensorInfos inputs_, outputs_;  // guarded by mutex_
};

}  // namespace sm::io
