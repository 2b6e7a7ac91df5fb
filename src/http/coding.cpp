#include "http/coding.hpp"

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "http/negotiate.hpp"
#include "http/problem.hpp"
#include "shumai/error.hpp"

namespace sm::http {
namespace {

constexpr int kWindowLog = 23;
// Beyond it, level 3 takes twice the time for a tenth of the size.
constexpr int kLevel = 1;
constexpr size_t kWorthwhile = 1024;
// What a frame may claim to become before it has shown anything.
constexpr uint64_t kTrusted = 1 << 20;
constexpr size_t kFactor = 4;

struct Free {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

template <class Context>
Context* made(Context* context) {
  if (!context) throw Error(ErrorCode::kTooLarge, "zstd: no memory");
  return context;
}

// Clearing their tables is most of the work for a small body, so each thread keeps its own.
ZSTD_DCtx* decoder() {
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> own(made(ZSTD_createDCtx()));
  ZSTD_DCtx_reset(own.get(), ZSTD_reset_session_and_parameters);
  ZSTD_DCtx_setParameter(own.get(), ZSTD_d_windowLogMax, kWindowLog);
  return own.get();
}

ZSTD_CCtx* encoder() {
  thread_local const std::unique_ptr<ZSTD_CCtx, Free> own(made(ZSTD_createCCtx()));
  ZSTD_CCtx_reset(own.get(), ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(own.get(), ZSTD_c_compressionLevel, kLevel);
  return own.get();
}

[[noreturn]] void too_large(uint64_t max_bytes) {
  throw Error(ErrorCode::kTooLarge,
              "zstd: the decoded body is over the limit of " + std::to_string(max_bytes) + " bytes (max_body_bytes)");
}

[[noreturn]] void corrupt(const std::string& why) {
  throw Error(ErrorCode::kProtocol, "zstd: the body can't be decoded: " + why);
}

void check(size_t result) {
  if (!ZSTD_isError(result)) return;
  if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
    throw Error(ErrorCode::kTooLarge, "zstd: the body needs a window of more than 8 MiB");
  corrupt(ZSTD_getErrorName(result));
}

// Decoded bytes that grow with what was really decoded.
class Output {
 public:
  Output(std::string_view input, uint64_t max_bytes) : max_bytes_(max_bytes) {
    const unsigned long long claimed = ZSTD_getFrameContentSize(input.data(), input.size());
    const bool known = claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed != ZSTD_CONTENTSIZE_ERROR;
    if (known && claimed > max_bytes) too_large(max_bytes);
    const uint64_t wanted = known ? claimed : uint64_t{input.size()} * kFactor;
    reserve(std::min(wanted, std::max<uint64_t>(kTrusted, input.size())));
  }

  ZSTD_outBuffer space() {
    if (size_ == buffer_->size()) reserve(uint64_t{size_} * kFactor);
    return {buffer_->data() + size_, buffer_->size() - size_, 0};
  }
  void commit(size_t bytes) {
    size_ += bytes;
    if (size_ > max_bytes_) too_large(max_bytes_);
  }

  Body take() {
    Body body;
    const std::byte* data = buffer_->data();
    if (size_) body.push_back({std::move(buffer_), data, size_});
    return body;
  }

 private:
  void reserve(uint64_t bytes) {
    // One byte more than is taken shows that there are too many.
    const uint64_t capacity = std::min(std::max<uint64_t>(bytes, 64), max_bytes_ + 1);
    util::BufferRef larger = util::Buffer::allocate(static_cast<size_t>(capacity));
    if (size_) std::memcpy(larger->data(), buffer_->data(), size_);
    buffer_ = std::move(larger);
  }

  const uint64_t max_bytes_;
  util::BufferRef buffer_;
  size_t size_ = 0;
};

Body decode_zstd(std::string_view input, uint64_t max_bytes) {
  ZSTD_DCtx* context = decoder();
  Output output(input, max_bytes);
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  size_t left = 1;  // of the frame; 0 at its end
  while (in.pos < in.size || left != 0) {
    const bool ended = in.pos == in.size;
    ZSTD_outBuffer out = output.space();
    const size_t before = in.pos;
    left = ZSTD_decompressStream(context, &out, &in);
    check(left);
    output.commit(out.pos);
    if (left != 0 && ended && out.pos < out.size) corrupt("it ends in the middle");
    if (in.pos == before && out.pos == 0 && left != 0 && out.size > 0) corrupt("it makes no progress");
  }
  return output.take();
}

bool is_zstd(std::string_view coding) { return iequals(coding, "zstd"); }

// The coding, empty for none. More than one is none that we know.
std::string_view coding_of(const Headers& headers) {
  const std::string_view coding = headers.get("Content-Encoding");
  return iequals(coding, "identity") ? std::string_view() : coding;
}

}  // namespace

void decode_body(Headers& headers, Body& body, uint64_t max_bytes) {
  const std::string coding(coding_of(headers));
  if (!coding.empty() && !is_zstd(coding))
    throw Error(ErrorCode::kUnsupportedMedia, "Content-Encoding must be zstd or none, got \"" + coding + "\"");
  headers.erase("Content-Encoding");
  if (!coding.empty() && body_size(body) > 0) body = decode_zstd(body_text(body), max_bytes);
}

void compress_body(Headers& headers, Body& body) {
  const size_t size = body_size(body);
  if (size < kWorthwhile || headers.find("Content-Encoding")) return;
  ZSTD_CCtx* context = encoder();
  ZSTD_CCtx_setPledgedSrcSize(context, size);
  // What saves less than a sixteenth isn't worth the other side's time.
  util::BufferRef buffer = util::Buffer::allocate(size - size / 16);
  ZSTD_outBuffer out{buffer->data(), buffer->size(), 0};
  for (size_t i = 0; i < body.size(); ++i) {
    ZSTD_inBuffer in{body[i].data, body[i].size, 0};
    const bool last = i + 1 == body.size();
    const size_t left = ZSTD_compressStream2(context, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left) || in.pos < in.size || (last && left != 0)) return;
  }
  const std::byte* data = buffer->data();
  body.clear();
  body.push_back({std::move(buffer), data, out.pos});
  headers.set("Content-Encoding", "zstd");
}

bool accepts_zstd(const Headers& headers) {
  if (!headers.find("Accept-Encoding")) return false;
  double zstd = 0, identity = 0;
  for (const Preference& entry : preferences(headers, "Accept-Encoding")) {
    if (is_zstd(entry.value)) zstd = entry.quality;
    if (iequals(entry.value, "identity")) identity = entry.quality;
  }
  return zstd > 0 && zstd >= identity;
}

std::optional<Response> refuse_coding(const Headers& headers) {
  const std::string_view coding = coding_of(headers);
  if ((coding.empty() || is_zstd(coding)) && headers.count("Content-Encoding") <= 1) return std::nullopt;
  Response refused = problem(Error(ErrorCode::kUnsupportedMedia,
                                   "Content-Encoding must be zstd or none, got \"" + std::string(coding) + "\""));
  refused.headers.set("Accept-Encoding", "zstd");
  return refused;
}

}  // namespace sm::http
