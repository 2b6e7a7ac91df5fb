#include "serve/wire.hpp"

#include <gtest/gtest.h>

#include "http/coding.hpp"
#include "serve/testing.hpp"

namespace sm::io {
namespace {

using testing::any_port;
using testing::error_of;

FetchOptions with(Wire wire, Compression compress = Compression::kNone) {
  FetchOptions options;
  options.wire = wire;
  options.compress = compress;
  return options;
}

// A server that tells what arrived, and gives the input back.
struct Echo {
  Server server = serve({{"echo", [this](User& user, Tensors in) { return note(user, std::move(in)); }},
                         {"third", [](User&) { return scalar(1.0f / 3); }},
                         {"huge", [](User&) { return scalar(1e5f); }}},
                        any_port());
  DType dtype = DType::f32;
  std::string encoding;

  Tensors note(User& user, Tensors in) {
    dtype = in.at(0).second.dtype();
    encoding = user.header("Content-Length");
    return in;
  }
  size_t sent() const { return std::stoul(encoding); }
};

TEST(Wire, NarrowFloatsAreFloat32AtBothEnds) {
  Echo echo;
  const Tensor x = tensor<float>({1.0f / 3, -2, 1000.1f});
  for (const auto& [wire, relative] : {std::pair(Wire::kBf16, 0x1p-9f), std::pair(Wire::kF16, 0x1p-12f)}) {
    const Tensor back = run(tfetch(echo.server.url() + "/echo", x, with(wire)));
    EXPECT_EQ(echo.dtype, DType::f32);
    EXPECT_EQ(back.dtype(), DType::f32);
    const std::vector<float> values = back.to_vector<float>();
    EXPECT_NE(values[0], 1.0f / 3);
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(values[i] / x.to_vector<float>()[i], 1, relative);
    EXPECT_NE(run(tfetch(echo.server.url() + "/third", Tensor(), with(wire))).item<float>(), 1.0f / 3);
  }
  EXPECT_EQ(run(tfetch(echo.server.url() + "/third")).item<float>(), 1.0f / 3);
}

TEST(Wire, NarrowFloatsTakeHalfTheBytes) {
  Echo echo;
  const Tensor x = randn({10'000});
  run(tfetch(echo.server.url() + "/echo", x, with(Wire::kBf16)));
  EXPECT_LT(echo.sent(), 20'400u);
}

TEST(Wire, TensorsOfNarrowDTypesStayWhatTheyAre) {
  Echo echo;
  const Tensor half = tensor<float>({1, 2}).astype(DType::bf16);
  EXPECT_EQ(run(tfetch(echo.server.url() + "/echo", half, with(Wire::kF16))).dtype(), DType::bf16);
  EXPECT_EQ(echo.dtype, DType::bf16);
  const Tensor labels = tensor<int64_t>({1, 2});
  EXPECT_EQ(run(tfetch(echo.server.url() + "/echo", labels, with(Wire::kBf16))).dtype(), DType::i64);
}

TEST(Wire, WhatFloat16CantHoldIsAnErrorOnBothSides) {
  Echo echo;
  EXPECT_NE(error_of([&] { run(tfetch(echo.server.url() + "/echo", scalar(70000.0f), with(Wire::kF16))); },
                     ErrorCode::kOutOfRange)
                .find("70000"),
            std::string::npos);
  EXPECT_NE(
      error_of([&] { run(tfetch(echo.server.url() + "/huge", Tensor(), with(Wire::kF16))); }, ErrorCode::kNotAcceptable)
          .find("65504"),
      std::string::npos);
  EXPECT_NEAR(run(tfetch(echo.server.url() + "/huge", Tensor(), with(Wire::kBf16))).item<float>(), 1e5f, 400);
}

TEST(Wire, ARemoteModelTrainsWithNarrowGradients) {
  const Tensor weight = scalar(0.0f).requires_grad(true);
  const Server server = serve_model([weight](Tensor x) { return x * weight; },
                                    [](const Gradients& found) { optim::sgd(found, 0.1f); }, any_port());
  run([](std::string url) -> Task<> {
    RemoteModelOptions options;
    options.wire = Wire::kBf16;
    options.compress = Compression::kZstd;
    const RemoteModel model = remote_model(url, options);
    for (int i = 0; i < 50; ++i) {
      const Tensor x = randn({1000});
      co_await loss::mse(co_await model(x), x * 3).backward_async();
    }
  }(server.url()));
  EXPECT_NEAR(weight.item<float>(), 3, 0.03);
}

// What counts as the same request is the body without its coding; the answer's form is each request's own.
TEST(Wire, ARetryMayBeCompressedAndAskForAnotherForm) {
  int calls = 0;
  const Server server = serve({{"forward",
                                [](User& user, Tensor x) {
                                  user.set("x", x);
                                  return x;
                                }},
                               {"optimize",
                                [&](User&, Tensor x) {
                                  ++calls;
                                  return x;
                                }}},
                              any_port());
  const std::string ticket(testing::post(server.url() + "/forward", "[1]").headers.get("Shumai-Ticket"));
  std::string json = "[0.1";
  for (int i = 0; i < 2000; ++i) json += ",0";
  json += "]";
  EXPECT_EQ(testing::post(server.url() + "/optimize", json, {{"Shumai-Ticket", ticket}}).status, 200);
  http::Headers headers;
  http::Body packed = http::copy_body(json);
  http::compress_body(headers, packed);
  const http::Response again = testing::post(server.url() + "/optimize", std::string(http::body_text(packed)),
                                             {{"Shumai-Ticket", ticket},
                                              {"Content-Encoding", std::string(headers.get("Content-Encoding"))},
                                              {"Accept", "application/x-safetensors;dtype=bf16"}});
  EXPECT_EQ(again.status, 200) << testing::text(again);
  EXPECT_EQ(http::body_size(again.body) / 1000, 4u);
  EXPECT_EQ(calls, 1);
}

TEST(Wire, CompressedBodiesArriveAsTheyWere) {
  Echo echo;
  const Tensor x = zeros({100, 100}) + 0.5f;
  const Tensor back = run(tfetch(echo.server.url() + "/echo", x, with(Wire::kSafetensors, Compression::kZstd)));
  EXPECT_LT(echo.sent(), 1000u);
  EXPECT_EQ(back.to_vector<float>(), x.to_vector<float>());
}

TEST(Wire, AnswersAreCompressedForWhoAcceptsIt) {
  Echo echo;
  std::string json = "[0";
  for (int i = 0; i < 5000; ++i) json += ",0";
  json += "]";
  const auto answer = [&](const char* accept) {
    return testing::post(echo.server.url() + "/echo", json, {{"Accept-Encoding", accept}});
  };
  const http::Response plain = answer("gzip");
  EXPECT_FALSE(plain.headers.find("Content-Encoding"));
  http::Response packed = answer("gzip, zstd");
  EXPECT_EQ(packed.headers.get("Content-Encoding"), "zstd");
  EXPECT_LT(http::body_size(packed.body), 1000u);
  http::decode_body(packed.headers, packed.body, 1 << 20);
  EXPECT_EQ(testing::text(packed), testing::text(plain));
  EXPECT_FALSE(testing::post(echo.server.url() + "/echo", "[1]", {{"Accept-Encoding", "zstd"}})
                   .headers.find("Content-Encoding"));
}

TEST(Wire, DecodedBytesCountForTheServersLimit) {
  ServeOptions options = any_port();
  options.limits.max_body_bytes = 5000;
  const Server server = serve({{"echo", [](User&, Tensor x) { return x; }}}, options);
  const std::string message = error_of(
      [&] { run(tfetch(server.url() + "/echo", zeros({2000}), with(Wire::kSafetensors, Compression::kZstd))); },
      ErrorCode::kTooLarge);
  EXPECT_NE(message.find("5000"), std::string::npos);
  run(tfetch(server.url() + "/echo", zeros({1000}), with(Wire::kSafetensors, Compression::kZstd)));
}

TEST(Wire, RefusesOtherCodingsAndSaysWhatItKnows) {
  Echo echo;
  const http::Response refused = testing::post(echo.server.url() + "/echo", "[1]", {{"Content-Encoding", "gzip"}});
  EXPECT_EQ(refused.status, 415);
  EXPECT_EQ(refused.headers.get("Accept-Encoding"), "zstd");
  EXPECT_EQ(testing::post(echo.server.url() + "/echo", "[1]", {{"Content-Encoding", "zstd"}}).status, 400);
  EXPECT_EQ(testing::post(echo.server.url() + "/echo", "[1]").status, 200);
}

}  // namespace
}  // namespace sm::io
