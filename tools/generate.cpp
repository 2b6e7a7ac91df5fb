// Writes what follows from the op table: the C++ functions and methods, and
// docs/ops.md. With --check it writes nothing and fails when a file is out of date.
//
//   generate [--check]        in the root of the repository

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "ops/op.hpp"

namespace {

using sm::ops::Arg;
using sm::ops::ArgKind;
using sm::ops::Attr;
using sm::ops::Op;

bool is_tensor(const Arg& arg) { return arg.kind <= ArgKind::kTensors; }

std::string cpp_type(ArgKind kind) {
  switch (kind) {
    case ArgKind::kTensor:
    case ArgKind::kOptionalTensor:
      return "const Tensor&";
    case ArgKind::kTensors:
      return "const std::vector<Tensor>&";
    case ArgKind::kBool:
      return "bool";
    case ArgKind::kInt:
      return "int64_t";
    case ArgKind::kFloat:
      return "double";
    case ArgKind::kDims:
      return "const Dims&";
    case ArgKind::kDType:
      return "DType";
    case ArgKind::kString:
      return "const std::string&";
  }
  return "";
}

std::string short_name(sm::DType dtype) {
  static constexpr const char* kNames[] = {"boolean", "u8",  "i8",  "i16",  "u16", "i32", "u32",
                                           "i64",     "u64", "f16", "bf16", "f32", "f64"};
  return kNames[static_cast<int>(dtype)];
}

std::string cpp_value(const Arg& arg) {
  if (arg.kind == ArgKind::kOptionalTensor) return "{}";
  struct Printer {
    std::string operator()(std::monostate) const { return "{}"; }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const {
      std::ostringstream text;
      text << value;
      return text.str().find_first_of(".e") == std::string::npos ? text.str() + ".0" : text.str();
    }
    std::string operator()(const sm::Dims& value) const {
      std::string text = "{";
      for (int i = 0; i < value.size(); ++i) text += (i ? ", " : "") + std::to_string(value[i]);
      return text + "}";
    }
    std::string operator()(sm::DType value) const { return "DType::" + short_name(value); }
    std::string operator()(const std::string& value) const { return '"' + value + '"'; }
  };
  return std::visit(Printer{}, arg.fallback);
}

// "const Tensor& tensor, const Dims& axes = {}"; from argument `first`, with default values in declarations only.
std::string parameters(const Op& op, size_t first, bool with_defaults) {
  std::string text;
  for (size_t i = first; i < op.args.size(); ++i) {
    const Arg& arg = op.args[i];
    text += (text.empty() ? "" : ", ") + cpp_type(arg.kind) + " " + std::string(arg.name);
    if (with_defaults && arg.optional) text += " = " + cpp_value(arg);
  }
  return text;
}

std::string wrapped(const std::string& text, const std::string& prefix, size_t width) {
  std::istringstream words(text);
  std::string out, line = prefix, word;
  while (words >> word) {
    if (line.size() + 1 + word.size() > width && line != prefix) {
      out += line + "\n";
      line = prefix;
    }
    line += (line == prefix ? "" : " ") + word;
  }
  return out + line + "\n";
}

bool is_many(const Op& op) { return op.forward_many != nullptr; }

std::string cpp_result(const Op& op) { return is_many(op) ? "std::vector<Tensor>" : "Tensor"; }

bool is_method(const Op& op) { return !op.args.empty() && op.args[0].kind == ArgKind::kTensor; }

std::vector<std::string> js_names(const Op& op) {
  std::istringstream words{std::string(op.js)};
  return {std::istream_iterator<std::string>(words), {}};
}

// The further names of an op in C++: JavaScript's, in snake_case.
std::vector<std::string> aliases(const Op& op) {
  std::vector<std::string> out;
  for (const std::string& name : js_names(op)) {
    std::string snake;
    for (char letter : name) {
      if (std::isupper(static_cast<unsigned char>(letter))) snake += '_';
      snake += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
    if (snake != op.name && std::find(out.begin(), out.end(), snake) == out.end()) out.push_back(snake);
  }
  return out;
}

// "tensor, axes": the arguments of a call.
std::string names(const Op& op) {
  std::string text;
  for (const Arg& arg : op.args) text += (text.empty() ? "" : ", ") + std::string(arg.name);
  return text;
}

constexpr const char* kWarning = "// Generated from the op table by tools/generate.cpp; change the row instead.\n";
constexpr const char* kNotFormatted = "// clang-format off\n";

std::string header() {
  std::string text =
      std::string("#pragma once\n\n") + kWarning + kNotFormatted +
      "\n#include <string>\n#include <vector>\n\n#include \"shumai/tensor.hpp\"\n\n"
      "// Operations on tensors. They throw Error with the operation's name, what it\n"
      "// expects and what came. All are safe to call from several threads at once.\n\nnamespace sm {\n\n";
  for (const Op* op : sm::ops::table()) {
    const std::string list = "(" + parameters(*op, 0, true) + ")";
    text += wrapped(std::string(op->doc), "// ", 100) + cpp_result(*op) + " " + std::string(op->name) + list + ";\n";
    for (const std::string& alias : aliases(*op))
      text += "inline " + cpp_result(*op) + " " + alias + list + " { return " + std::string(op->name) + "(" +
              names(*op) + "); }\n";
    text += "\n";
  }
  text += R"(inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator%(const Tensor& a, const Tensor& b) { return mod(a, b); }
inline Tensor operator-(const Tensor& x) { return negative(x); }

// Element by element, giving a boolean tensor; Tensor::same_as compares handles.
inline Tensor operator==(const Tensor& a, const Tensor& b) { return eq(a, b); }
inline Tensor operator!=(const Tensor& a, const Tensor& b) { return neq(a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return lt(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return lte(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return gt(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return gte(a, b); }

}  // namespace sm
)";
  return text;
}

std::string methods() {
  std::string text =
      std::string(kWarning) + "// Each is the function of the same name in shumai/ops.hpp with this tensor first.\n";
  for (const Op* op : sm::ops::table()) {
    if (!is_method(*op)) continue;
    const std::string rest = "(" + parameters(*op, 1, true) + ") const;\n";
    text += cpp_result(*op) + " " + std::string(op->name) + rest;
    for (const std::string& alias : aliases(*op)) text += cpp_result(*op) + " " + alias + rest;
  }
  return text;
}

std::string definitions() {
  std::string text = std::string(kWarning) + kNotFormatted +
                     "\n#include \"ops/op.hpp\"\n#include \"shumai/ops.hpp\"\n\nnamespace sm {\n";
  for (const Op* op : sm::ops::table()) {
    const std::string name(op->name);
    std::string inputs, attrs, call = "*this", list;
    for (size_t i = 0; i < op->args.size(); ++i) {
      const std::string arg(op->args[i].name);
      if (op->args[i].kind == ArgKind::kTensors)
        list = arg;
      else if (is_tensor(op->args[i]))
        inputs += (inputs.empty() ? "&" : ", &") + arg;
      else
        attrs += (attrs.empty() ? "" : ", ") + arg;
      if (i) call += ", " + arg;
    }
    text += "\n" + cpp_result(*op) + " " + name + "(" + parameters(*op, 0, false) +
            ") {\n  static const ops::Op& op = ops::find(\"" + name + "\");\n";
    if (!list.empty())
      text += "  std::vector<const Tensor*> inputs;\n  inputs.reserve(" + list +
              ".size());\n  for (const Tensor& item : " + list + ") inputs.push_back(&item);\n";
    else if (!inputs.empty())
      text += "  const Tensor* const inputs[] = {" + inputs + "};\n";
    if (!attrs.empty()) text += "  const ops::Attr attrs[] = {" + attrs + "};\n";
    text += std::string("  return ops::run") + (is_many(*op) ? "_many" : "") + "(op, " +
            (inputs.empty() && list.empty() ? "{}" : "inputs") + ", " + (attrs.empty() ? "{}" : "attrs") + ");\n}\n";
    if (!is_method(*op)) continue;
    std::vector<std::string> methods = aliases(*op);
    methods.insert(methods.begin(), name);
    for (const std::string& method : methods)
      text += cpp_result(*op) + " Tensor::" + method + "(" + parameters(*op, 1, false) +
              ") const { return sm::" + name + "(" + call + "); }\n";
  }
  return text + "\n}  // namespace sm\n";
}

std::string documentation() {
  std::string text =
      "# Operations\n\nGenerated from the op table. JavaScript names follow the C++ name where they differ; further "
      "ones are\naliases, in C++ in snake_case. All are also methods of the first tensor. \"Gradient\" says whether "
      "backward passes through, to any order unless noted.\n\n"
      "| C++ | JavaScript | arguments | dtypes | gradient | what |\n| --- | --- | --- | --- | --- | --- |\n";
  static constexpr const char* kDTypes[] = {"any", "numbers", "floating", "integers"};
  for (const Op* op : sm::ops::table()) {
    std::string args;
    for (const Arg& arg : op->args)
      args += (args.empty() ? "" : ", ") + std::string(arg.name) + (arg.optional ? " = " + cpp_value(arg) : "");
    std::string js(op->js);
    for (size_t at; (at = js.find(' ')) != std::string::npos;) js.replace(at, 1, ",\u00a0");
    std::string doc;
    for (char letter : op->doc) doc += letter == '|' ? std::string("\\|") : std::string(1, letter);
    text += "| `" + std::string(op->name) + "` | " + js + " | " + args + " | " + kDTypes[static_cast<int>(op->dtypes)] +
            " | " + (op->gradient.differentiable() ? "yes" : "no: " + std::string(op->gradient.reason())) + " | " +
            doc + " |\n";
  }
  return text;
}

// js/lib/ops.js: what the package exports for each op. `var` is a keyword, so it is exported by renaming.
std::string script_exports() {
  std::string text = std::string(kWarning) + "\nimport { ops } from './tensor.js'\n\nexport const {\n";
  bool reserved = false;
  for (const Op* op : sm::ops::table())
    for (const std::string& name : js_names(*op)) {
      text += name == "var" ? "  var: _var,\n" : "  " + name + ",\n";
      reserved = reserved || name == "var";
    }
  return text + "} = ops\n" + (reserved ? "export { _var as var }\n" : "");
}

std::string camel(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' && i + 1 < name.size())
      out += static_cast<char>(std::toupper(name[++i]));
    else
      out += name[i];
  }
  return out;
}

// A default as JavaScript writes it.
std::string script_value(const Arg& arg) {
  if (arg.kind == ArgKind::kDType) return "'" + std::string(sm::name_of(std::get<sm::DType>(arg.fallback))) + "'";
  std::string text = cpp_value(arg);
  for (char& letter : text) letter = letter == '{' ? '[' : letter == '}' ? ']' : letter;
  return text;
}

std::string script_type(ArgKind kind) {
  switch (kind) {
    case ArgKind::kTensor:
    case ArgKind::kOptionalTensor:
      return "TensorLike";
    case ArgKind::kTensors:
      return "TensorLike[]";
    case ArgKind::kBool:
      return "boolean";
    case ArgKind::kInt:
    case ArgKind::kFloat:
      return "number";
    case ArgKind::kDims:
      return "Sizes";
    case ArgKind::kDType:
      return "DType";
    case ArgKind::kString:
      return "string";
  }
  return "";
}

// Tensors at the end may come one by one or in an array.
std::string script_parameter(const Op& op, size_t i) {
  const Arg& arg = op.args[i];
  if (i > 0 && i + 1 == op.args.size() && arg.kind == ArgKind::kTensors)
    return "..." + camel(arg.name) + ": TensorLike[] | [readonly TensorLike[]]";
  return camel(arg.name) + (arg.optional ? "?: " : ": ") + script_type(arg.kind);
}

std::string script_parameters(const Op& op, size_t first) {
  std::string text;
  for (size_t i = first; i < op.args.size(); ++i) text += (text.empty() ? "" : ", ") + script_parameter(op, i);
  return text;
}

// Several of different kinds are a tuple.
std::string script_result(const Op& op) {
  if (!is_many(op)) return "Tensor";
  if (op.outputs.find(',') == std::string_view::npos) return "Tensor[]";
  std::string text = "[Tensor";
  for (char letter : op.outputs)
    if (letter == ',') text += ", Tensor";
  return text + "]";
}

std::string script_comment(const Op& op, const std::string& indent) {
  std::string defaults;
  for (const Arg& arg : op.args)
    if (arg.optional && arg.kind != ArgKind::kOptionalTensor)
      defaults += (defaults.empty() ? "" : ", ") + camel(arg.name) + " = " + script_value(arg);
  std::string text = std::string(op.doc);
  if (!defaults.empty()) text += " Defaults: " + defaults + ".";
  text += op.gradient.differentiable() ? " Differentiable."
                                       : " Not differentiable: " + std::string(op.gradient.reason()) + ".";
  return indent + "/**\n" + wrapped(text, indent + " * ", 110) + indent + " */\n";
}

// js/lib/ops.d.ts: the same for an editor, with the methods of Tensor.
std::string script_types() {
  std::string text = std::string(kWarning) + "\nimport type { DType, Sizes, Tensor, TensorLike } from '../index.js'\n";
  std::string methods =
      "\n/** The operations as methods, with the tensor as first argument. */\nexport interface TensorOps {\n";
  for (const Op* op : sm::ops::table())
    for (const std::string& name : js_names(*op)) {
      const std::string safe = name == "var" ? "_var" : name;
      text += "\n" + script_comment(*op, "") + (name == "var" ? "declare" : "export declare") + " function " + safe +
              "(" + script_parameters(*op, 0) + "): " + script_result(*op) + "\n";
      if (name == "var") text += "export { _var as var }\n";
      if (is_method(*op))
        methods += script_comment(*op, "  ") + "  " + name + "(" + script_parameters(*op, 1) +
                   "): " + script_result(*op) + "\n";
    }
  return text + methods + "}\n";
}

// Text as clang-format would have it isn't the point: generated files are left out of formatting.
bool emit(const std::string& path, const std::string& text, bool check) {
  std::ifstream in(path);
  std::stringstream now;
  now << in.rdbuf();
  if (now.str() == text) return true;
  if (check) {
    std::cerr << path << " is out of date: run ./dev generate\n";
    return false;
  }
  std::ofstream out(path);
  out << text;
  if (!out) std::cerr << "can't write " << path << "\n";
  return static_cast<bool>(out);
}

}  // namespace

int main(int argc, char** argv) {
  const bool check = argc > 1 && std::string(argv[1]) == "--check";
  bool good = true;
  for (const auto& [path, make] : {std::pair<std::string, std::string (*)()>{"include/shumai/ops.hpp", header},
                                   {"include/shumai/tensor_methods.inc", methods},
                                   {"src/ops/api.cpp", definitions},
                                   {"docs/ops.md", documentation},
                                   {"js/lib/ops.js", script_exports},
                                   {"js/lib/ops.d.ts", script_types}})
    good = emit(path, make(), check) && good;
  return good ? 0 : 1;
}
