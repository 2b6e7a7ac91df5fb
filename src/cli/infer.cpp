#include <algorithm>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>

#include <fmt/core.h>

#include "cli/access.hpp"
#include "cli/commands.hpp"
#include "cli/script.hpp"
#include "cli/target.hpp"
#include "cli/usage.hpp"
#include "codec/json_tensor.hpp"
#include "codec/npy.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"
#include "shumai/readable.hpp"

namespace sm::cli {
namespace {

using Model = std::function<Task<Tensor>(Tensor)>;

Task<Tensor> call_local(nn::JsonModel model, Tensor input) {
  const NoGrad no_grad;
  co_return model(input);
}

Model model_for(const InferArguments& arguments, Target target) {
  if (target == Target::kUrl) {
    return [url = base_url(arguments.model) + "/forward", options = fetch_options(arguments.access)](Tensor input) {
      io::FetchOptions each = options;
      each.repeatable = true;
      return io::tfetch(url, std::move(input), std::move(each));
    };
  }
  const nn::JsonModel model = model_of(arguments.model);
  model.eval();
  return [model](Tensor input) { return call_local(model, std::move(input)); };
}

// A tensor as a line of JSON, or readable.
Tensor read_line(const std::string& line, bool json) {
  if (!json && !line.starts_with('{')) return io::decode_readable(line);
  const Tensors all = codec::decode_json(line);
  if (all.size() != 1) throw Error(ErrorCode::kProtocol, "expected one tensor, got " + std::to_string(all.size()));
  return all.at(0).second;
}

void write_line(const Tensor& tensor, bool json) {
  std::cout << (json ? codec::encode_json(tensor) : io::encode_readable(tensor)) << std::endl;
}

Task<int> infer_lines(const InferArguments& arguments, Model model) {
  std::string line;
  int64_t number = 0, failures = 0;
  while (std::getline(std::cin, line)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    std::string failure;
    try {
      const Tensor output = co_await model(read_line(line, arguments.json));
      write_line(output, arguments.json);
    } catch (const Error& error) {
      // Without the server no further line has an answer either.
      if (error.code() == ErrorCode::kConnection || error.code() == ErrorCode::kUnauthorized) throw;
      failure = error.what();
    }
    if (!failure.empty()) {
      ++failures;
      fmt::print(stderr, "shumai: infer: line {}: {}\n", number, failure);
    }
    if (!std::cout) throw Error(ErrorCode::kInternal, "standard output is closed");
  }
  co_return failures > 0 && !arguments.keep_going ? kFailure : kSuccess;
}

Task<int> infer_npy(Model model) {
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  const util::BufferRef buffer = util::Buffer::allocate(bytes.size());
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(buffer->data()));
  Tensor input = codec::decode_npy(buffer, 0, buffer->size());
  const Tensor output = co_await model(std::move(input));
  for (const util::Slice& piece : codec::encode_npy(output))
    std::cout.write(reinterpret_cast<const char*>(piece.data), static_cast<std::streamsize>(piece.size));
  if (!std::cout.flush()) throw Error(ErrorCode::kInternal, "standard output is closed");
  co_return kSuccess;
}

}  // namespace

int infer(const InferArguments& arguments) {
  if (arguments.json && arguments.npy) throw UsageError("--json and --npy exclude each other");
  const Target target = target_of(arguments.model);
  if (target == Target::kScript) {
    if (arguments.json || arguments.npy)
      throw UsageError("a script reads and writes readable lines: no --json, no --npy");
    return run_script("infer", arguments.model, {}, {.runtime = arguments.runtime, .keep_going = arguments.keep_going});
  }
  const Model model = model_for(arguments, target);
  return arguments.npy ? run(infer_npy(model)) : run(infer_lines(arguments, model));
}

}  // namespace sm::cli
