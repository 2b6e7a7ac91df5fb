#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "e2e/training.hpp"

// What a server answers to gradients and tickets that it can't use: the documented status, code and message,
// and the weights as they were, bit by bit.
namespace sm::e2e {
namespace {

using io::testing::HeaderList;
using io::testing::send;
using testing::HasSubstr;

constexpr const char* kInput = R"({"dtype":"float64","shape":[2,4],"data":[1,2,3,4,5,6,7,8]})";
constexpr const char* kGood = R"({"dtype":"float64","shape":[2,1],"data":[1,-1]})";

std::string gradient(const std::string& data, const std::string& dtype = "float64", const std::string& shape = "2,1") {
  return R"({"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data":[)" + data + "]}";
}

// The model "line" of 4 weights, by plain HTTP.
class Line {
 public:
  explicit Line(std::vector<std::string> more = {}) : server_(options(std::move(more))) {}

  http::Response post(const std::string& route, const std::string& body, const HeaderList& headers) const {
    return send(server_.url() + route, "POST", body, headers);
  }
  http::Response forward(const HeaderList& headers = {}) const { return post("/forward", kInput, headers); }
  std::string ticket(const HeaderList& headers = {}) const {
    return std::string(forward(headers).headers.get("Shumai-Ticket"));
  }
  std::string session() const { return std::string(forward().headers.get("Shumai-Session")); }
  // Their bytes, and how often they moved.
  std::string weights() const {
    const http::Response answer =
        send(server_.url() + "/weights", "GET", "", {{"Accept", "application/x-safetensors"}});
    return io::testing::text(answer) + server_.statistics()["weights"]["version"].dump();
  }
  TrainingServer& server() { return server_; }

