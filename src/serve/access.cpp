#include "serve/access.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "http/problem.hpp"
#include "io/connect.hpp"
#include "shumai/error.hpp"
#include "util/log.hpp"

namespace sm::io {
namespace {

using std::chrono::steady_clock;

constexpr auto kBetweenWarnings = std::chrono::seconds(10);
constexpr size_t kLongestFile = size_t{256} << 10;

constexpr std::string_view kSentHeaders =
    "Accept, Authorization, Content-Encoding, Content-Type, Inference-Header-Content-Length, Shumai-Input-Gradient, "
    "Shumai-Loss, Shumai-Session, Shumai-Step, Shumai-Ticket, Shumai-Timeout, traceparent";
constexpr std::string_view kReadHeaders =
    "Inference-Header-Content-Length, Retry-After, Shumai-Session, Shumai-Ticket, WWW-Authenticate";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// The host of "host:port" or "[::1]:port", lower case, without brackets.
std::string host_of(std::string_view authority) {
  if (authority.starts_with('[')) return lower(authority.substr(1, authority.find(']') - 1));
  return lower(authority.substr(0, authority.find(':')));
}

// What most requests name, told without parsing an address.
bool is_plainly_local(std::string_view authority) {
  for (const std::string_view name : {"127.0.0.1", "localhost"})
    if (authority.starts_with(name) && (authority.size() == name.size() || authority[name.size()] == ':')) return true;
  return false;
}

// What follows "scheme://"; empty when there is none.
std::string_view authority_of(std::string_view origin) {
  const size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

bool is_health(std::string_view route) { return route == "health/live" || route == "health/ready"; }

std::vector<std::string> checked_origins(const std::vector<std::string>& given) {
  std::vector<std::string> out;
  for (const std::string& origin : given) {
    const std::string_view authority = authority_of(origin);
    const bool bare = !authority.empty() && authority.find_first_of("/?#@ *") == std::string_view::npos;
    if (origin != "*" && (!bare || !(origin.starts_with("http://") || origin.starts_with("https://"))))
      throw Error(ErrorCode::kInvalidArgument,
                  "serve: cors lists origins such as \"https://app.example\", or \"*\", got \"" + origin + "\"");
    out.push_back(lower(origin));
  }
  return out;
}

// What a file of tokens says now; nothing, and why, when it can't be read.
std::optional<std::string> read_file(const std::string& path, std::string& why) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  if (in) {
    text.resize(kLongestFile + 1);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
  }
  if (!in && !in.eof()) {
    why = "can't be read";
    return std::nullopt;
  }
  if (text.size() <= kLongestFile) return text;
  why = "has more than " + std::to_string(kLongestFile) + " bytes";
  return std::nullopt;
}

void warn_of_mode(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRGRP | S_IROTH)) != 0)
    util::log_warning("serve: other users of this machine can read the tokens in " + path + "; chmod 600 it");
}

// The secret of "Bearer SECRET"; empty for anything else.
std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!http::iequals(authorization.substr(0, kScheme.size()), kScheme)) return {};
  authorization.remove_prefix(kScheme.size());
  authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
  return authorization;
}

http::Response refusal(ErrorCode code, const std::string& why, const char* challenge = nullptr) {
  http::Response response = http::problem(Error(code, why));
  if (challenge) response.headers.set("WWW-Authenticate", challenge);
  return response;
}

http::Response preflight_answer(const http::RequestHead& head) {
  http::Response response = http::Response::empty(204);
  response.headers.set("Access-Control-Allow-Methods", "GET, POST");
  response.headers.set("Access-Control-Allow-Headers", kSentHeaders);
  response.headers.set("Access-Control-Max-Age", "600");
  if (head.headers.get("Access-Control-Request-Private-Network") == "true")
    response.headers.set("Access-Control-Allow-Private-Network", "true");
  return response;
}

}  // namespace

std::string_view route_of(std::string_view path) noexcept {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  return path;
}

