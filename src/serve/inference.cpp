#include "serve/inference.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "http/problem.hpp"
#include "serve/server.hpp"
#include "shumai/error.hpp"

namespace sm::io {
namespace {

using Kind = InferenceTarget::Kind;

constexpr std::string_view kHeaderLength = "Inference-Header-Content-Length";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// What isn't a proper escape stays as it is, and so names nothing.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size();
    const int high = escape ? hex_digit(text[i + 1]) : -1, low = escape ? hex_digit(text[i + 2]) : -1;
    out += high >= 0 && low >= 0 ? static_cast<char>(high * 16 + low) : text[i];
    if (high >= 0 && low >= 0) i += 2;
  }
  return out;
}

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return segments;
}

// As the protocol has it: only a message.
http::Response error_response(http::Response response, std::string_view message) {
  response.headers.set("Content-Type", "application/json");
  response.body = http::copy_body("{\"error\":" + http::json_quote(message) + "}");
  return response;
}

http::Response error_response(const Error& error) { return error_response(http::problem(error), error.what()); }

// Which JSON without a type of its own is taken for: a page of another origin can't send these unasked.
void check_type(std::string_view type) {
  type = type.substr(0, type.find_first_of("; \t"));
  if (type.empty() || http::iequals(type, "application/json") || http::iequals(type, "application/octet-stream"))
    return;
  throw Error(
      ErrorCode::kUnsupportedMedia,
      "infer: Content-Type must be application/json or application/octet-stream, got \"" + std::string(type) + "\"");
}

std::optional<size_t> json_size(const http::Headers& headers) {
  const std::optional<std::string_view> text = headers.find(kHeaderLength);
  if (!text) return std::nullopt;
  size_t size = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), size);
  if (error != std::errc() || end != text->data() + text->size() || headers.count(kHeaderLength) > 1)
    throw Error(ErrorCode::kProtocol, "infer: " + std::string(kHeaderLength) + " must be one number of bytes, got \"" +
                                          std::string(*text) + "\"");
  return size;
}

codec::InferenceRequest decode(const http::Request& request) {
  check_type(request.headers.get("Content-Type"));
  const std::optional<size_t> json = json_size(request.headers);
  if (http::body_size(request.body) == 0)
    throw Error(ErrorCode::kProtocol, "infer: the request has no body, expected a JSON object with \"inputs\"");
  const util::Slice& bytes = request.body.front();
  return codec::decode_inference_request(bytes.owner, static_cast<size_t>(bytes.data - bytes.owner->data()), bytes.size,
                                         json);
}

http::Response encode(codec::InferenceResponse answer) {
  codec::EncodedInference encoded = codec::encode_inference_response(answer);
  http::Response response = http::Response::empty(200);
  response.headers.add_checked("Content-Type", encoded.json_size ? "application/octet-stream" : "application/json");
  if (encoded.json_size) response.headers.add_checked(kHeaderLength, std::to_string(*encoded.json_size));
  response.body = std::move(encoded.body);
  return response;
}

std::string allowed_method(Kind kind) { return kind == Kind::kInfer ? "POST" : "GET"; }

}  // namespace

bool is_inference_path(std::string_view path) { return path == "v2" || path.starts_with("v2/"); }

InferenceTarget InferenceTarget::parse(std::string_view path) {
  std::vector<std::string_view> rest = segments_of(path);
  rest.erase(rest.begin());
  InferenceTarget target;
  if (rest.empty()) return target;
  const auto ends = [&](std::initializer_list<std::string_view> names) {
    return std::equal(rest.begin(), rest.end(), names.begin(), names.end());
  };
  if (ends({"health", "live"})) return {Kind::kLive, {}, {}};
  if (ends({"health", "ready"})) return {Kind::kReady, {}, {}};
  if (rest.size() >= 2 && rest[0] == "models" && !rest[1].empty()) {
    target.model = percent_decoded(rest[1]);
    rest.erase(rest.begin(), rest.begin() + 2);
    if (rest.size() >= 2 && rest[0] == "versions") {
      target.version = percent_decoded(rest[1]);
      rest.erase(rest.begin(), rest.begin() + 2);
    }
    target.kind = rest.empty() ? Kind::kModel : ends({"ready"}) ? Kind::kModelReady : Kind::kInfer;
    if (rest.empty() || ends({"ready"}) || ends({"infer"})) return target;
  }
  throw Error(ErrorCode::kNotFound, "no endpoint \"/" + std::string(path) +
                                        "\" here; there is /v2, /v2/health/live, /v2/health/ready, "
                                        "/v2/models/NAME[/versions/VERSION][/ready|/infer]");
}