 private:
  static std::vector<std::string> options(std::vector<std::string> more) {
    std::vector<std::string> all{"--model", "line", "--size", "4", "--norm", "1000"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  TrainingServer server_;
};

struct Refused {
  const char* what;
  std::string body;
  int status;
  std::string code;
  std::string message;  // part of it
  std::string type = "application/json";
  int afterwards = 200;  // to a good gradient
};

const std::vector<Refused> kBodies = {
    {"NaN", gradient(R"(1,"NaN")"), 422, "unprocessable", "isn't finite"},
    {"NaN of float32", gradient(R"("NaN",1)", "float32"), 422, "unprocessable", "isn't finite"},
    {"infinity", gradient(R"("Infinity",1)"), 422, "unprocessable", "isn't finite"},
    {"minus infinity of float16", gradient(R"(1,"-Infinity")", "float16"), 422, "unprocessable", "isn't finite"},
    {"infinity of bfloat16", gradient(R"(1,"Infinity")", "bfloat16"), 422, "unprocessable", "isn't finite"},
    {"huge", gradient("1e300,1"), 422, "unprocessable", "above the limit of 1000"},
    {"huge together", gradient("800,800"), 422, "unprocessable", "above the limit of 1000"},
    {"huge in the weights alone", gradient("900,1"), 422, "unprocessable", "above the limit of 1000",
     "application/json", 410},
    {"too long", gradient("1,2,3", "float64", "3,1"), 400, "shape_mismatch", "[3, 1]"},
    {"a row", gradient("1,2", "float64", "1,2"), 400, "shape_mismatch", "[1, 2]"},
    {"a scalar", gradient("1", "float64", ""), 400, "shape_mismatch", "[]"},
    {"of a dtype that isn't", gradient("1,2", "float128"), 400, "", "float128"},
    {"two tensors", R"({"a":[1],"b":[2]})", 400, "", ""},
    {"nothing", "", 400, "invalid_argument", "no body"},
    {"not JSON", "gradient", 400, "protocol", ""},
    {"fewer numbers than its shape", gradient("1"), 400, "", ""},
    {"not safetensors", "short", 400, "protocol", "", "application/x-safetensors"},
    {"safetensors with a vast header", "gradient", 413, "too_large", "header", "application/x-safetensors"},
    {"of another type", kGood, 415, "unsupported_media", "text/plain", "text/plain"},
};

void expect_refused(const http::Response& answer, int status, const std::string& code, const std::string& message) {
  EXPECT_EQ(answer.status, status) << io::testing::text(answer);
  EXPECT_EQ(answer.headers.get("Content-Type"), "application/problem+json");
  const Json problem = Json::parse(io::testing::text(answer));
  EXPECT_EQ(problem["status"].as_int64(), status);
  if (!code.empty()) {
    EXPECT_EQ(problem["code"].as_string(), code);
  }
  EXPECT_THAT(problem["detail"].as_string(), HasSubstr(message));
}

TEST(Refusal, AGradientThatCantBeUsedChangesNothing) {
  Line model;
  // So that the optimizer remembers something.
  ASSERT_EQ(model.post("/optimize", kGood, {{"Shumai-Ticket", model.ticket()}}).status, 200);
  for (const Refused& bad : kBodies) {
    SCOPED_TRACE(bad.what);
    const std::string before = model.weights();
    const std::string ticket = model.ticket();
    const http::Response answer =
        model.post("/optimize", bad.body, {{"Shumai-Ticket", ticket}, {"Content-Type", bad.type}});
    expect_refused(answer, bad.status, bad.code, bad.message);
    EXPECT_TRUE(model.weights() == before) << "the weights moved";
    // Once the graph was gone through it is consumed, and the client forwards again.
    EXPECT_EQ(model.post("/optimize", kGood, {{"Shumai-Ticket", ticket}}).status, bad.afterwards);
    EXPECT_EQ(model.weights() == before, bad.afterwards != 200);
  }
}

TEST(Refusal, AGradientOfAnotherDTypeIsTheSameGradient) {
  std::vector<std::string> after;
  for (const char* dtype : {"float64", "float32", "int64", "int8"}) {
    Line model;
    EXPECT_EQ(model.post("/optimize", gradient("1,-1", dtype), {{"Shumai-Ticket", model.ticket()}}).status, 200);
    after.push_back(model.weights());
    EXPECT_TRUE(after.back() == after.front()) << dtype;
  }
}

TEST(Refusal, ATicketThatCantBeUsedChangesNothing) {
  Line model({"--session-tickets", "3"});
  const std::string done = model.ticket(), mine = model.ticket(), stranger = model.session(), owner = model.session();
  ASSERT_EQ(model.post("/optimize", kGood, {{"Shumai-Ticket", done}}).status, 200);
  const std::string oldest = model.ticket({{"Shumai-Session", owner}});
  for (int i = 0; i < 3; ++i) model.ticket({{"Shumai-Session", owner}});
  struct Row {
    const char* what;
    HeaderList headers;
    std::string route;
    std::string body;
    int status;
    std::string code;
    std::string message;
  };
  const std::vector<Row> rows = {
      {"unknown", {{"Shumai-Ticket", std::string(32, 'a')}}, "/optimize", kGood, 410, "gone", "forward again"},
      {"no ticket's form", {{"Shumai-Ticket", "x"}}, "/optimize", kGood, 410, "gone", "forward again"},
      {"another session's",
       {{"Shumai-Ticket", mine}, {"Shumai-Session", stranger}},
       "/optimize",
       kGood,
       403,
       "forbidden",
       "another session"},
      {"done, with another body",
       {{"Shumai-Ticket", done}},
       "/optimize",
       gradient("2,3"),
       422,
       "unprocessable",
       "already used for /optimize with another body"},
      {"done, elsewhere", {{"Shumai-Ticket", done}}, "/forward", kInput, 409, "already_done", "its step was taken"},
      {"one too many of its session", {{"Shumai-Ticket", oldest}}, "/optimize", kGood, 410, "gone", "forward again"},
      {"none, and nothing to go by", {}, "/optimize", kGood, 404, "not_found", "no forward came before"},
  };
  const std::string before = model.weights();
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    expect_refused(model.post(row.route, row.body, row.headers), row.status, row.code, row.message);
    EXPECT_TRUE(model.weights() == before) << "the weights moved";
  }
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(model.post("/optimize", kGood, {{"Shumai-Ticket", done}}).status, 200) << "the same again";
  EXPECT_TRUE(model.weights() == before) << "the step was taken again";
}

TEST(Refusal, AnExpiredTicketIsGone) {
  Line model({"--lifetime", "50"});
  const std::string ticket = model.ticket(), before = model.weights();
  ASSERT_TRUE(poll_until([&] { return model.server().statistics()["tickets"]["expired"].as_int64() == 1; }));
  expect_refused(model.post("/optimize", kGood, {{"Shumai-Ticket", ticket}}), 410, "gone", "it expired");
  EXPECT_TRUE(model.weights() == before) << "the weights moved";
}

}  // namespace
}  // namespace sm::e2e