Access::Access(ServeOptions& options)
    : cors_(checked_origins(options.cors)),
      hostname_(lower(options.hostname)),
      token_file_(options.token_file),
      insecure_(options.insecure),
      certified_(!options.tls.client_ca_file.empty()) {
  for (const std::string& host : options.allowed_hosts) hosts_.push_back(host_of(host));
  for (size_t i = 0; i < options.tokens.size(); ++i) {
    try {
      fixed_.add(std::move(options.tokens[i]));
    } catch (const Error& error) {
      throw Error(error.code(), "serve: tokens[" + std::to_string(i) + "]: " + error.what());
    }
  }
  options.tokens.clear();
  if (options.token_from_environment) {
    const char* secret = std::getenv("SHUMAI_TOKEN");
    if (!secret || !*secret)
      throw Error(ErrorCode::kInvalidArgument, "serve: a token was to come from SHUMAI_TOKEN, which isn't set");
    try {
      fixed_.add({"environment", secret});
    } catch (const Error& error) {
      throw Error(error.code(), std::string("serve: SHUMAI_TOKEN: ") + error.what());
    }
  }
  tokens_ = std::make_shared<const TokenSet>(fixed_);
  if (!token_file_.empty()) {
    warn_of_mode(token_file_);
    load_file();
  }
  guarded_ = !tokens_->empty();
}

void Access::load_file() {
  std::string why;
  std::optional<std::string> text = read_file(token_file_, why);
  if (!text) throw Error(ErrorCode::kNotFound, "serve: the token file " + token_file_ + " " + why);
  const TokenSet::Digest digest = TokenSet::digest_of(*text);
  if (digest == file_) {
    wipe(*text);
    return;
  }
  file_ = digest;
  auto fresh = std::make_shared<TokenSet>(fixed_);
  std::string failure;
  try {
    add_tokens(*fresh, *text);
    if (fresh->size() == fixed_.size()) failure = "there is no token in it";
  } catch (const Error& error) {
    failure = error.what();
  }
  wipe(*text);
  if (!failure.empty())
    throw Error(ErrorCode::kInvalidArgument, "serve: the token file " + token_file_ + ": " + failure);
  const std::lock_guard lock(mutex_);
  tokens_ = std::move(fresh);
}

void Access::reload() {
  if (token_file_.empty()) return;
  try {
    const TokenSet::Digest before = file_;
    load_file();
    complained_ = false;
    if (file_ != before) {
      warn_of_mode(token_file_);
      util::log_info("serve: read " + token_file_ + " again");
    }
  } catch (const Error& error) {
    // A file that is gone is no news the second time; one with other mistakes is.
    if (error.code() == ErrorCode::kNotFound && std::exchange(complained_, true)) return;
    util::log_error(std::string(error.what()) + "; the tokens stay as they were");
  }
}

void Access::check_address(const std::string& address) {
  const bool local = address.starts_with("unix:") || is_loopback(address);
  if (!local && !guarded_ && !certified_ && !insecure_)
    throw Error(ErrorCode::kInvalidArgument,
                "serve: " + hostname_ +
                    " is reachable from other machines, where anyone could train and read this model; give tokens (a "
                    "secret: openssl rand -hex 32), ask for clients' certificates (client_ca_file), serve on "
                    "127.0.0.1, or set insecure if that is meant");
  const bool any = std::ranges::find(hosts_, "*") != hosts_.end();
  check_host_ = !guarded_ && !any && !address.starts_with("unix:") && is_loopback(address);
}

void Access::check_routes(const std::function<bool(std::string_view)>& is_route) const {
  for (const TokenSet::Entry& entry : tokens()->entries())
    for (const std::string& route : entry.routes)
      if (!is_route(route))
        util::log_warning("serve: the token \"" + entry.name + "\" is for /" + route + ", which isn't served");
}

http::Admission Access::admit(const http::RequestHead& head, std::string_view route, const http::Peer& peer) {
  http::Admission out;
  const std::string_view origin = head.headers.get("Origin");
  if (!cors_.empty()) {
    add_cors(origin, out.headers);
    const bool preflight = head.method == "OPTIONS" && head.headers.find("Access-Control-Request-Method");
    if (preflight && is_listed(origin)) {
      out.answer = preflight_answer(head);
      return out;
    }
  }
  if (is_health(route)) return out;
  if (guarded_) {
    check_token(head, route, peer, out);
  } else if (const std::string why = foreign(head, route); !why.empty()) {
    ++forbidden_;
    out.answer = refusal(ErrorCode::kForbidden, why);
  }
  return out;
}

