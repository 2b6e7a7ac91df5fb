#include "http/coding.hpp"

#include <gtest/gtest.h>
#include <zstd.h>

#include <random>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

constexpr uint64_t kPlenty = 1 << 30;

std::string zeros(size_t size) { return std::string(size, '\0'); }

std::string noise(size_t size) {
  std::mt19937 random(7);
  std::string out(size, 0);
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// One frame of a sender that doesn't tell the size before, if `told` is false.
std::string frame(const std::string& text, bool told = true, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (window_log) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  if (told) ZSTD_CCtx_setPledgedSrcSize(context, text.size());
  std::string out(ZSTD_compressBound(text.size()) + 64, 0);
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{text.data(), text.size(), 0};
  if (!told) ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue);
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  return out;
}

std::string decoded(const std::string& bytes, uint64_t max_bytes = kPlenty, const std::string& coding = "zstd") {
  Headers headers;
  headers.add("Content-Encoding", coding);
  Body body = copy_body(bytes);
  decode_body(headers, body, max_bytes);
  EXPECT_FALSE(headers.find("Content-Encoding"));
  return std::string(body_text(body));
}

ErrorCode refusal(const std::string& bytes, uint64_t max_bytes = kPlenty, const std::string& coding = "zstd") {
  try {
    decoded(bytes, max_bytes, coding);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "it was decoded";
  return ErrorCode::kInternal;
}

TEST(Coding, DecodesWhatItCompressed) {
  const std::string text = zeros(100'000) + noise(1000) + "the end";
  Headers headers;
  Body body = copy_body(text.substr(0, 60'000));
  for (util::Slice& slice : copy_body(text.substr(60'000))) body.push_back(slice);
  compress_body(headers, body);
  EXPECT_EQ(headers.get("Content-Encoding"), "zstd");
  EXPECT_LT(body_size(body), 5000u);
  EXPECT_EQ(decoded(std::string(body_text(body))), text);
}

TEST(Coding, LeavesABodyAloneThatIsSmallOrDoesntShrink) {
  for (const std::string& text : {zeros(1000), noise(100'000), std::string()}) {
    Headers headers;
    Body body = copy_body(text);
    compress_body(headers, body);
    EXPECT_FALSE(headers.find("Content-Encoding"));
    EXPECT_EQ(body_text(body), text);
  }
}

TEST(Coding, DecodesFramesOfUnknownSizeAndSeveral) {
  const std::string text = noise(300'000) + zeros(3'000'000);
  EXPECT_EQ(decoded(frame(text, false)), text);
  EXPECT_EQ(decoded(frame("one, ") + frame("two, ", false) + frame("three")), "one, two, three");
  EXPECT_EQ(decoded(frame("")), "");
}

TEST(Coding, CountsDecodedBytesUpToTheLimitExactly) {
  for (const bool told : {true, false}) {
    EXPECT_EQ(decoded(frame(zeros(5000), told), 5000).size(), 5000u);
    EXPECT_EQ(refusal(frame(zeros(5001), told), 5000), ErrorCode::kTooLarge);
    EXPECT_EQ(refusal(frame(zeros(2500), told) + frame(zeros(2501), told), 5000), ErrorCode::kTooLarge);
  }
}

TEST(Coding, ABombIsRefusedBeforeItIsAllocated) {
  const std::string bomb = frame(zeros(size_t{1} << 28), false);
  EXPECT_LT(bomb.size(), 64u << 10);
  const size_t before = util::Buffer::bytes_in_use();
  EXPECT_EQ(refusal(bomb, 1 << 20), ErrorCode::kTooLarge);
  EXPECT_LE(util::Buffer::bytes_in_use(), before + (1u << 20));
}

TEST(Coding, AClaimedSizeAllocatesNothing) {
  // Magic, a descriptor with 8 bytes of content size and a window of a KiB, and the claim: 1 GiB less one byte.
  std::string liar("\x28\xb5\x2f\xfd\xc0\x00", 6);
  const uint64_t claim = kPlenty - 1;
  liar.append(reinterpret_cast<const char*>(&claim), sizeof claim);
  const size_t before = util::Buffer::bytes_in_use();
  EXPECT_EQ(refusal(liar), ErrorCode::kProtocol);
  EXPECT_LE(util::Buffer::bytes_in_use(), before + (2u << 20));
  EXPECT_EQ(refusal(liar, kPlenty - 2), ErrorCode::kTooLarge);
}

TEST(Coding, RefusesALargeWindow) {
  EXPECT_EQ(refusal(frame(zeros(1 << 20), false, 24)), ErrorCode::kTooLarge);
  EXPECT_EQ(decoded(frame(zeros(1 << 20), false, 23)).size(), size_t{1} << 20);
}

TEST(Coding, RefusesWhatIsCorruptOrCutShort) {
  const std::string good = frame(noise(5000) + zeros(5000));
  for (size_t size : {size_t{1}, size_t{5}, good.size() / 2, good.size() - 1})
    EXPECT_EQ(refusal(good.substr(0, size)), ErrorCode::kProtocol) << size;
  EXPECT_EQ(refusal("[1, 2, 3]"), ErrorCode::kProtocol);
  EXPECT_EQ(refusal(good + "x"), ErrorCode::kProtocol);
}

TEST(Coding, KnowsZstdAndIdentityOnly) {
  EXPECT_EQ(decoded("plain", kPlenty, "identity"), "plain");
  EXPECT_EQ(decoded(frame("plain"), kPlenty, "ZSTD"), "plain");
  for (const char* coding : {"gzip", "zstd, zstd", "br"}) {
    EXPECT_EQ(refusal("x", kPlenty, coding), ErrorCode::kUnsupportedMedia);
    Headers headers;
    headers.add("Content-Encoding", coding);
    const std::optional<Response> refused = refuse_coding(headers);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 415);
    EXPECT_EQ(refused->headers.get("Accept-Encoding"), "zstd");
  }
}

TEST(Coding, AcceptEncodingIsReadWithItsQualities) {
  const auto accepted = [](const char* value) {
    Headers headers;
    headers.add("Accept-Encoding", value);
    return accepts_zstd(headers);
  };
  for (const char* value : {"zstd", "gzip, deflate, br, zstd", "zstd;q=0.1", "identity;q=0.5, zstd", "Zstd;Q=1"})
    EXPECT_TRUE(accepted(value)) << value;
  for (const char* value :
       {"", "gzip", "*", "zstd;q=0", "zstd;q=0.000", "identity, zstd;q=0.5", "zstd;q=high", "xzstd"})
    EXPECT_FALSE(accepted(value)) << value;
  EXPECT_FALSE(accepts_zstd(Headers()));
}

}  // namespace
}  // namespace sm::http
