#include "serve/accept.hpp"

#include <gtest/gtest.h>

#include "serve/testing.hpp"

namespace sm::io {
namespace {

constexpr const char* kSafetensors = "application/x-safetensors";
constexpr const char* kJson = "application/json";
constexpr const char* kBinary = "application/octet-stream";

std::string bytes_of(const Encoded& encoded) {
  std::string bytes;
  for (const util::Slice& slice : encoded.body) bytes.append(reinterpret_cast<const char*>(slice.data), slice.size);
  return bytes;
}

std::string as(const Content& content, Form::Type type) { return bytes_of(encode_content(content, {Form{type}})); }

// What the first of the acceptable forms is, or the status of the refusal.
std::string chosen(const std::string& type, const std::string& accept, const std::string& agent = "") {
  http::Request request;
  if (!type.empty()) {
    request.body = http::copy_body("x");
    request.headers.set("Content-Type", type);
  }
  if (accept != "-") request.headers.set("Accept", accept);
  if (!agent.empty()) request.headers.set("User-Agent", agent);
  try {
    const Form form = acceptable_forms(request).front();
    std::string name = form.type == Form::Type::kSafetensors ? "safetensors"
                       : form.type == Form::Type::kJson      ? "json"
                                                             : "binary";
    return form.floats == DType::f32 ? name : name + " " + std::string(name_of(form.floats));
  } catch (const Error& error) {
    return std::to_string(error.status());
  }
}

struct Row {
  const char* type;    // of the request; empty: no body
  const char* accept;  // "-": none
  const char* answer;
};

class Negotiation : public ::testing::TestWithParam<Row> {};

TEST_P(Negotiation, ChoosesAsTheTableSays) { EXPECT_EQ(chosen(GetParam().type, GetParam().accept), GetParam().answer); }

INSTANTIATE_TEST_SUITE_P(
    Table, Negotiation,
    ::testing::Values(
        // Without preferences: the request's own.
        Row{kSafetensors, "-", "safetensors"}, Row{kJson, "-", "json"}, Row{kBinary, "-", "binary"},
        Row{"", "-", "json"}, Row{kSafetensors, "*/*", "safetensors"}, Row{kJson, "*/*", "json"},
        Row{kBinary, "*/*", "binary"}, Row{"", "*/*", "json"}, Row{kBinary, "application/*", "binary"},
        Row{"Application/JSON; charset=utf-8", "", "json"},
        // By name.
        Row{kJson, kSafetensors, "safetensors"}, Row{kJson, kBinary, "binary"}, Row{kSafetensors, kJson, "json"},
        Row{kBinary, kJson, "json"}, Row{"", kSafetensors, "safetensors"},
        Row{kJson, "APPLICATION/X-SAFETENSORS", "safetensors"},
        // By quality; the most specific entry counts.
        Row{kJson, "application/json;q=0.1, application/x-safetensors;q=0.9", "safetensors"},
        Row{kJson, "application/json;q=0.1, */*;q=0.2", "safetensors"},
        Row{kJson, "application/json;q=0, */*", "safetensors"},
        Row{kJson, "*/*;q=0.3, application/octet-stream;q=0.4", "binary"},
        Row{kSafetensors, "application/*;q=0.5, application/json", "json"},
        Row{kJson, "application/x-safetensors;q=0.9, application/json;q=0.9", "json"},
        Row{kJson, "text/html, application/x-safetensors;q=0.1", "safetensors"},
        Row{kJson, "application/x-safetensors ; q=0.5 , text/html", "safetensors"},
        Row{kJson, "application/json;q=nonsense, application/x-safetensors;q=0.1", "safetensors"},
        Row{kSafetensors, "application/json;version=2", "json"},
        // Narrow floats, for who names them.
        Row{kSafetensors, "application/x-safetensors;dtype=bf16", "safetensors bfloat16"},
        Row{kJson, "application/x-safetensors; dtype=\"F16\"", "safetensors float16"},
        Row{kSafetensors, "application/x-safetensors;dtype=f32", "safetensors"},
        Row{kSafetensors, "application/x-safetensors;dtype=bf16, */*", "safetensors bfloat16"},
        Row{kSafetensors, "application/x-safetensors;dtype=f16;q=0.2, application/x-safetensors", "safetensors"},
        Row{kSafetensors, "application/x-safetensors;dtype=f64, application/json;q=0.1", "json"},
        Row{kJson, "application/json;dtype=bf16", "json"},
        // Nothing.
        Row{kJson, "text/html", "406"}, Row{kJson, "application/json;q=0", "406"}, Row{kJson, "image/*", "406"},
        Row{kSafetensors, "application/x-safetensors;dtype=f8", "406"}, Row{kJson, "*/*;q=0", "406"},
        Row{"text/plain", "*/*", "415"}, Row{"application/x-www-form-urlencoded", "-", "415"}));

TEST(Accept, AGetOfTheOriginalIsAnsweredInItsBinary) {
  EXPECT_EQ(chosen("", "*/*", "Bun/0.5.9"), "binary");
  EXPECT_EQ(chosen("", "application/json", "Bun/1.1.0"), "json");
  EXPECT_EQ(chosen("", "-", "Bun/1.1.0"), "json");
  EXPECT_EQ(chosen("", "*/*", "curl/7.88.1"), "json");
  EXPECT_EQ(chosen(kJson, "*/*", "Bun/1.1.0"), "json");
}

TEST(Accept, SeveralFieldsAreOneList) {
  http::Request request;
  request.headers.add("Accept", "text/html");
  request.headers.add("Accept", "application/octet-stream");
  EXPECT_EQ(acceptable_forms(request).front().type, Form::Type::kShumai);
}

TEST(Accept, RefusalsListWhatIsSupported) {
  const Server server = serve({{"forward", [](User&, Tensor x) { return x; }}}, testing::any_port());
  const http::Response unacceptable = testing::post(server.url() + "/forward", "[1]", {{"Accept", "text/html"}});
  EXPECT_EQ(unacceptable.status, 406);
  const http::Response unsupported = testing::post(server.url() + "/forward", "[1]", {{"Content-Type", "text/csv"}});
  EXPECT_EQ(unsupported.status, 415);
  for (const char* type : {kSafetensors, kJson, kBinary}) {
    EXPECT_NE(testing::detail_of(unacceptable).find(type), std::string::npos);
    EXPECT_NE(testing::detail_of(unsupported).find(type), std::string::npos);
  }
  EXPECT_NE(testing::detail_of(unsupported).find("text/csv"), std::string::npos);
}

TEST(Accept, TheHandlerDoesntRunForAnAnswerThatNobodyTakes) {
  int calls = 0;
  const Server server = serve({{"poke", [&](User&) { ++calls; }}}, testing::any_port());
  EXPECT_EQ(testing::send(server.url() + "/poke", "POST", "", {{"Accept", "image/png"}}).status, 406);
  EXPECT_EQ(calls, 0);
}

// Each type of request with each type of answer, over a socket.
TEST(Accept, EveryTypeOfRequestGetsEveryTypeOfAnswer) {
  const Server server = serve({{"twice", [](User&, Tensor x) { return x * 2; }}}, testing::any_port());
  const Tensor input = tensor<float>({1, -2.5, 3});
  const std::vector<std::pair<const char*, Form::Type>> types = {
      {kSafetensors, Form::Type::kSafetensors}, {kJson, Form::Type::kJson}, {kBinary, Form::Type::kShumai}};
  for (const auto& [sent, sent_form] : types)
    for (const auto& [wanted, wanted_form] : types) {
      const http::Response answer = testing::send(server.url() + "/twice", "POST", as(input, sent_form),
                                                  {{"Content-Type", sent}, {"Accept", wanted}});
      ASSERT_EQ(answer.status, 200) << sent << " " << wanted << testing::text(answer);
      EXPECT_EQ(answer.headers.get("Content-Type"), wanted);
      EXPECT_EQ(decode_content(answer.headers, answer.body, true).tensor().to_vector<float>(),
                (std::vector<float>{2, -5, 6}));
    }
}

TEST(Accept, BothFormsOfJsonAreOneTensor) {
  const Server server = serve({{"same", [](User&, Tensor x) { return x; }}}, testing::any_port());
  EXPECT_EQ(testing::text(testing::post(server.url() + "/same", "[[1, 2], [3, 4]]")), "[[1,2],[3,4]]");
  EXPECT_EQ(testing::text(testing::post(server.url() + "/same", R"({"data": [1, 2, 3, 4], "shape": [2, 2]})")),
            "[[1,2],[3,4]]");
  EXPECT_EQ(testing::text(testing::post(server.url() + "/same", R"({"data": [7], "dtype": "int64"})")),
            R"({"dtype":"int64","shape":[1],"data":[7]})");
}

TEST(Accept, NamedTensorsGoInAnotherFormThanTheBinary) {
  const Server server = serve({{"two",
                                [](User&) {
                                  return Tensors{{"a", ones(1)}, {"b", ones(2)}};
                                }}},
                              testing::any_port());
  const auto ask = [&](const char* accept) {
    return testing::send(server.url() + "/two", "GET", "", {{"Accept", accept}});
  };
  EXPECT_EQ(ask("application/octet-stream, application/json;q=0.5").headers.get("Content-Type"), kJson);
  const http::Response refused = ask(kBinary);
  EXPECT_EQ(refused.status, 406);
  EXPECT_NE(testing::detail_of(refused).find("the tensors \"a\", \"b\""), std::string::npos);
}

TEST(Accept, ABodyWithoutATypeIsTheOriginalsBinary) {
  const Server server = serve({{"same", [](User&, Tensor x) { return x; }}}, testing::any_port());
  http::Request request;
  request.method = "POST";
  request.body = http::copy_body(as(tensor<float>({1, 2}), Form::Type::kShumai));
  const http::Client client;
  const http::Response answer = run(client.send(http::Url::parse(server.url() + "/same"), request));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.get("Content-Type"), kBinary);
}

}  // namespace
}  // namespace sm::io