bool Access::lets(std::string_view caller, std::string_view route) const {
  if (!guarded_) return true;
  const std::shared_ptr<const TokenSet> known = tokens();
  return std::ranges::any_of(known->entries(),
                             [&](const TokenSet::Entry& entry) { return entry.name == caller && entry.opens(route); });
}

std::shared_ptr<const TokenSet> Access::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}

bool Access::is_listed(std::string_view origin) const {
  if (origin.empty()) return false;
  return std::ranges::find(cors_, lower(origin)) != cors_.end() || std::ranges::find(cors_, "*") != cors_.end();
}

void Access::add_cors(std::string_view origin, http::Headers& headers) const {
  const bool any = std::ranges::find(cors_, "*") != cors_.end();
  if (!any) headers.set("Vary", "Origin");
  if (!is_listed(origin)) return;
  headers.set("Access-Control-Allow-Origin", any ? "*" : origin);
  headers.set("Access-Control-Expose-Headers", kReadHeaders);
  if (!any) headers.set("Access-Control-Allow-Credentials", "true");
}

// A browser lets any page send requests to this machine. What tells them from
// a program's is the name by which the page reached us (a stranger's, when its
// owner points it here), and what browsers say of where a request comes from.
std::string Access::foreign(const http::RequestHead& head, std::string_view route) const {
  const std::string_view authority = head.headers.get("Host");
  const bool asks = check_host_ && !authority.empty() && !is_plainly_local(authority);
  const std::string host = asks ? host_of(authority) : std::string();
  if (asks && !is_loopback(host) && host != hostname_ && std::ranges::find(hosts_, host) == hosts_.end())
    return "requests for the host \"" + host + "\" aren't answered here without a token, since a web page could make " +
           "them; if it is a proxy's name, add it to allowed_hosts";
  if (const auto origin = head.headers.find("Origin")) {
    if (is_listed(*origin) || (!authority.empty() && http::iequals(authority_of(*origin), authority))) return "";
    return "requests of pages of \"" + std::string(*origin) + "\" aren't answered; list that origin in cors if they " +
           "should be";
  }
  const std::string_view site = head.headers.get("Sec-Fetch-Site");
  if (!route.empty() && (site == "cross-site" || site == "same-site"))
    return "requests of other sites' pages aren't answered";
  return "";
}

void Access::check_token(const http::RequestHead& head, std::string_view route, const http::Peer& peer,
                         http::Admission& out) {
  const size_t given = head.headers.count("Authorization");
  if (given == 0) {
    ++unauthorized_;
    out.answer =
        refusal(ErrorCode::kUnauthorized, "this server wants a token, and none came (Authorization: Bearer SECRET)",
                R"(Bearer realm="shumai")");
    return;
  }
  const std::shared_ptr<const TokenSet> known = tokens();
  const TokenSet::Entry* entry = known->find(bearer(head.headers.get("Authorization")));
  if (given > 1 || !entry) {
    count_wrong(peer);
    out.answer = refusal(ErrorCode::kUnauthorized, "the token isn't one of this server's",
                         R"(Bearer realm="shumai", error="invalid_token")");
  } else if (!entry->opens(route)) {
    ++forbidden_;
    out.answer = refusal(ErrorCode::kForbidden, "the token \"" + entry->name + "\" isn't for /" + std::string(route),
                         R"(Bearer realm="shumai", error="insufficient_scope")");
  } else {
    out.caller = entry->name;
  }
}

void Access::count_wrong(const http::Peer& peer) {
  ++unauthorized_;
  std::string message;
  {
    const std::lock_guard lock(mutex_);
    ++wrong_since_;
    const auto now = steady_clock::now();
    if (told_ != steady_clock::time_point() && now - told_ < kBetweenWarnings) return;
    told_ = now;
    message = "serve: " + std::to_string(std::exchange(wrong_since_, 0)) +
              " request(s) with a wrong token, the last from " + peer.address;
  }
  util::log_warning(message);
}

Json Access::statistics() const {
  return Json::object({{"unauthorized", unauthorized_.load()}, {"forbidden", forbidden_.load()}});
}

}  // namespace sm::io
