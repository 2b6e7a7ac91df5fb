#include <cstring>

#include "serve/testing.hpp"

namespace sm::io {
namespace {

using testing::any_port;
using testing::error_of;
using testing::HeaderList;
using testing::post;
using testing::send;
using testing::text;

std::string infer_url(const Server& server, const std::string& model = "model") {
  return server.url() + "/v2/models/" + model + "/infer";
}

std::string input(const std::string& name, const std::string& shape, const std::string& data,
                  const std::string& datatype = "FP32") {
  return R"({"name":")" + name + R"(","shape":)" + shape + R"(,"datatype":")" + datatype + R"(","data":)" + data + "}";
}

std::string request(const std::string& inputs, const std::string& more = "") {
  return R"({"inputs":[)" + inputs + "]" + more + "}";
}

Json json_of(const http::Response& response) { return Json::parse(text(response)); }
std::string error_text(const http::Response& response) {
  EXPECT_EQ(response.headers.get("Content-Type"), "application/json");
  const Json json = json_of(response);
  EXPECT_EQ(json.size(), 1u);
  return json["error"].as_string();
}

Server doubling(ServeOptions options = any_port()) {
  return serve({{"forward", [](User&, Tensor x) { return x * 2; }}}, std::move(options));
}

TEST(Inference, AnswersMetadataAndHealth) {
  const Server server = doubling();
  const auto get = [&](const std::string& path) { return json_of(send(server.url() + path)); };
  EXPECT_EQ(get("/v2")["name"].as_string(), "shumai");
  EXPECT_EQ(get("/v2")["extensions"].dump(), R"(["binary_tensor_data"])");
  EXPECT_EQ(get("/v2/health/live").dump(), R"({"live":true})");
  EXPECT_EQ(get("/v2/health/ready")["ready"].dump(), "true");
  EXPECT_EQ(get("/v2/models/model/ready").dump(), R"({"name":"model","ready":true})");
  EXPECT_EQ(get("/v2/models/model/versions/0/ready")["ready"].dump(), "true");
  EXPECT_EQ(get("/v2/models/model").dump(),
            R"({"name":"model","versions":["0"],"platform":"shumai","inputs":[],"outputs":[]})");
}

TEST(Inference, RunsTheForwardOfAServerThatWasToldNothing) {
  const Server server = doubling();
  const http::Response answer =
      post(infer_url(server), request(input("anything", "[2,2]", "[1,2,3,4]"), R"(,"id":"42")"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(text(answer),
            R"({"model_name":"model","model_version":"0","id":"42","outputs":[{"name":"0","datatype":"FP32",)"
            R"("shape":[2,2],"data":[2,4,6,8]}]})");
  EXPECT_EQ(answer.headers.count("Shumai-Ticket") + answer.headers.count("Shumai-Session"), 0u);
}

TEST(Inference, BinaryInputsAndOutputs) {
  const Server server = doubling();
  const std::string json =
      R"({"inputs":[{"name":"x","shape":[2],"datatype":"FP64","parameters":{"binary_data_size":16}}],)"
      R"("parameters":{"binary_data_output":true}})";
  const double values[] = {0.1, -3};
  const std::string body = json + std::string(reinterpret_cast<const char*>(values), 16);
  const http::Response answer = post(
      infer_url(server), body,
      {{"Content-Type", "application/octet-stream"}, {"Inference-Header-Content-Length", std::to_string(json.size())}});
  ASSERT_EQ(answer.status, 200) << text(answer);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/octet-stream");
  const size_t json_size = std::stoul(std::string(answer.headers.get("Inference-Header-Content-Length")));
  const std::string bytes = text(answer);
  ASSERT_EQ(bytes.size(), json_size + 16);
  EXPECT_EQ(Json::parse(bytes.substr(0, json_size))["outputs"][0]["parameters"]["binary_data_size"].as_int64(), 16);
  double got[2];
  std::memcpy(got, bytes.data() + json_size, 16);
  EXPECT_EQ(got[0], 0.2);
  EXPECT_EQ(got[1], -6);
}

TEST(Inference, OutputsAreChosenByNameAndForm) {
  const Server server = serve({{"forward",
                                [](User&, Tensors in) {
                                  return Tensors{{"sum", in["a"] + in["b"]}, {"product", in["a"] * in["b"]}};
                                }}},
                              any_port());
  const std::string inputs = input("a", "[2]", "[1,2]") + "," + input("b", "[2]", "[3,4]");
  const Json both = json_of(post(infer_url(server), request(inputs)));
  EXPECT_EQ(both["outputs"].size(), 2u);
  const Json one = json_of(post(infer_url(server), request(inputs, R"(,"outputs":[{"name":"product"}])")));
  EXPECT_EQ(one["outputs"].dump(), R"([{"name":"product","datatype":"FP32","shape":[2],"data":[3,8]}])");
  const http::Response mixed =
      post(infer_url(server), request(inputs, R"(,"outputs":[{"name":"product","parameters":{"binary_data":false}},)"
                                              R"({"name":"sum"}],"parameters":{"binary_data_output":true})"));
  const size_t json_size = std::stoul(std::string(mixed.headers.get("Inference-Header-Content-Length")));
  const Json json = Json::parse(text(mixed).substr(0, json_size));
  EXPECT_TRUE(json["outputs"][0].contains("data"));
  EXPECT_EQ(json["outputs"][1]["parameters"]["binary_data_size"].as_int64(), 8);
  EXPECT_EQ(text(mixed).size(), json_size + 8);
}

TEST(Inference, AHandlerOfNamedTensorsGetsTheNameOfASingleOne) {
  const Server server = serve({{"forward", [](User&, Tensors in) { return in["image"] * 3; }}}, any_port());
  const Json answer = json_of(post(infer_url(server), request(input("image", "[1]", "[2]"))));
  EXPECT_EQ(answer["outputs"][0]["data"].dump(), "[6]");
}

ServeOptions declared() {
  ServeOptions options = any_port();
  options.inference = {{.name = "my digits",
                        .route = "/score",
                        .inputs = {{"image", DType::f32, {-1, 2}}},
                        .outputs = {{"scores", DType::f32, {-1, 2}}}}};
  return options;
}

TEST(Inference, WhatIsDeclaredIsToldAndChecked) {
  const Server server = serve({{"score", [](User&, Tensor x) { return x + 1; }}}, declared());
  EXPECT_EQ(json_of(send(server.url() + "/v2/models/my%20digits")).dump(),
            R"({"name":"my digits","versions":["0"],"platform":"shumai",)"
            R"("inputs":[{"name":"image","datatype":"FP32","shape":[-1,2]}],)"
            R"("outputs":[{"name":"scores","datatype":"FP32","shape":[-1,2]}]})");
  const std::string url = infer_url(server, "my%20digits");
  const Json answer =
      json_of(post(url, request(input("image", "[1,2]", "[1,2]"), R"(,"outputs":[{"name":"scores"}])")));
  EXPECT_EQ(answer["outputs"].dump(), R"([{"name":"scores","datatype":"FP32","shape":[1,2],"data":[2,3]}])");
  const auto refused = [&](const std::string& body) {
    const http::Response response = post(url, body);
    EXPECT_EQ(response.status, 400) << text(response);
    return error_text(response);
  };
  EXPECT_NE(refused(request(input("image", "[1,3]", "[1,2,3]"))).find("[-1, 2]"), std::string::npos);
  EXPECT_NE(refused(request(input("image", "[1,2]", "[1,2]", "INT8"))).find("must be FP32"), std::string::npos);
  EXPECT_NE(refused(request("")).find("takes \"image\""), std::string::npos);
  EXPECT_NE(refused(request(input("image", "[1,2]", "[1,2]"), R"(,"outputs":[{"name":"logits"}])")).find("\"scores\""),
            std::string::npos);
}

TEST(Inference, WhatIsNotDeclaredIsToldFromWhatTheRouteSaw) {
  const Server server = doubling();
  const auto inputs = [&] { return json_of(send(server.url() + "/v2/models/model"))["inputs"].dump(); };
  post(server.url() + "/forward", "[[1,2],[3,4]]");
  EXPECT_EQ(inputs(), R"([{"name":"0","datatype":"FP32","shape":[2,2]}])");
  post(infer_url(server), request(input("x", "[5,2]", "[1,2,3,4,5,6,7,8,9,0]")));
  EXPECT_EQ(inputs(), R"([{"name":"0","datatype":"FP32","shape":[-1,2]}])");
}

TEST(Inference, WrongOptionsAreRefusedAtTheStart) {
  const auto error_with = [](InferenceModel model) {
    ServeOptions options = any_port();
    options.inference = {std::move(model)};
    return error_of([&] { doubling(options); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_NE(error_with({.name = "a/b"}).find("a/b"), std::string::npos);
  EXPECT_NE(error_with({.route = "backward"}).find("isn't served"), std::string::npos);
  EXPECT_NE(error_with({.inputs = {{"x"}, {"x"}}}).find("two tensors"), std::string::npos);
  EXPECT_NE(error_with({.inputs = {{"x", DType::f32, {-2}}}}).find("-2"), std::string::npos);
  const std::string taken = error_of(
      [] {
        (void)serve({{"v2/models", [](User&) {}}}, any_port());
      },
      ErrorCode::kInvalidArgument);
  EXPECT_NE(taken.find("answered by the server itself"), std::string::npos);
}

struct Refusal {
  const char* method;
  const char* path;
  const char* body;
  HeaderList headers;
  int status;
  const char* message;
};

TEST(Inference, ErrorsAreObjectsWithAMessage) {
  const Server server = doubling();
  const char* good = R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]})";
  const Refusal table[] = {
      {"GET", "/v2/nothing", "", {}, 404, "no endpoint"},
      {"GET", "/v2/models", "", {}, 404, "no endpoint"},
      {"GET", "/v2/models/other", "", {}, 404, "there is \"model\""},
      {"POST", "/v2/models/other/infer", good, {}, 404, "there is \"model\""},
      {"POST", "/v2/models/model/versions/1/infer", good, {}, 404, "no version \"1\""},
      {"GET", "/v2/models/model/versions/x", "", {}, 404, "no version \"x\""},
      {"GET", "/v2/models/model/infer", "", {}, 405, "takes POST"},
      {"POST", "/v2", "{}", {}, 405, "takes GET"},
      {"POST", "/v2/models/model/infer", "", {}, 400, "no body"},
      {"POST", "/v2/models/model/infer", "{", {}, 400, "ends too early"},
      {"POST", "/v2/models/model/infer", good, {{"Content-Type", "text/plain"}}, 415, "text/plain"},
      {"POST", "/v2/models/model/infer", good, {{"Inference-Header-Content-Length", "-1"}}, 400, "number of bytes"},
      {"POST", "/v2/models/model/infer", good, {{"Inference-Header-Content-Length", "1000"}}, 400, "the body has"},
      {"POST", "/v2/models/model/infer", good, {{"Inference-Header-Content-Length", "5"}}, 400, "json"},
  };
  for (const Refusal& row : table) {
    const http::Response response = send(server.url() + row.path, row.method, row.body, row.headers);
    EXPECT_EQ(response.status, row.status) << row.path << " " << text(response);
    EXPECT_NE(error_text(response).find(row.message), std::string::npos) << row.path << " " << text(response);
  }
}

TEST(Inference, ErrorsOfHandlersKeepTheirStatus) {
  const Server server = serve({{"forward",
                                [](User&, Tensor x) -> Tensor {
                                  if (x.elements() == 1) throw Error(ErrorCode::kUnprocessable, "too small");
                                  throw std::runtime_error("broken");
                                }},
                               {"info", [](User&) { return Json("text"); }}},
                              [] {
                                ServeOptions options = any_port();
                                options.inference = {{}, {.name = "info", .route = "info"}};
                                return options;
                              }());
  const http::Response known = post(infer_url(server), request(input("x", "[1]", "[1]")));
  EXPECT_EQ(known.status, 422);
  EXPECT_EQ(error_text(known), "too small");
  const http::Response unknown = post(infer_url(server), request(input("x", "[2]", "[1,2]")));
  EXPECT_EQ(unknown.status, 500);
  EXPECT_EQ(error_text(unknown), "broken");
  const http::Response no_tensor = post(infer_url(server, "info"), request(""));
  EXPECT_EQ(no_tensor.status, 500);
  EXPECT_NE(error_text(no_tensor).find("answered JSON"), std::string::npos);
  EXPECT_EQ(server.statistics()["routes"]["forward"]["errors"].as_int64(), 2);
}

TEST(Inference, KeepsNoTicketNoGraphAndNoSession) {
  const Tensor weight = scalar(2.f).requires_grad(true);
  const std::shared_ptr<int> graph = std::make_shared<int>(0);
  const Server server = serve({{"forward",
                                [&](User& user, Tensor x) {
                                  Tensor y = x * weight;
                                  user.set("opt", [y, graph](Tensor) {});
                                  user.set("calls", user.get<int>("calls", 0) + 1);
                                  return user.get<int>("calls") == 1 ? y : y * 100;
                                }}},
                              any_port());
  // A session with a ticket of its own, which inferences that name it must leave alone.
  const http::Response mine = post(server.url() + "/forward", "[1]");
  const HeaderList named = {{"Shumai-Session", std::string(mine.headers.get("Shumai-Session"))},
                            {"Shumai-Ticket", std::string(mine.headers.get("Shumai-Ticket"))}};
  const long before = graph.use_count();
  for (int i = 0; i < 3; ++i) {
    const http::Response answer = post(infer_url(server), request(input("x", "[1]", "[3]")), named);
    EXPECT_EQ(json_of(answer)["outputs"][0]["data"].dump(), "[6]") << "what another call kept was seen";
  }
  EXPECT_EQ(graph.use_count(), before);
  EXPECT_EQ(server.statistics()["tickets"]["live"].as_int64(), 1);
  EXPECT_EQ(server.statistics()["sessions"].as_int64(), 1);
  EXPECT_EQ(server.statistics()["routes"]["forward"]["requests"].as_int64(), 4);
}

TEST(Inference, TellsTheVersionOfTheWeightsThatItSaw) {
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server = serve_model([=](Tensor x) { return x * weight; },
                                    [](const Gradients& gradients) { optim::sgd(gradients, 0.5f); }, any_port());
  const auto step = [&] {
    const http::Response forward = post(server.url() + "/forward", "[1]");
    const HeaderList ticket = {{"Shumai-Ticket", std::string(forward.headers.get("Shumai-Ticket"))}};
    EXPECT_EQ(post(server.url() + "/optimize", "[1]", ticket).status / 100, 2);
  };
  step();
  const std::string body = request(input("x", "[1]", "[10]"));
  const Json answer = json_of(post(infer_url(server), body));
  EXPECT_EQ(answer["model_version"].as_string(), "1");
  EXPECT_EQ(answer["outputs"][0]["data"].dump(), "[5]");
  EXPECT_EQ(post(server.url() + "/v2/models/model/versions/1/infer", body).status, 200);
  step();
  EXPECT_EQ(post(server.url() + "/v2/models/model/versions/1/infer", body).status, 404);
}

}  // namespace
}  // namespace sm::io
