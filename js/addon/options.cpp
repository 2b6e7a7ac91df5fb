#include "options.hpp"

#include <charconv>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "codec/inference.hpp"
#include "shumai/error.hpp"

namespace sm::js {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& rule, const std::string& got) {
  throw Error(ErrorCode::kInvalidArgument, "serve: " + name + " must be " + rule + ", got " + got);
}

template <class T>
void read_count(napi_env env, napi_value object, const char* name, T& out) {
  const napi_value value = get(env, object, name);
  if (missing(env, value)) return;
  const int64_t number = to_integer(env, value, name);
  if (number < 0) refuse(name, "0 or more", std::to_string(number));
  out = T(number);
}

void read_text(napi_env env, napi_value object, const char* name, std::string& out) {
  if (const napi_value value = get(env, object, name); !missing(env, value)) out = to_text(env, value, name);
}

void read_limits(napi_env env, napi_value limits, io::ServeLimits& out) {
  read_count(env, limits, "maxBodyBytes", out.max_body_bytes);
  read_count(env, limits, "maxHeaderBytes", out.max_header_bytes);
  read_count(env, limits, "maxHeaders", out.max_headers);
  read_count(env, limits, "maxConnections", out.max_connections);
  read_count(env, limits, "maxRequestsInFlight", out.max_requests_in_flight);
  read_count(env, limits, "maxRequestsInFlightPerSession", out.max_requests_in_flight_per_session);
  read_count(env, limits, "maxHops", out.max_hops);
  read_count(env, limits, "headerTimeout", out.header_timeout);
  read_count(env, limits, "bodyTimeout", out.body_timeout);
  read_count(env, limits, "minBodyRate", out.min_body_rate);
  read_count(env, limits, "keepAliveTimeout", out.keep_alive_timeout);
  read_count(env, limits, "writeTimeout", out.write_timeout);
  read_count(env, limits, "lingerTimeout", out.linger_timeout);
  read_count(env, limits, "maxSessions", out.max_sessions);
  read_count(env, limits, "maxTickets", out.max_tickets);
  read_count(env, limits, "maxTicketsPerSession", out.max_tickets_per_session);
  read_count(env, limits, "maxTicketBytes", out.max_ticket_bytes);
  read_count(env, limits, "maxTicketBytesPerSession", out.max_ticket_bytes_per_session);
  read_count(env, limits, "ticketLifetime", out.ticket_lifetime);
  read_count(env, limits, "sessionLifetime", out.session_lifetime);
  read_count(env, limits, "finishedLifetime", out.finished_lifetime);
  read_count(env, limits, "maxFinishedTickets", out.max_finished_tickets);
  read_count(env, limits, "answerLifetime", out.answer_lifetime);
  read_count(env, limits, "maxStoredAnswerBytes", out.max_stored_answer_bytes);
  read_count(env, limits, "shutdownGrace", out.shutdown_grace);
}

void read_checkpoint(napi_env env, napi_value value, io::CheckpointOptions& out) {
  read_text(env, value, "directory", out.directory);
  if (out.directory.empty()) refuse("checkpoint.directory", "a folder's name", "none");
  read_count(env, value, "interval", out.interval);
  read_count(env, value, "keep", out.keep);
  read_text(env, value, "model", out.model);
  std::string durability = "interval";
  read_text(env, value, "durability", durability);
  if (durability == "every-update")
    out.durability = io::Durability::kEveryUpdate;
  else if (durability != "interval")
    refuse("checkpoint.durability", "'interval' or 'every-update'", "'" + durability + "'");
}

void read_staleness(napi_env env, napi_value value, io::StalenessOptions& out) {
  std::string policy = "accept";
  if (type_of(env, value) == napi_string) {
    policy = to_text(env, value, "staleness");
  } else {
    read_text(env, value, "policy", policy);
    read_count(env, value, "limit", out.limit);
  }
  if (policy == "scale")
    out.policy = io::StalenessOptions::Policy::kScale;
  else if (policy == "reject")
    out.policy = io::StalenessOptions::Policy::kReject;
  else if (policy != "accept")
    refuse("staleness", "'accept', 'scale' or 'reject'", "'" + policy + "'");
}

