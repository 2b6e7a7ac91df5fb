#include <fmt/core.h>

#include "cli/definition.hpp"
#include "cli/shells.hpp"
#include "shumai/json_model.hpp"

namespace sm::cli {
namespace {

std::string roff(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if (c == '\'')
      out += "\\(aq";
    else
      out += c;
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

std::string upper_type(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type.substr(0, type.find(':'));
}

std::string option_text(const CLI::Option& option) {
  std::string head = ".TP\n";
  if (option.get_positional())
    head += fmt::format(".I {}\n", roff(option.get_name(true)));
  else if (option.get_items_expected_max() > 0)
    head += fmt::format(".BI \\-\\-{} \" {}\"\n", roff(option.get_lnames()[0]), roff(upper_type(option)));
  else
    head += fmt::format(".B \\-\\-{}\n", roff(option.get_lnames()[0]));
  const std::string fallback = option.get_default_str();
  return head + roff(option.get_description()) + (fallback.empty() ? "" : " (" + roff(fallback) + ")") + ".\n";
}

std::string command_text(const CLI::App& command) {
  std::string synopsis;
  for (const CLI::Option* option : command.get_options([](const CLI::Option* o) { return o->get_positional(); }))
    synopsis += " " + (option->get_required() ? option->get_name(true) : "[" + option->get_name(true) + " ...]");
  std::string out = fmt::format(".SS shumai {}{} [options]\n{}.\n", command.get_name(), roff(synopsis),
                                roff(command.get_description()));
  for (const CLI::Option* option : command.get_options())
    if (option->get_lnames().empty() || option->get_lnames()[0] != "help") out += option_text(*option);
  out += ".PP\nExamples:\n.PP\n.nf\n.RS\n";
  for (const std::string& example : examples_of(command.get_name())) out += roff(example) + "\n";
  return out + ".RE\n.fi\n";
}

std::string layers_text() {
  std::string out =
      ".SH MODELS\nA model is a list of layers in JSON, each an object with a name and fields, or a name alone:\n"
      ".PP\n.nf\n.RS\n"
      "{\"layers\": [{\"layer\": \"Linear\", \"inputs\": 784, \"outputs\": 64}, \"relu\",\n"
      "            {\"layer\": \"Linear\", \"inputs\": 64, \"outputs\": 10}]}\n"
      ".RE\n.fi\n.PP\n"
      "Any operation of one tensor is a layer too (docs/ops.md), with its arguments as fields. Files that this "
      "program\n"
      "writes hold the description beside the weights. The layers, and what their fields are when left out:\n";
  for (const nn::LayerHelp& layer : nn::layers_of_json()) {
    std::string fields;
    for (const std::string& field : layer.fields) fields += (fields.empty() ? "" : ", ") + field;
    out += fmt::format(".TP\n.B {}\n{}\n", layer.name, fields.empty() ? "no fields" : roff(fields));
  }
  return out;
}

constexpr const char* kEnvironment = R"(.SH ENVIRONMENT
.TP
.B SHUMAI_TOKEN
What clients send to servers that need a token, where no \-\-token\-file is given; and what
.B serve
asks for then.
.TP
.B SHUMAI_RUNTIME
What runs scripts: node, bun or a path.
.TP
.B SHUMAI_LOG
What is logged: trace, debug, info, warn, error or off.
.PP
A script is started with SHUMAI_PORT, SHUMAI_HOST, SHUMAI_INSECURE, SHUMAI_TOKEN_FILE, SHUMAI_TLS_CERT,
SHUMAI_TLS_KEY and SHUMAI_TLS_CLIENT_CA as the options say; its servers
take these, and SHUMAI_TOKEN, where its code says nothing else.
.SH EXIT STATUS
0: done. 1: failed, with a line on standard error. 2: asked for what can't be. A script's own otherwise.
.SH READABLE TENSORS
.B infer
and
.B train
read lines such as [[1, 2], [3, 4]]:Float32; the dtype may be left out.
.SH SEE ALSO
docs/program.md, docs/limits.md and docs/ops.md of the sources.
)";

}  // namespace

std::string manual(const CLI::App& app) {
  std::string out =
      ".\\\" Made by `shumai manual`.\n.TH SHUMAI 1 \"\" \"shumai " SHUMAI_VERSION "\" \"User commands\"\n";
  out += ".SH NAME\nshumai \\- " + roff(app.get_description()) + "\n";
  out += ".SH SYNOPSIS\n.B shumai\n.I command\n[options]\n.PP\n.B shumai\n\\-\\-help | \\-\\-version\n.SH COMMANDS\n";
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* c) { return !c->get_group().empty(); }))
    out += command_text(*command);
  return out + layers_text() + kEnvironment;
}

}  // namespace sm::cli
