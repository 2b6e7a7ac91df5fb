#include "serve/callees.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>
#include <utility>

namespace sm::io {
namespace {

namespace asio = boost::asio;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTimeout{2000};
constexpr size_t kMostBytes = 256 * 1024;
constexpr int kDeepest = 8;

// Servers of this process, by their ids.
struct Servers {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Callees>, std::less<>> all;
};

Servers& servers() {
  static Servers instance;
  return instance;
}

std::string base_of(const http::Url& url) {
  const std::string_view target = std::string_view(url.target).substr(0, url.target.find('?'));
  http::Url base = url;
  base.target = target.substr(0, target.rfind('/') + 1);
  return base.to_string();
}

// `statistics` of a server without what would repeat, or lie too deep.
void prune(Json& statistics, std::string_view own, int depth) {
  const Json* below = statistics.find("models");
  if (!below || !below->is_array()) return;
  Json kept = Json::array();
  for (Json model : below->as_array()) {
    const Json* inner = model.is_object() ? model.find("statistics") : nullptr;
    const Json* id = inner && inner->is_object() ? inner->find("id") : nullptr;
    if (depth >= kDeepest || (id && id->is_string() && id->as_string() == own)) continue;
    if (inner && inner->is_object()) prune(model["statistics"], own, depth + 1);
    kept.push_back(std::move(model));
  }
  statistics["models"] = std::move(kept);
}

}  // namespace

bool Callee::is_reached_by(std::string_view base, const FetchOptions& options) const {
  return base_ == base && token_ == *options.token;
}

Task<Json> Callee::ask(std::shared_ptr<Callee> self, std::string path) {
  FetchOptions options;
  options.token = self->token_;
  options.tls = self->tls_;
  options.timeout = kTimeout;
  options.retry_for = std::chrono::milliseconds(0);
  const std::string url = self->base_ + path;
  const Content answer = co_await fetch(url, {}, options);
  if (!answer.is_json() || !answer.json().is_object())
    throw Error(ErrorCode::kProtocol, url + " answered " + answer.describe() + " where JSON is expected");
  co_return answer.json();
}

Task<> Callee::look(std::shared_ptr<Callee> self) {
  if (self->asked_.exchange(true)) co_return;
  const char* state = "up";
  std::string error;
  Json statistics;
  try {
    statistics = co_await ask(self, "statistics");
    if (statistics.dump().size() > kMostBytes) {
      statistics = {};
      error = "its /statistics are over " + std::to_string(kMostBytes) + " bytes";
    }
  } catch (const Error& failure) {
    const int status = failure.status();
    state = status == 401 || status == 403 ? "refused" : failure.code() == ErrorCode::kNotFound ? "unknown" : "down";
    error = failure.what();
  }
  const std::lock_guard lock(self->mutex_);
  self->state_ = state;
  self->error_ = std::move(error);
  if (!statistics.is_null()) {
    self->statistics_ = std::move(statistics);
    self->when_ = steady_clock::now();
  }
  self->asked_ = false;
}

Json Callee::to_json(size_t number, std::string_view own) const {
  const std::lock_guard lock(mutex_);
  Json out = Json::object({{"model", std::to_string(number)},
                           {"url", base_},
                           {"state", state_},
                           {"calls", calls_.load()},
                           {"failures", failures_.load()}});
  if (!error_.empty()) out["error"] = error_;
  if (statistics_.is_null()) return out;
  out["seconds_ago"] = std::chrono::duration<double>(steady_clock::now() - when_).count();
  Json statistics = statistics_;
  prune(statistics, own, 0);
  out["statistics"] = std::move(statistics);
  return out;
}

std::shared_ptr<Callee> Callees::of(const http::Url& url, const FetchOptions& options) {
  const std::string base = base_of(url);
  const std::lock_guard lock(mutex_);
  for (const auto& callee : callees_)
    if (callee->is_reached_by(base, options)) return callee;
  if (callees_.size() >= kMost) return nullptr;
  return callees_.emplace_back(std::make_shared<Callee>(base, options));
}

std::shared_ptr<Callee> Callees::at(size_t number) const {
  const std::lock_guard lock(mutex_);
  return number < callees_.size() ? callees_[number] : nullptr;
}

std::vector<std::shared_ptr<Callee>> Callees::all() const {
  const std::lock_guard lock(mutex_);
  return callees_;
}

bool Callees::empty() const {
  const std::lock_guard lock(mutex_);
  return callees_.empty();
}

void Callees::look(const asio::any_io_executor& executor) const {
  for (const auto& callee : all()) asio::co_spawn(executor, Callee::look(callee), asio::detached);
}

Json Callees::to_json() const {
  Json out = Json::array();
  size_t number = 0;
  for (const auto& callee : all()) out.push_back(callee->to_json(number++, server_));
  return out;
}

std::shared_ptr<Callees> Callees::make(const std::string& own) {
  auto out = std::make_shared<Callees>(own);
  const std::lock_guard lock(servers().mutex);
  std::erase_if(servers().all, [](const auto& entry) { return entry.second.expired(); });
  servers().all[own] = out;
  return out;
}

std::shared_ptr<Callees> Callees::of_caller(std::string_view path) {
  const std::string_view step = path.substr(path.rfind(',') + 1);
  const std::string_view id = step.substr(0, step.find('/'));
  const std::lock_guard lock(servers().mutex);
  const auto found = servers().all.find(id);
  return found == servers().all.end() ? nullptr : found->second.lock();
}

}  // namespace sm::io