void InferenceTarget::check_version(uint64_t current) const {
  if (version && *version != std::to_string(current))
    throw Error(ErrorCode::kNotFound, "the model \"" + model + "\" has no version \"" + *version +
                                          "\", its weights are at \"" + std::to_string(current) +
                                          "\"; leave the version out for the latest");
}

void Server::State::add_models() {
  std::vector<InferenceModel> models = options.inference;
  if (models.empty() && routes.contains("forward")) models.emplace_back();
  for (InferenceModel& model : models) {
    while (model.route.starts_with('/')) model.route.erase(0, 1);
    const auto found = routes.find(model.route);
    if (found == routes.end())
      throw Error(ErrorCode::kInvalidArgument, "serve: the model \"" + model.name + "\" is to be the route \"" +
                                                   model.route + "\", which isn't served");
    for (const auto& [name, route] : routes)
      if (route.model && (route.model->name() == model.name || name == model.route))
        throw Error(ErrorCode::kInvalidArgument, "serve: the model \"" + model.name + "\" or its route \"" +
                                                     model.route + "\" is given twice in inference");
    found->second.model = std::make_unique<ServedModel>(std::move(model));
  }
}

Server::State::Served& Server::State::route_of_model(std::string_view model) {
  std::string known;
  for (auto& [name, route] : routes) {
    if (!route.model) continue;
    if (route.model->name() == model) return route;
    known += (known.empty() ? "\"" : ", \"") + route.model->name() + "\"";
  }
  throw Error(ErrorCode::kNotFound,
              "no model \"" + std::string(model) + "\" here; there is " + (known.empty() ? "none" : known));
}

http::Response Server::State::respond_metadata(const InferenceTarget& target) {
  if (target.kind == Kind::kServer)
    return http::Response::json(
        200, Json::object(
                 {{"name", "shumai"}, {"version", SHUMAI_VERSION}, {"extensions", Json::array({"binary_tensor_data"})}})
                 .dump());
  if (target.kind == Kind::kLive) return http::Response::json(200, R"({"live":true})");
  if (target.kind == Kind::kReady)
    return http::Response::json(ready ? 200 : 503, Json::object({{"live", true}, {"ready", ready.load()}}).dump());
  const ServedModel& model = *route_of_model(target.model).model;
  const uint64_t version = updates.version;
  target.check_version(version);
  if (target.kind == Kind::kModel) return http::Response::json(200, model.metadata(version).dump());
  return http::Response::json(ready ? 200 : 503,
                              Json::object({{"name", model.name()}, {"ready", ready.load()}}).dump());
}

Task<http::Response> Server::State::respond_inference(http::Request request) {
  try {
    const InferenceTarget target = InferenceTarget::parse(route_of(request.path()));
    const std::string allowed = allowed_method(target.kind);
    if (request.method != allowed && !(request.method == "HEAD" && allowed == "GET")) {
      const Error refused(ErrorCode::kMethodNotAllowed, "this endpoint takes " + allowed + ", not " + request.method);
      http::Response response = error_response(refused);
      response.headers.set("Allow", allowed);
      co_return response;
    }
    if (target.kind != Kind::kInfer) co_return respond_metadata(target);
    Served& route = route_of_model(target.model);
    co_return co_await counted(route.statistics, infer(route, target, std::move(request)));
  } catch (const Error& error) {
    co_return error_response(error);
  } catch (const std::exception& error) {
    co_return error_response(Error(ErrorCode::kInternal, error.what()));
  }
}

Task<http::Response> Server::State::infer(Served& route, const InferenceTarget& target, http::Request request) {
  // Nothing of an inference is kept, and nobody will ask for a gradient.
  request.headers.erase("Shumai-Ticket");
  request.headers.erase("Shumai-Session");
  request.headers.set("Shumai-Input-Gradient", "none");
  const codec::InferenceRequest asked = decode(request);
  Content input = route.model->bind(asked.inputs, route.handler.takes_names());
  const Content given = input;
  const Outcome outcome = co_await inside_logic(route, route.model->route(), request, std::move(input), &target);
  if (outcome.failure) std::rethrow_exception(outcome.failure);
  codec::InferenceResponse answer{route.model->name(), std::to_string(outcome.seen), asked.id,
                                  route.model->choose(outcome.content, asked)};
  route.model->saw(given, outcome.content);
  co_return encode(std::move(answer));
}

}  // namespace sm::io