void read_guard(napi_env env, napi_value value, io::GuardOptions& out) {
  if (type_of(env, value) == napi_boolean) {
    out.enabled = to_boolean(env, value);
    return;
  }
  const napi_value norm = get(env, value, "maxNorm");
  if (missing(env, norm)) return;
  out.max_norm = to_number(env, norm, "maxNorm");
  if (!(out.max_norm > 0)) refuse("guard.maxNorm", "above 0", std::to_string(out.max_norm));
}

void read_batch(napi_env env, napi_value value, io::BatchOptions& out) {
  const auto read = [&](const char* name, const std::string& label, double least) -> double {
    const napi_value given = get(env, value, name);
    if (missing(env, given)) return -1;
    const double number = to_number(env, given, label.c_str());
    if (!(number >= least)) refuse(label, std::to_string(static_cast<int>(least)) + " or more", std::to_string(number));
    return number;
  };
  if (const double max = read("max", "batch.max", 1); max > 0) out.max = static_cast<size_t>(max);
  if (const double delay = read("delay", "batch.delay", 0); delay >= 0)
    out.delay = std::chrono::microseconds(static_cast<int64_t>(delay * 1000));
  std::string updates = "auto";
  read_text(env, value, "updates", updates);
  if (updates != "auto" && updates != "each" && updates != "summed")
    refuse("batch.updates", "'auto', 'each' or 'summed'", "'" + updates + "'");
}

void read_replicas(napi_env env, napi_value value, io::ReplicaOptions& out) {
  read_text(env, value, "rendezvous", out.rendezvous);
  if (out.rendezvous.empty()) refuse("replicas.rendezvous", "a folder's name or redis://HOST:PORT", "none");
  read_text(env, value, "group", out.group);
  read_text(env, value, "id", out.id);
  read_text(env, value, "address", out.address);
  read_count(env, value, "every", out.every);
  read_count(env, value, "interval", out.interval);
  read_count(env, value, "timeout", out.timeout);
  if (const napi_value given = get(env, value, "synchronous"); !missing(env, given))
    out.synchronous = to_boolean(env, given);
  const napi_value outer = get(env, value, "outer");
  if (missing(env, outer)) return;
  if (const napi_value rate = get(env, outer, "rate"); !missing(env, rate))
    out.outer_rate = to_number(env, rate, "replicas.outer.rate");
  if (const napi_value momentum = get(env, outer, "momentum"); !missing(env, momentum))
    out.outer_momentum = to_number(env, momentum, "replicas.outer.momentum");
}

std::vector<int64_t> to_shape(napi_env env, napi_value value) {
  if (!is_array(env, value))
    refuse("inference: a tensor's shape", "an array of sizes, -1 for any", described(env, value));
  std::vector<int64_t> shape;
  for (uint32_t i = 0, n = length_of(env, value); i < n; ++i)
    shape.push_back(to_integer(env, at(env, value, i), "inference: a size of a shape"));
  return shape;
}

std::vector<io::InferenceModel::TensorInfo> to_tensor_infos(napi_env env, napi_value list, const char* what) {
  std::vector<io::InferenceModel::TensorInfo> infos;
  if (missing(env, list)) return infos;
  if (!is_array(env, list)) refuse(what, "an array of {name, datatype, shape}", described(env, list));
  for (uint32_t i = 0, n = length_of(env, list); i < n; ++i) {
    const napi_value info = at(env, list, i);
    infos.push_back({to_text(env, get(env, info, "name"), what),
                     codec::dtype_from_datatype(to_text(env, get(env, info, "datatype"), what)),
                     to_shape(env, get(env, info, "shape"))});
  }
  return infos;
}

void read_inference(napi_env env, napi_value models, std::vector<io::InferenceModel>& out) {
  for (uint32_t i = 0, n = length_of(env, models); i < n; ++i) {
    const napi_value given = at(env, models, i);
    io::InferenceModel model;
    read_text(env, given, "name", model.name);
    read_text(env, given, "route", model.route);
    model.inputs = to_tensor_infos(env, get(env, given, "inputs"), "inference.inputs");
    model.outputs = to_tensor_infos(env, get(env, given, "outputs"), "inference.outputs");
    out.push_back(std::move(model));
  }
}

