#include "serve/accept.hpp"

#include <algorithm>
#include <array>

#include "http/negotiate.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

constexpr size_t kLongestKnown = 256;

std::string_view type_name(Form::Type type) {
  if (type == Form::Type::kSafetensors) return kSafetensorsType;
  return type == Form::Type::kJson ? kJsonType : kShumaiType;
}

// What "dtype" asks for; a name that isn't supported matches no form.
std::string_view dtype_name(DType dtype) {
  if (dtype == DType::f32) return "";
  return dtype == DType::bf16 ? "bf16" : "f16";
}

// How specifically `entry` means `form`: -1 when it doesn't.
int match(const http::Preference& entry, const Form& form) {
  const std::string_view name = type_name(form.type);
  if (http::iequals(entry.value, name)) {
    const std::string_view dtype = entry.parameter("dtype");
    if (form.type != Form::Type::kSafetensors) return 2;
    if (http::iequals(dtype, "f32")) return form.floats == DType::f32 ? 3 : -1;
    if (!http::iequals(dtype, dtype_name(form.floats))) return -1;
    return dtype.empty() ? 2 : 3;
  }
  // Only who names a narrower dtype gets it.
  if (form.floats != DType::f32) return -1;
  if (entry.value == "*/*") return 0;
  if (!entry.value.ends_with("/*")) return -1;
  const std::string_view prefix = entry.value.substr(0, entry.value.size() - 1);
  return http::iequals(prefix, name.substr(0, prefix.size())) ? 1 : -1;
}

// How much the entries want `form`, by the most specific that matches.
double weight(const std::vector<http::Preference>& entries, const Form& form) {
  double best = 0;
  int specific = -1;
  for (const http::Preference& entry : entries) {
    const int how = match(entry, form);
    if (how <= specific) continue;
    specific = how;
    best = entry.quality;
  }
  return best;
}

// The original's client sends no more than this with a GET, and reads its own binary only.
bool is_original(const http::Headers& headers) {
  return headers.get("User-Agent").starts_with("Bun/") && headers.get("Accept") == "*/*";
}

Form::Type own_type(const http::Request& request) {
  if (http::body_size(request.body) > 0) return body_type(request.headers);
  return is_original(request.headers) ? Form::Type::kShumai : Form::Type::kJson;
}

Forms forms_by_preference(const http::Request& request, Form::Type own) {
  using Type = Form::Type;
  // Of equals the first wins: who names a narrower dtype means it.
  std::array<Form, 5> all{Form{Type::kSafetensors, DType::bf16}, Form{Type::kSafetensors, DType::f16},
                          Form{Type::kSafetensors, DType::f32}, Form{Type::kJson, DType::f32},
                          Form{Type::kShumai, DType::f32}};
  std::stable_partition(all.begin(), all.end(), [own](const Form& form) { return form.type == own; });
  std::vector<http::Preference> entries = http::preferences(request.headers, "Accept");
  const bool any = entries.empty();
  std::vector<std::pair<double, Form>> wanted;
  for (const Form& form : all)
    if (const double quality = any ? form.floats == DType::f32 : weight(entries, form); quality > 0)
      wanted.emplace_back(quality, form);
  std::stable_sort(wanted.begin(), wanted.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  if (wanted.empty())
    throw Error(ErrorCode::kNotAcceptable, "can answer " + supported_types() + ", safetensors also with dtype=bf16 " +
                                               "or dtype=f16, but Accept is \"" +
                                               std::string(request.headers.get("Accept")) + "\"");
  Forms forms;
  for (const auto& [quality, form] : wanted) forms.push_back(form);
  return forms;
}

}  // namespace

std::string supported_types() {
  return std::string(kSafetensorsType) + ", " + std::string(kJsonType) + " or " + std::string(kShumaiType) +
         " (the original Shumai's binary)";
}

Forms acceptable_forms(const http::Request& request) {
  // Clients ask for the same all the time.
  struct Known {
    std::string accept;
    Form::Type own;
    Forms forms;
  };
  thread_local Known last{"", Form::Type::kJson, {}};
  const Form::Type own = own_type(request);
  const bool single = request.headers.count("Accept") == 1;
  const std::string_view accept = request.headers.get("Accept");
  if (single && own == last.own && accept == last.accept && !last.forms.empty()) return last.forms;
  Forms forms = forms_by_preference(request, own);
  if (single && accept.size() <= kLongestKnown) last = {std::string(accept), own, forms};
  return forms;
}

}  // namespace sm::io
