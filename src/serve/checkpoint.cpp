#include "serve/checkpoint.hpp"

#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include <fmt/core.h>

#include "codec/bytes.hpp"
#include "codec/file.hpp"
#include "codec/safetensors.hpp"
#include "shumai/error.hpp"
#include "shumai/json.hpp"
#include "tensor/impl.hpp"

namespace sm::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOwn = "shumai.";
constexpr std::string_view kFinished = "shumai.finished";
constexpr std::string_view kAnswer = "shumai.answer.";
const std::string kModel = "shumai.model";
constexpr int64_t kRowBytes = 36;

enum class AnswerKind : uint8_t { kForgotten, kNothing, kTensor, kTensors, kJson };

[[noreturn]] void broken(const std::string& what) { throw Error(ErrorCode::kProtocol, "checkpoint: " + what); }

Tensor bytes_tensor(const void* data, size_t size, const Shape& shape) {
  Tensor out = make_tensor(shape, DType::u8);
  if (size) std::memcpy(out.impl()->bytes(), data, size);
  return out;
}

// --- Finished tickets as rows ---

int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

bool pack_id(const std::string& id, unsigned char* out) {
  if (id.size() != 32) return false;
  for (size_t i = 0; i < 16; ++i) {
    const int high = hex_digit(id[2 * i]), low = hex_digit(id[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

std::string unpack_id(const unsigned char* bytes) {
  std::string id;
  for (size_t i = 0; i < 16; ++i) id += fmt::format("{:02x}", bytes[i]);
  return id;
}

AnswerKind add_answer(Tensors& out, const std::string& name, const FinishedTicket::Call& call) {
  if (!call.kept) return AnswerKind::kForgotten;
  if (call.answer.is_json()) {
    const std::string text = call.answer.json().dump();
    out.set(name, bytes_tensor(text.data(), text.size(), Shape{static_cast<int64_t>(text.size())}));
    return AnswerKind::kJson;
  }
  if (call.answer.empty()) return AnswerKind::kNothing;
  if (call.answer.is_tensor()) {
    out.set(name, call.answer.tensor());
    return AnswerKind::kTensor;
  }
  const std::string prefix = name + ".";
  for (const auto& [key, tensor] : call.answer.tensors()) out.set(std::string(prefix).append(key), tensor);
  return AnswerKind::kTensors;
}

Content take_answer(const Tensors& all, const std::string& name, AnswerKind kind) {
  if (kind == AnswerKind::kNothing) return {};
  if (kind == AnswerKind::kTensor) return all[name];
  if (kind == AnswerKind::kJson) {
    const Tensor text = all[name];
    if (text.dtype() != DType::u8) broken("an answer in JSON isn't text");
    return Json::parse({text.impl()->as<char>(), static_cast<size_t>(text.elements())});
  }
  Tensors named;
  for (const auto& [key, tensor] : all)
    if (key.starts_with(name + ".")) named.set(key.substr(name.size() + 1), tensor);
  return named;
}

// Adds the rows and answers to `out`; returns the routes as JSON.
std::string add_finished(Tensors& out, const FinishedTickets& finished) {
  std::vector<unsigned char> rows;
  Json routes = Json::array();
  std::map<std::string, uint16_t> numbers;
  size_t n = 0;
  for (const FinishedTicket& ticket : finished)
    for (const FinishedTicket::Call& call : ticket.calls) {
      const auto [at, fresh] = numbers.emplace(call.route, static_cast<uint16_t>(numbers.size()));
      if (fresh) routes.push_back(call.route);
      unsigned char row[kRowBytes] = {};
      if (!pack_id(ticket.id, row)) continue;
      const AnswerKind kind = add_answer(out, std::string(kAnswer) + std::to_string(n), call);
      std::memcpy(row + 16, call.body.data(), 16);
      std::memcpy(row + 32, &at->second, 2);
      row[34] = static_cast<unsigned char>(kind);
      rows.insert(rows.end(), row, row + kRowBytes);
      ++n;
    }
  out.set(std::string(kFinished), bytes_tensor(rows.data(), rows.size(), Shape{static_cast<int64_t>(n), kRowBytes}));
  return routes.dump();
}

FinishedTickets read_finished(const Tensors& all, const std::string& routes_text) {
  const Tensor table = all[kFinished];
  const Json routes = Json::parse(routes_text);
  if (table.dtype() != DType::u8 || table.ndim() != 2 || table.shape()[1] != kRowBytes || !routes.is_array())
    broken("its table of finished tickets has another form");
  FinishedTickets finished;
  const unsigned char* row = table.impl()->as<unsigned char>();
  for (int64_t n = 0; n < table.shape()[0]; ++n, row += kRowBytes) {
    uint16_t route = 0;
    std::memcpy(&route, row + 32, 2);
    if (route >= routes.size() || row[34] > static_cast<unsigned char>(AnswerKind::kJson))
      broken("its table of finished tickets names what isn't there");
    FinishedTicket::Call call{routes[size_t{route}].as_string(), {}, false, {}};
    std::memcpy(call.body.data(), row + 16, 16);
    const auto kind = static_cast<AnswerKind>(row[34]);
    call.kept = kind != AnswerKind::kForgotten;
    if (call.kept) call.answer = take_answer(all, std::string(kAnswer) + std::to_string(n), kind);
    std::string id = unpack_id(row);
    if (finished.empty() || finished.back().id != id) finished.push_back({std::move(id), {}});
    finished.back().calls.push_back(std::move(call));
  }
  return finished;
}

// --- Whole or not ---

void digest_text(XXH3_state_t* state, std::string_view text) {
  const uint64_t size = text.size();
  XXH3_128bits_update(state, &size, sizeof size);
  XXH3_128bits_update(state, text.data(), text.size());
}

std::string checksum_of(const Tensors& tensors, const codec::Metadata& metadata) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const auto& [key, value] : metadata) {
    digest_text(&state, key);
    digest_text(&state, value);
  }
  for (const auto& [name, tensor] : tensors) {
    digest_text(&state, name);
    digest_text(&state, name_of(tensor.dtype()));
    digest_text(&state, tensor.shape().to_string());
    const util::Slice elements = codec::elements_in_order(tensor);
    XXH3_128bits_update(&state, elements.data, elements.size);
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

uint64_t to_number(std::string_view text, const char* what) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) broken(std::string("its ") + what + " isn't a number");
  return value;
}

}  // namespace

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  Tensors all;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.starts_with(kOwn) && !name.starts_with(kReplicaState))
      throw Error(ErrorCode::kInvalidArgument, "checkpoint: the name \"" + name + "\" is one of its own");
    all.set(name, tensor);
  }
  codec::Metadata metadata;
  metadata["shumai.routes"] = add_finished(all, checkpoint.finished);
  metadata["shumai.format"] = "1";
  metadata["shumai.version"] = std::to_string(checkpoint.version);
  metadata["shumai.random"] = fmt::format("{} {}", checkpoint.random.seed, checkpoint.random.position);
  if (!checkpoint.model.empty()) metadata[kModel] = checkpoint.model;
  metadata["shumai.checksum"] = checksum_of(all, metadata);
  codec::atomic_write(path, codec::encode_safetensors(all, metadata));
}