std::vector<std::string> to_texts(napi_env env, napi_value list, const char* what) {
  if (!is_array(env, list)) refuse(what, "an array of strings", described(env, list));
  std::vector<std::string> out;
  for (uint32_t i = 0, n = length_of(env, list); i < n; ++i) out.push_back(to_text(env, at(env, list, i), what));
  return out;
}

void read_texts(napi_env env, napi_value object, const char* name, std::vector<std::string>& out) {
  if (const napi_value list = get(env, object, name); !missing(env, list)) out = to_texts(env, list, name);
}

// Not to_text(), whose message tells what it got instead of a string.
std::string to_secret(napi_env env, napi_value value, const char* what) {
  if (type_of(env, value) != napi_string) refuse(what, "a string", "something else");
  return to_text(env, value, what);
}

void read_access(napi_env env, napi_value value, io::ServeOptions& out) {
  if (const napi_value token = get(env, value, "token"); !missing(env, token))
    out.tokens.push_back({"default", to_secret(env, token, "token")});
  if (const napi_value list = get(env, value, "tokens"); !missing(env, list)) {
    if (!is_array(env, list)) refuse("tokens", "an array of {name, secret, routes}", "something else");
    for (uint32_t i = 0, n = length_of(env, list); i < n; ++i) {
      const napi_value given = at(env, list, i);
      io::Token token{to_secret(env, get(env, given, "name"), "tokens: name"),
                      to_secret(env, get(env, given, "secret"), "tokens: secret")};
      read_texts(env, given, "routes", token.routes);
      out.tokens.push_back(std::move(token));
    }
  }
  read_text(env, value, "tokenFile", out.token_file);
  if (const napi_value asked = get(env, value, "tokenFromEnvironment"); !missing(env, asked))
    out.token_from_environment = to_boolean(env, asked);
  read_texts(env, value, "cors", out.cors);
  read_texts(env, value, "allowedHosts", out.allowed_hosts);
  read_count(env, value, "socketMode", out.socket_mode);
}

void read_tls(napi_env env, napi_value value, io::TlsOptions& out) {
  read_text(env, value, "cert", out.cert_file);
  read_text(env, value, "key", out.key_file);
  read_text(env, value, "clientCa", out.client_ca_file);
  if (out.cert_file.empty() || out.key_file.empty()) refuse("tls", "{cert, key}, the names of files", "one of them");
  std::string version = "1.2";
  read_text(env, value, "minVersion", version);
  if (version == "1.3")
    out.min_version = io::TlsVersion::k1_3;
  else if (version != "1.2")
    refuse("tls.minVersion", "'1.2' or '1.3'", "'" + version + "'");
}

uint16_t to_port(napi_env env, napi_value port) {
  int64_t number = -1;
  if (type_of(env, port) == napi_string) {
    const std::string digits = to_text(env, port, "port");
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (failed != std::errc() || end != digits.data() + digits.size()) number = -1;
  } else {
    number = to_integer(env, port, "port");
  }
  if (number < 0 || number > 65535) refuse("port", "0 to 65535", described(env, port));
  return static_cast<uint16_t>(number);
}

}  // namespace

io::ServeOptions to_serve_options(napi_env env, napi_value value) {
  io::ServeOptions options;
  if (missing(env, value)) return options;
  const auto given = [&](const char* name) { return !missing(env, get(env, value, name)); };
  if (given("port")) options.port = to_port(env, get(env, value, "port"));
  read_text(env, value, "hostname", options.hostname);
  read_access(env, value, options);
  if (given("insecure")) options.insecure = to_boolean(env, get(env, value, "insecure"));
  if (given("tls")) read_tls(env, get(env, value, "tls"), options.tls);
  if (given("limits")) read_limits(env, get(env, value, "limits"), options.limits);
  if (given("checkpoint")) read_checkpoint(env, get(env, value, "checkpoint"), options.checkpoint);
  if (given("staleness")) read_staleness(env, get(env, value, "staleness"), options.staleness);
  if (given("guard")) read_guard(env, get(env, value, "guard"), options.guard);
  if (given("batch")) read_batch(env, get(env, value, "batch"), options.batch);
  if (given("replicas")) read_replicas(env, get(env, value, "replicas"), options.replicas);
  if (given("inference")) read_inference(env, get(env, value, "inference"), options.inference);
  return options;
}

}  // namespace sm::js
