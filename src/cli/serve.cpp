#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include <fmt/core.h>

#include "cli/commands.hpp"
#include "cli/learning.hpp"
#include "cli/limits.hpp"
#include "cli/script.hpp"
#include "cli/target.hpp"
#include "cli/usage.hpp"
#include "shumai/error.hpp"
#include "shumai/io.hpp"
#include "shumai/random.hpp"

namespace sm::cli {
namespace {

io::StalenessOptions staleness_of(const std::string& text) {
  using Policy = io::StalenessOptions::Policy;
  if (text == "accept") return {Policy::kAccept, 0};
  if (text == "scale") return {Policy::kScale, 0};
  constexpr std::string_view kReject = "reject:";
  uint64_t limit = 0;
  const std::string_view number = text.starts_with(kReject) ? std::string_view(text).substr(kReject.size()) : "";
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), limit);
  if (!number.empty() && error == std::errc() && end == number.data() + number.size()) return {Policy::kReject, limit};
  throw UsageError("--staleness must be accept, scale or reject:N, got \"" + text + "\"");
}

io::ServeOptions options_of(const ServeArguments& arguments) {
  io::ServeOptions options;
  options.port = static_cast<uint16_t>(arguments.port);
  options.hostname = arguments.host;
  options.insecure = arguments.insecure;
  options.token_file = arguments.token_file;
  const char* const token = std::getenv("SHUMAI_TOKEN");
  options.token_from_environment = token && *token;
  options.tls.cert_file = arguments.tls_cert;
  options.tls.key_file = arguments.tls_key;
  options.tls.client_ca_file = arguments.tls_client_ca;
  options.cors = arguments.cors;
  options.allowed_hosts = arguments.allowed_hosts;
  options.threads = arguments.threads;
  options.staleness = staleness_of(arguments.staleness);
  if (arguments.max_norm > 0) options.guard.max_norm = arguments.max_norm;
  for (const std::string& limit : arguments.limits) set_limit(options.limits, limit);
  options.replicas.rendezvous = arguments.replicas;
  options.replicas.group = arguments.replica_group;
  options.replicas.id = arguments.replica_id;
  options.replicas.address = arguments.replica_address;
  options.replicas.every = arguments.replica_every;
  options.replicas.synchronous = arguments.replica_synchronous;
  options.checkpoint.directory = arguments.checkpoint;
  // A directory of checkpoints is resumed where it is.
  if (arguments.checkpoint.empty() && !arguments.frozen && std::filesystem::is_directory(arguments.model))
    options.checkpoint.directory = arguments.model;
  options.checkpoint.durability =
      arguments.durability == "every-update" ? io::Durability::kEveryUpdate : io::Durability::kInterval;
  options.checkpoint.interval = std::chrono::milliseconds(static_cast<int64_t>(arguments.interval * 1000));
  options.checkpoint.keep = arguments.keep;
  return options;
}

// For inference alone: dropout is off, batch norms use what they have learned, and nothing moves the weights.
io::Server serve_frozen(const nn::JsonModel& model, io::ServeOptions options) {
  model.eval();
  return io::serve({{"forward",
                     [model](io::User&, const Tensor& x) {
                       const NoGrad no_grad;
                       return model(x);
                     }}},
                   std::move(options));
}

int serve_file(const ServeArguments& arguments) {
  if (arguments.frozen && !arguments.checkpoint.empty())
    throw UsageError("--frozen has nothing to save: give the checkpoints as MODEL instead of --checkpoint");
  if (arguments.frozen && !arguments.replicas.empty())
    throw UsageError("--frozen learns nothing that --replicas could average");
  io::ServeOptions options = options_of(arguments);
  const optim::Optimizer optimizer =
      optimizer_of({arguments.optimizer, arguments.learning_rate, arguments.momentum, arguments.weight_decay});
  if (arguments.seed >= 0) manual_seed(static_cast<uint64_t>(arguments.seed));
  const nn::JsonModel model = model_of(arguments.model);
  io::Server server = arguments.frozen ? serve_frozen(model, std::move(options))
                                       : io::serve_model(model, optimizer, std::move(options));
  std::signal(SIGPIPE, SIG_IGN);  // a log that nobody reads any more is no reason to end
  fmt::print("serving {} ({}) at {}\n", arguments.model, summary_of(model), server.url());
  std::fflush(stdout);
  server.wait();
  return kSuccess;
}

int serve_script(const ServeArguments& arguments) {
  if (!arguments.replicas.empty()) throw UsageError("--replicas is said in the script itself");
  if (!arguments.cors.empty() || !arguments.allowed_hosts.empty())
    throw UsageError("--cors and --allowed-host are said in the script itself");
  ScriptOptions options{.runtime = arguments.runtime};
  if (arguments.port_given) options.environment.emplace_back("SHUMAI_PORT", std::to_string(arguments.port));
  if (arguments.host_given) options.environment.emplace_back("SHUMAI_HOST", arguments.host);
  if (arguments.insecure) options.environment.emplace_back("SHUMAI_INSECURE", "1");
  for (const auto& [name, file] : {std::pair{"SHUMAI_TOKEN_FILE", arguments.token_file},
                                   {"SHUMAI_TLS_CERT", arguments.tls_cert},
                                   {"SHUMAI_TLS_KEY", arguments.tls_key},
                                   {"SHUMAI_TLS_CLIENT_CA", arguments.tls_client_ca}})
    if (!file.empty()) options.environment.emplace_back(name, std::filesystem::absolute(file));
  run_script("serve", arguments.model, arguments.rest, options);
}

}  // namespace

int serve(const ServeArguments& arguments) {
  switch (target_of(arguments.model)) {
    case Target::kScript:
      return serve_script(arguments);
    case Target::kUrl:
      throw UsageError("\"" + arguments.model + "\" is served already: give a model's file, or a script");
    case Target::kModel:
      if (!arguments.rest.empty())
        throw UsageError("only a script takes further arguments, got \"" + arguments.rest[0] + "\"");
  }
  return serve_file(arguments);
}

}  // namespace sm::cli