Checkpoint read_checkpoint(const std::string& path) {
  const util::BufferRef file = codec::read_file(path);
  codec::Metadata metadata;
  // Our own file, but for its size a stranger's.
  const codec::SafetensorsLimits limits{.max_header_bytes = size_t{256} << 20, .max_tensors = 1'000'000};
  const Tensors all = codec::decode_safetensors(file, 0, file->size(), &metadata, limits);
  const auto checksum = metadata.find("shumai.checksum");
  if (checksum == metadata.end()) broken("\"" + path + "\" is no checkpoint of this program");
  const std::string expected = checksum->second;
  metadata.erase(checksum);
  if (checksum_of(all, metadata) != expected) broken("\"" + path + "\" is damaged: its checksum is another");
  if (metadata["shumai.format"] != "1") broken("\"" + path + "\" has format " + metadata["shumai.format"]);

  Checkpoint out;
  out.version = to_number(metadata["shumai.version"], "version");
  const std::string& random = metadata["shumai.random"];
  const size_t space = std::min(random.find(' '), random.size());
  out.random.seed = to_number(std::string_view(random).substr(0, space), "random state");
  out.random.position = to_number(std::string_view(random).substr(std::min(space + 1, random.size())), "random state");
  out.model = metadata[kModel];
  out.finished = read_finished(all, metadata["shumai.routes"]);
  for (const auto& [name, tensor] : all)
    if (!name.starts_with(kOwn) || name.starts_with(kReplicaState)) out.tensors.set(name, tensor);
  return out;
}

