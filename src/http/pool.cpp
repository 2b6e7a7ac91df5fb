#include "http/pool.hpp"

namespace sm::http {

boost::asio::execution_context::id Pool::id;

std::unique_ptr<Kept> Pool::take(const std::string& origin) {
  std::lock_guard lock(mutex_);
  drop_expired();
  const auto entry = idle_.find(origin);
  if (entry == idle_.end()) return nullptr;
  auto& list = entry->second;
  while (!list.empty()) {
    std::unique_ptr<Kept> kept = std::move(list.back());
    list.pop_back();
    if (!kept->stream.quiet()) continue;
    kept->reused = true;
    return kept;
  }
  return nullptr;
}

void Pool::put(const std::string& origin, std::unique_ptr<Kept> kept, size_t most) {
  std::lock_guard lock(mutex_);
  drop_expired();
  if (most == 0) return;
  auto& list = idle_[origin];
  if (list.size() >= most) list.erase(list.begin());
  list.push_back(std::move(kept));
}

void Pool::shutdown() {
  std::lock_guard lock(mutex_);
  idle_.clear();
}

void Pool::drop_expired() {
  const auto now = std::chrono::steady_clock::now();
  for (auto entry = idle_.begin(); entry != idle_.end();) {
    std::erase_if(entry->second, [&](const auto& kept) { return kept->expires <= now; });
    entry = entry->second.empty() ? idle_.erase(entry) : std::next(entry);
  }
}

}  // namespace sm::http
