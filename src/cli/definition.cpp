#include "cli/definition.hpp"

#include "cli/learning.hpp"
#include "cli/limits.hpp"

namespace sm::cli {
namespace {

// Messages of CLI11's own validators name a range that ends at the largest double.
CLI::Validator number_that(const char* rule, bool (*fits)(double)) {
  const auto problem = [=](const std::string& text) {
    double value = 0;
    const bool good = CLI::detail::lexical_cast(text, value) && fits(value);
    return good ? std::string() : "expected a number " + std::string(rule) + ", got \"" + text + "\"";
  };
  return {problem, ""};
}
const CLI::Validator kNotNegative = number_that("of 0 or more", [](double value) { return value >= 0; });
const CLI::Validator kPositive = number_that("above 0", [](double value) { return value > 0; });

void add_access(CLI::App& app, Access& access) {
  app.add_option("--token-file", access.token_file,
                 "A file with the token, alone or as a server has it; else SHUMAI_TOKEN")
      ->type_name("FILE");
  app.add_option("--ca", access.ca, "Whom to trust for https, in PEM; else the system's authorities")
      ->type_name("FILE");
  CLI::Option* const cert = app.add_option("--cert", access.cert, "The certificate for servers that want one, in PEM");
  CLI::Option* const key = app.add_option("--key", access.key, "Its key");
  cert->type_name("FILE")->needs(key);
  key->type_name("FILE")->needs(cert);
  app.add_option("--timeout", access.timeout, "For each request, retries included, in seconds")
      ->type_name("S")
      ->check(kPositive)
      ->capture_default_str();
}

void add_runtime(CLI::App& app, std::string& runtime) {
  app.add_option("--runtime", runtime,
                 "What runs a script: node, bun or a path; else SHUMAI_RUNTIME, else by its ending")
      ->type_name("PROGRAM");
}

template <class T>
void add_optimizer(CLI::App& app, T& out) {
  app.add_option("--optimizer", out.optimizer, "What moves the weights of a model's file")
      ->type_name("NAME")
      ->check(CLI::IsMember(optimizer_names()))
      ->capture_default_str();
  app.add_option("--lr", out.learning_rate, "Its learning rate")
      ->type_name("X")
      ->check(kNotNegative)
      ->capture_default_str();
  app.add_option("--momentum", out.momentum, "For sgd and rmsprop")->type_name("X")->check(kNotNegative);
  app.add_option("--weight-decay", out.weight_decay, "For every optimizer")->type_name("X")->check(kNotNegative);
}

void define_serve_model(CLI::App& app, ServeArguments& out) {
  add_optimizer(app, out);
  app.add_option("--checkpoint", out.checkpoint, "Saves what is learned, and resumes from the newest file there")
      ->type_name("DIR");
  app.add_option("--durability", out.durability, "Save now and then, or each update before it is acknowledged")
      ->type_name("WHEN")
      ->check(CLI::IsMember(std::vector<std::string>{"interval", "every-update"}))
      ->capture_default_str();
  app.add_option("--interval", out.interval, "Between two checkpoints, in seconds")
      ->type_name("S")
      ->check(kPositive)
      ->capture_default_str();
  app.add_option("--keep", out.keep, "How many checkpoints stay")
      ->type_name("N")
      ->check(kPositive)
      ->capture_default_str();
  app.add_option("--staleness", out.staleness,
                 "Gradients of older weights: accept, scale, or reject:N beyond N updates")
      ->type_name("POLICY")
      ->capture_default_str();
  app.add_option("--max-norm", out.max_norm, "Refuses gradients of a larger norm")->type_name("X")->check(kPositive);
  app.add_option("--limit", out.limits, "Sets a limit of docs/limits.md, as in max_tickets=1000 or ticket_lifetime=60s")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--seed", out.seed, "For the initial weights and dropout; else by chance")
      ->type_name("N")
      ->check(kNotNegative);
  app.add_option("--threads", out.threads, "That read, write and compute")
      ->type_name("N")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_flag("--frozen", out.frozen, "Inference alone: no /optimize, and dropout is off");
}

void define_replicas(CLI::App& app, ServeArguments& out) {
  CLI::Option* const place =
      app.add_option("--replicas", out.replicas,
                     "Learns together with other servers of the model, which meet in this folder or redis://HOST:PORT");
  place->type_name("PLACE");
  app.add_option("--group", out.replica_group, "Tells groups in one place apart")
      ->type_name("NAME")
      ->needs(place)
      ->capture_default_str();
  app.add_option("--replica-id", out.replica_id,
                 "This server's name there, the same after a restart; else host and port")
      ->type_name("NAME")
      ->needs(place);
  app.add_option("--replica-address", out.replica_address, "Where the other replicas reach this machine")
      ->type_name("ADDRESS")
      ->needs(place)
      ->capture_default_str();
  app.add_option("--average-every", out.replica_every, "Updates between two averages of the replicas")
      ->type_name("N")
      ->needs(place)
      ->check(kPositive)
      ->capture_default_str();
  app.add_flag("--synchronous", out.replica_synchronous, "Averages each update before it is acknowledged")
      ->needs(place);
}

void define_serve(CLI::App& app, ServeArguments& out) {
  app.add_option("MODEL", out.model,
                 "A model's JSON, safetensors file or directory of checkpoints; or a script in JavaScript")
      ->required();
  app.add_option("ARGS", out.rest, "For the script");
  app.add_option("--port", out.port, "Where it listens; 0 for any free one")
      ->type_name("N")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str()
      ->each([&out](const std::string&) { out.port_given = true; });
  app.add_option("--host", out.host, "The address, or unix:/path")
      ->type_name("ADDRESS")
      ->capture_default_str()
      ->each([&out](const std::string&) { out.host_given = true; });
  app.add_flag("--insecure", out.insecure, "Allows an address that others can reach without a token");
  app.add_option("--token-file", out.token_file,
                 "Clients need a token of this file, lines \"name secret [route,...]\"; or what SHUMAI_TOKEN says")
      ->type_name("FILE");
  CLI::Option* const cert = app.add_option("--tls-cert", out.tls_cert, "Serves https with this certificate, in PEM");
  CLI::Option* const key = app.add_option("--tls-key", out.tls_key, "Its key");
  cert->type_name("FILE")->needs(key);
  key->type_name("FILE")->needs(cert);
  app.add_option("--tls-client-ca", out.tls_client_ca, "Clients need a certificate that one of these signed")
      ->type_name("FILE")
      ->needs(cert);
  app.add_option("--cors", out.cors, "An origin whose pages may call from a browser")
      ->type_name("ORIGIN")
      ->allow_extra_args(false);
  app.add_option("--allowed-host", out.allowed_hosts,
                 "A name, such as a proxy's, by which it may be called without tokens")
      ->type_name("NAME")
      ->allow_extra_args(false);
  define_serve_model(app, out);
  define_replicas(app, out);
  add_runtime(app, out.runtime);
}

void define_train(CLI::App& app, TrainArguments& out) {
  app.add_option("MODEL", out.model,
                 "A model's file, the URL of a served one, or a script that exports model, loss and backward")
      ->required();
  app.add_option(
         "--data", out.data,
         "Examples: two files x and y (.npy or .safetensors), one .safetensors with both, or lines \"x | y\" (- for "
         "standard input)")
      ->type_name("FILE")
      ->expected(1, 2);
  app.add_option("--names", out.names, "What x and y are called in a .safetensors")
      ->type_name("X,Y")
      ->capture_default_str();
  app.add_option("--loss", out.loss, "What is made small")
      ->type_name("NAME")
      ->check(CLI::IsMember(loss_names()))
      ->capture_default_str();
  app.add_option("--batch", out.batch, "Examples a step")->type_name("N")->check(kPositive)->capture_default_str();
  app.add_option("--epochs", out.epochs, "Times through the data")
      ->type_name("N")
      ->check(kPositive)
      ->capture_default_str();
  app.add_option("--held-out", out.held_out, "The share of examples that only judge")
      ->type_name("SHARE")
      ->check(CLI::Range(0.0, 0.99))
      ->capture_default_str();
  app.add_option("--seed", out.seed, "For the order of the examples, the initial weights and dropout")
      ->type_name("N")
      ->capture_default_str();
  add_optimizer(app, out);
  app.add_option("--in-flight", out.in_flight, "Steps at the same time, for a URL")
      ->type_name("N")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--save", out.save, "Where a model's file is written; else MODEL itself, with the ending .safetensors")
      ->type_name("FILE");
  app.add_flag("--json", out.json, "The outcome as JSON");
  add_runtime(app, out.runtime);
  add_access(app, out.access);
}

void define_infer(CLI::App& app, InferArguments& out) {
  app.add_option("MODEL", out.model, "A model's file, the URL of a served one, or a script that exports one")
      ->required();
  app.add_flag("--json", out.json, "Reads and writes lines of JSON");
  app.add_flag("--npy", out.npy, "Reads one .npy file and writes one");
  app.add_flag("--keep-going", out.keep_going, "Bad lines don't make the exit code 1");
  add_runtime(app, out.runtime);
  add_access(app, out.access);
}

void define_bench(CLI::App& app, BenchArguments& out) {
  app.add_option("URL", out.url, "A running server, of ours or any that takes POST")->required();
  app.add_option("--route", out.route, "What is called")->type_name("NAME")->capture_default_str();
  app.add_option("--shape", out.shape, "Of the tensor that is sent")->type_name("N,N,...")->capture_default_str();
  app.add_option("--dtype", out.dtype, "Of the tensor that is sent")->type_name("DTYPE")->capture_default_str();
  app.add_option("--format", out.format, "How it is sent")
      ->type_name("FORMAT")
      ->check(CLI::IsMember(std::vector<std::string>{"safetensors", "json", "binary"}))
      ->capture_default_str();
  app.add_option("--connections", out.connections, "Requests at the same time")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--seconds", out.seconds, "How long is measured")
      ->type_name("S")
      ->check(kPositive)
      ->capture_default_str();
  app.add_option("--warmup", out.warmup, "How long before that isn't")
      ->type_name("S")
      ->check(kNotNegative)
      ->capture_default_str();
  app.add_option("--rate", out.rate,
                 "Requests a second in all, sent when they are due: what waits for its turn counts as latency")
      ->type_name("N")
      ->check(kPositive);
  app.add_flag("--train", out.train, "Steps: a forward, then an optimize with a gradient of zeros");
  app.add_flag("--json", out.json, "The outcome as JSON");
  add_access(app, out.access);
}

void define_top(CLI::App& app, TopArguments& out) {
  app.add_option("URL", out.url, "A running server")->required();
  app.add_option("--interval", out.interval, "Between two looks, in seconds")
      ->type_name("S")
      ->check(CLI::Range(0.05, 3600.0))
      ->capture_default_str();
  app.add_flag("--once", out.once, "One look as plain text; so it is without a terminal");
  add_access(app, out.access);
}

void define_inspect(CLI::App& app, InspectArguments& out) {
  app.add_option("FILE", out.file, "A .safetensors or .npy file")->required();
  app.add_flag("--stats", out.stats, "Least, largest and mean value, and how many are NaN or infinite");
  app.add_flag("--all", out.all, "What a server keeps in its checkpoints for retries, too");
  app.add_flag("--json", out.json, "One object");
}

struct Command {
  const char* name;
  const char* description;
  std::vector<std::string> examples;
};

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"serve",
       "Serve a model or a script",
       {"shumai serve model.json --port 3000 --checkpoint weights", "shumai serve weights --durability every-update",
        "shumai serve model.safetensors --frozen", "shumai serve server.js"}},
      {"train",
       "Train a model on data, here or behind a URL",
       {"shumai train model.json --data x.npy y.npy --loss cross_entropy --epochs 5 --held-out 0.1",
        "shumai train localhost:3000 --data digits.safetensors --loss cross_entropy --in-flight 4",
        "echo '[1, 2] | [3]' | shumai train model.safetensors --data -"}},
      {"infer",
       "Answer tensors of standard input, one a line",
       {"echo '[[1, 2]]' | shumai infer localhost:3000", "shumai infer model.safetensors --json < inputs.jsonl",
        "shumai infer first.safetensors < lines | shumai infer localhost:3000"}},
      {"bench",
       "Measure a running server under load",
       {"shumai bench localhost:3000 --shape 1,784",
        "shumai bench localhost:3000 --shape 32,784 --train --connections 8",
        "shumai bench localhost:3000 --shape 1,784 --rate 2000 --seconds 30 --json"}},
      {"top", "Watch a running server", {"shumai top localhost:3000", "shumai top localhost:3000 --once"}},
      {"inspect",
       "Show what a file of tensors holds",
       {"shumai inspect model.safetensors", "shumai inspect weights.npy --stats --json"}},
      {"completion",
       "Print a script that completes commands in a shell",
       {"shumai completion bash > ~/.local/share/bash-completion/completions/shumai",
        "shumai completion zsh > ~/.zfunc/_shumai", "shumai completion fish > ~/.config/fish/completions/shumai.fish"}},
  };
  return table;
}