// --- The directory ---

namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kSuffix = ".safetensors";
constexpr std::string_view kLeftover = ".safetensors.tmp-";

}  // namespace

CheckpointDirectory::CheckpointDirectory(std::string path, int keep)
    : path_(std::move(path)), keep_(static_cast<size_t>(keep)) {
  if (keep < 1)
    throw Error(ErrorCode::kInvalidArgument, "checkpoint: keep must be 1 or more, got " + std::to_string(keep));
  std::error_code error;
  fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_, error))
    throw Error(ErrorCode::kInvalidArgument,
                "checkpoint: can't use the directory \"" + path_ + "\": " + (error ? error.message() : "it is a file"));
  // What a crash left half written.
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    std::error_code ignored;
    if (name.starts_with(kPrefix) && name.find(kLeftover) != std::string::npos) fs::remove(entry.path(), ignored);
  }
}

std::vector<std::string> CheckpointDirectory::files() const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) names.push_back(entry.path());
  }
  // The numbers have as many digits, all of them.
  std::sort(names.begin(), names.end(), std::greater<>());
  return names;
}

std::optional<Checkpoint> CheckpointDirectory::newest(std::vector<std::string>& skipped) const {
  for (const std::string& file : files()) {
    try {
      return read_checkpoint(file);
    } catch (const Error& error) {
      skipped.push_back(file + ": " + error.what());
    }
  }
  return std::nullopt;
}

std::string CheckpointDirectory::path_of(uint64_t version) const {
  return path_ + "/" + fmt::format("{}{:020}{}", kPrefix, version, kSuffix);
}

std::vector<CheckpointDirectory::Entry> CheckpointDirectory::entries(size_t most) const {
  std::vector<Entry> out;
  for (const std::string& file : files()) {
    if (out.size() == most) break;
    const std::string_view name = std::string_view(file).substr(file.rfind('/') + 1 + kPrefix.size());
    Entry entry;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), entry.version);
    struct stat info {};
    const bool is_ours = bad == std::errc() && std::string_view(end) == kSuffix;
    if (!is_ours || ::stat(file.c_str(), &info) != 0) continue;
    entry.bytes = static_cast<uint64_t>(info.st_size);
    entry.time = static_cast<double>(info.st_mtim.tv_sec) + 1e-9 * static_cast<double>(info.st_mtim.tv_nsec);
    out.push_back(entry);
  }
  return out;
}

void CheckpointDirectory::write(const Checkpoint& checkpoint) const {
  write_checkpoint(path_of(checkpoint.version), checkpoint);
  const std::vector<std::string> all = files();
  for (size_t i = keep_; i < all.size(); ++i) {
    std::error_code ignored;
    fs::remove(all[i], ignored);
  }
}

CheckpointThread::CheckpointThread() : thread_([this] { work(); }) {}

CheckpointThread::~CheckpointThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointThread::run(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
}

void CheckpointThread::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return !jobs_.empty() || ending_; });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace sm::io