CLI::App& add_command(CLI::App& app, const std::string& name) {
  for (const Command& command : commands()) {
    if (command.name != name) continue;
    CLI::App& added = *app.add_subcommand(command.name, command.description);
    std::string footer = "Examples:";
    for (const std::string& example : command.examples) footer += "\n  " + example;
    added.footer(footer);
    return added;
  }
  throw std::logic_error("no command " + name);
}

// Without the names that CLI11 gives to checks.
class Help : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_positional() || option->get_items_expected_max() == 0) return "";
    const std::string type = option->get_type_name(), fallback = option->get_default_str();
    const size_t colon = std::min(type.find(':'), type.size());
    const bool choices = colon + 1 < type.size() && type[colon + 1] == '{';
    return " " + (choices ? type.substr(colon + 1) : type.substr(0, colon)) +
           (fallback.empty() ? "" : " (" + fallback + ")");
  }
};

}  // namespace

std::vector<std::string> examples_of(const std::string& command) {
  for (const Command& known : commands())
    if (known.name == command) return known.examples;
  return {};
}

std::unique_ptr<CLI::App> define(Arguments& out) {
  auto app = std::make_unique<CLI::App>("Machine-learning training as async services", "shumai");
  app->formatter(std::make_shared<Help>());
  app->set_version_flag("--version", "shumai " SHUMAI_VERSION);
  app->require_subcommand(1);
  app->footer("shumai COMMAND --help says more. Exit codes: 0 done, 1 failed, 2 asked for what can't be.");
  define_serve(add_command(*app, "serve"), out.serve);
  define_train(add_command(*app, "train"), out.train);
  define_infer(add_command(*app, "infer"), out.infer);
  define_bench(add_command(*app, "bench"), out.bench);
  define_top(add_command(*app, "top"), out.top);
  define_inspect(add_command(*app, "inspect"), out.inspect);
  add_command(*app, "completion")
      .add_option("SHELL", out.shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember(std::vector<std::string>{"bash", "zsh", "fish"}));
  // For the build, which makes docs/man/shumai.1 of it.
  app->add_subcommand("manual", "Print the manual page")->group("");
  return app;
}

}  // namespace sm::cli
