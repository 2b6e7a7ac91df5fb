#include <sys/stat.h>

#include <fstream>
#include <map>

#include "http/testing.hpp"
#include "io/connect.hpp"
#include "serve/testing.hpp"
#include "serve/tokens.hpp"

namespace sm::io {
namespace {

using http::testing::RawClient;
using testing::any_port;
using testing::detail_of;
using testing::Directory;
using testing::error_of;
using testing::HeaderList;
using testing::post;
using testing::send;
using testing::text;

const std::string kAll = "all-secret-0123456789abcdef", kForward = "forward-secret-0123456789ab",
                  kStatistics = "statistics-secret-012345678";

HeaderList with(const std::string& secret) { return {{"Authorization", "Bearer " + secret}}; }

std::string code_of(const http::Response& response) {
  return Json::parse(http::body_text(response.body))["code"].as_string();
}

ServeOptions three_tokens() {
  ServeOptions options = any_port();
  options.tokens = {{"all", kAll}, {"trainer", kForward, {"forward"}}, {"watcher", kStatistics, {"statistics", "/"}}};
  return options;
}

Server two_routes(ServeOptions options) {
  return serve({{"forward",
                 [](User& user, Tensor x) {
                   user.set("opt", [](Tensor jacobian) { return jacobian * 3; });
                   return x * 2;
                 }},
                {"optimize", [](User& user, Tensor jacobian) { return user.call("opt", jacobian); }},
                {"who",
                 [](User& user) {
                   return Json::object({{"token", user.token()}, {"session", user.id()}});
                 }}},
               std::move(options));
}

TEST(Access, EveryRouteWantsATokenThatIsForIt) {
  const Server server = two_routes(three_tokens());
  struct Row {
    const char* path;
    int none, wrong, trainer, watcher, all;
  };
  const Row rows[] = {{"forward", 401, 401, 200, 403, 200},
                      {"optimize", 401, 401, 403, 403, 200},
                      {"statistics", 401, 401, 403, 200, 200},
                      {"metrics", 401, 401, 403, 403, 200},
                      {"", 401, 401, 403, 200, 200},
                      {"statistics/feed", 401, 401, 403, 200, 200},
                      {"checkpoints", 401, 401, 403, 403, 404},
                      {"nowhere", 401, 401, 403, 403, 404},
                      {"v2", 401, 401, 403, 403, 200},
                      {"v2/models/model", 401, 401, 200, 403, 200},
                      {"v2/models/none", 401, 401, 403, 403, 404},
                      {"v2/health/live", 200, 200, 200, 200, 200},
                      {"v2/health/ready", 200, 200, 200, 200, 200},
                      {"health/live", 200, 200, 200, 200, 200},
                      {"health/ready", 200, 200, 200, 200, 200},
                      {"/forward", 401, 401, 200, 403, 200}};
  for (const Row& row : rows) {
    const bool takes_tensor =
        std::string(row.path).find("forward") != std::string::npos || std::string(row.path) == "optimize";
    const auto status = [&](const HeaderList& headers) {
      return send(server.url() + "/" + row.path, takes_tensor ? "POST" : "GET", takes_tensor ? "[1]" : "", headers)
          .status;
    };
    EXPECT_EQ(status({}), row.none) << row.path;
    EXPECT_EQ(status(with(kAll + "x")), row.wrong) << row.path;
    EXPECT_EQ(status(with(kForward)), row.trainer) << row.path;
    EXPECT_EQ(status(with(kStatistics)), row.watcher) << row.path;
    EXPECT_EQ(status(with(kAll)), row.all) << row.path;
  }
}

TEST(Access, RefusalsSayWhyInTheFormsOfTheirStandards) {
  const Server server = two_routes(three_tokens());
  const http::Response none = send(server.url() + "/who");
  EXPECT_EQ(none.headers.get("WWW-Authenticate"), R"(Bearer realm="shumai")");
  EXPECT_EQ(none.headers.get("Content-Type"), "application/problem+json");
  EXPECT_EQ(code_of(none), "unauthorized");
  const http::Response wrong = send(server.url() + "/who", "GET", "", with("guess"));
  EXPECT_EQ(wrong.headers.get("WWW-Authenticate"), R"(Bearer realm="shumai", error="invalid_token")");
  const http::Response other = send(server.url() + "/who", "GET", "", with(kForward));
  EXPECT_EQ(other.headers.get("WWW-Authenticate"), R"(Bearer realm="shumai", error="insufficient_scope")");
  EXPECT_EQ(code_of(other), "forbidden");
  EXPECT_EQ(detail_of(other), "the token \"trainer\" isn't for /who");
}

TEST(Access, OnlyAWholeBearerTokenCounts) {
  const Server server = two_routes(three_tokens());
  const auto status = [&](const std::string& value) {
    return send(server.url() + "/who", "GET", "", {{"Authorization", value}}).status;
  };
  EXPECT_EQ(status("bearer  " + kAll), 200);
  for (const std::string& value :
       std::vector<std::string>{kAll, "Basic " + kAll, "Bearer", "Bearer " + kAll.substr(0, kAll.size() - 1),
                                "Bearer " + kAll + " x", "Bearer " + kAll + "," + kAll, "Bearer all"})
    EXPECT_EQ(status(value), 401) << value;
  RawClient client(server.port());
  client.send("GET /who HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + kAll + "\r\nAuthorization: Bearer " + kAll +
              "\r\n\r\n");
  EXPECT_EQ(client.read_answer().status, 401);
}

TEST(Access, ALargeBodyIsRefusedBeforeItIsRead) {
  const Server server = two_routes(three_tokens());
  for (const char* framing :
       {"Content-Length: 1000000000", "Transfer-Encoding: chunked", "Content-Length: 4\r\nExpect: 100-continue"}) {
    RawClient client(server.port());
    client.send("POST /forward HTTP/1.1\r\nHost: x\r\n" + std::string(framing) + "\r\n\r\n");
    const RawClient::Answer answer = client.read_answer();
    EXPECT_EQ(answer.status, 401) << framing;
    EXPECT_NE(answer.head.find("Connection: close"), std::string::npos) << answer.head;
    client.shutdown_send();
    EXPECT_TRUE(client.closed()) << framing;
  }
}

TEST(Access, AConnectionSurvivesTheRefusalOfASmallBody) {
  const Server server = two_routes(three_tokens());
  RawClient client(server.port());
  const std::string request =
      "POST /forward HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3";
  client.send(request + "\r\n\r\n[1]" + request + "\r\nAuthorization: Bearer " + kForward + "\r\n\r\n[1]");
  EXPECT_EQ(client.read_answer().status, 401);
  const RawClient::Answer answer = client.read_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "[2]");
}

TEST(Access, RefusalsAreCounted) {
  const Server server = two_routes(three_tokens());
  send(server.url() + "/who");
  send(server.url() + "/who", "GET", "", with("wrong"));
  send(server.url() + "/who", "GET", "", with(kForward));
  const Json refused = server.statistics()["refused"];
  EXPECT_EQ(refused["unauthorized"].as_int64(), 2);
  EXPECT_EQ(refused["forbidden"].as_int64(), 1);
}

// --- Sessions ---

Json who(const Server& server, HeaderList headers, const std::string& session = "") {
  if (!session.empty()) headers.emplace_back("Shumai-Session", session);
  return Json::parse(text(send(server.url() + "/who", "GET", "", headers)));
}

TEST(Access, ATokenHasASessionOfItsNameAndOthersOnRequest) {
  ServeOptions options = any_port();
  options.tokens = {{"ann", kAll}, {"bob", kForward}};
  const Server server = two_routes(std::move(options));
  EXPECT_EQ(who(server, with(kAll))["session"].as_string(), "ann");
  EXPECT_EQ(who(server, with(kAll))["token"].as_string(), "ann");
  EXPECT_EQ(who(server, with(kForward))["session"].as_string(), "bob");
  const std::string own = who(server, with(kAll), "new")["session"].as_string();
  EXPECT_EQ(own.size(), 32u);
  EXPECT_EQ(who(server, with(kAll), own)["session"].as_string(), own);
  EXPECT_EQ(who(server, with(kAll), "ann")["session"].as_string(), "ann");
  for (const std::string& anns : {own, std::string("ann")}) {
    const std::string got = who(server, with(kForward), anns)["session"].as_string();
    EXPECT_NE(got, anns);
    EXPECT_EQ(got.size(), 32u);
  }
}

TEST(Access, ATicketBelongsToTheTokenThatMadeIt) {
  ServeOptions options = any_port();
  options.tokens = {{"ann", kAll}, {"bob", kForward}};
  const Server server = two_routes(std::move(options));
  const http::Response made = post(server.url() + "/forward", "[1]", with(kAll));
  HeaderList theft = with(kForward), right = with(kAll);
  for (HeaderList* headers : {&theft, &right})
    headers->emplace_back("Shumai-Ticket", std::string(made.headers.get("Shumai-Ticket")));
  const http::Response refused = post(server.url() + "/optimize", "[1]", theft);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(detail_of(refused), "the ticket belongs to another session");
  EXPECT_EQ(text(post(server.url() + "/optimize", "[1]", right)), "[3]");
}

// --- Where tokens come from ---

TEST(Access, TokensThatCantBeUsedAreRefusedAtTheStartWithoutBeingTold) {
  const auto refusal = [](std::vector<Token> tokens) {
    ServeOptions options = any_port();
    options.tokens = std::move(tokens);
    return error_of([&] { (void)two_routes(std::move(options)); }, ErrorCode::kInvalidArgument);
  };
  const std::string brief = refusal({{"a", "fifteen-charact"}});
  EXPECT_NE(brief.find("tokens[0]"), std::string::npos) << brief;
  EXPECT_NE(brief.find("openssl rand -hex 32"), std::string::npos) << brief;
  EXPECT_EQ(brief.find("fifteen"), std::string::npos) << brief;
  EXPECT_NE(refusal({{"a", kAll}, {"a", kForward}}).find("tokens[1]: another token has this name"), std::string::npos);
  EXPECT_NE(refusal({{"a", kAll}, {"b", kAll}}).find("this secret"), std::string::npos);
  EXPECT_NE(refusal({{"a", kAll + " "}}).find("a blank"), std::string::npos);
  EXPECT_NE(refusal({{"", kAll}}).find("a name"), std::string::npos);
}

TEST(Access, AnEnvironmentVariableIsReadOnRequestOnly) {
  ::setenv("SHUMAI_TOKEN", kAll.c_str(), 1);
  const Server open = two_routes(any_port());
  ServeOptions options = any_port();
  options.token_from_environment = true;
  const Server guarded = two_routes(options);
  ::unsetenv("SHUMAI_TOKEN");
  EXPECT_EQ(send(open.url() + "/who").status, 200);
  EXPECT_EQ(send(guarded.url() + "/who").status, 401);
  EXPECT_EQ(who(guarded, with(kAll))["token"].as_string(), "environment");
  EXPECT_NE(error_of([&] { (void)two_routes(options); }, ErrorCode::kInvalidArgument).find("SHUMAI_TOKEN"),
            std::string::npos);
}

class TokenFile : public ::testing::Test {
 protected:
  // Appears at once, as an editor's or a deployment's rename does.
  void write(const std::string& text) {
    const std::string fresh = path_ + ".new";
    std::ofstream(fresh) << text;
    ::chmod(fresh.c_str(), 0600);
    std::filesystem::rename(fresh, path_);
  }
  int status(const Server& server, const std::string& secret) {
    return send(server.url() + "/who", "GET", "", with(secret)).status;
  }
  ServeOptions options() {
    ServeOptions out = any_port();
    out.token_file = path_;
    return out;
  }
  Directory directory_;
  const std::string path_ = directory_.path() + "/tokens";
};

TEST_F(TokenFile, HasATokenALineWithRoutesAndComments) {
  write("# who may call\n\nall " + kAll + "   # everything\n\ttrainer\t" + kForward + " forward,/optimize\r\n");
  const Server server = two_routes(options());
  EXPECT_EQ(status(server, kAll), 200);
  EXPECT_EQ(status(server, kForward), 403);
  EXPECT_EQ(post(server.url() + "/forward", "[1]", with(kForward)).status, 200);
  EXPECT_EQ(post(server.url() + "/optimize", "[1]", with(kForward)).status, 200);
}

TEST_F(TokenFile, IsReadAgainWhenItChangesAndABrokenOneChangesNothing) {
  write("all " + kAll + "\n");
  const Server server = two_routes(options());
  EXPECT_EQ(status(server, kForward), 401);
  write("all " + kForward + "\n");
  EXPECT_TRUE(testing::eventually([&] { return status(server, kForward) == 200; }));
  EXPECT_EQ(status(server, kAll), 401);

  {
    const testing::CapturedLog log;
    write("all " + kForward + "\nshort " + "tooshort" + "\n");
    // The log says when it was read: nothing else changes.
    EXPECT_TRUE(testing::eventually([&] { return log.text().find("line 2") != std::string::npos; })) << log.text();
    EXPECT_EQ(log.text().find("tooshort"), std::string::npos) << log.text();
  }
  EXPECT_EQ(status(server, kForward), 200);
  std::filesystem::remove(path_);
  write("all " + kAll + "\n");
  EXPECT_TRUE(testing::eventually([&] { return status(server, kAll) == 200; }));
}

TEST_F(TokenFile, ThatIsMissingOrBrokenIsAnErrorAtTheStart) {
  const auto refusal = [&](ErrorCode code) { return error_of([&] { (void)two_routes(options()); }, code); };
  EXPECT_NE(refusal(ErrorCode::kNotFound).find(path_), std::string::npos);
  const std::pair<std::string, std::string> rows[] = {{"", "no token"},
                                                      {"# nobody\n", "no token"},
                                                      {kAll + "\n", "line 1"},
                                                      {"\na " + kAll + " x y\n", "line 2"},
                                                      {"a " + kAll + " x,,y\n", "line 1"},
                                                      {kAll + " a\n", "line 1"}};
  for (const auto& [content, expected] : rows) {
    write(content);
    const std::string message = refusal(ErrorCode::kInvalidArgument);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
    EXPECT_EQ(message.find(kAll), std::string::npos) << message;
  }
}

TEST_F(TokenFile, ThatOthersCanReadIsWarnedOf) {
  write("all " + kAll + "\n");
  ::chmod(path_.c_str(), 0644);
  ::testing::internal::CaptureStderr();
  { const Server server = two_routes(options()); }
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("chmod 600"), std::string::npos);
}

// --- Where it listens ---

TEST(Access, AnAddressOfOtherMachinesNeedsATokenOrInsecure) {
  const auto start = [](const std::string& hostname, bool insecure, bool token) {
    ServeOptions options = any_port();
    options.hostname = hostname;
    options.insecure = insecure;
    if (token) options.tokens = {{"all", kAll}};
    const Server server = two_routes(std::move(options));
  };
  for (const char* hostname : {"0.0.0.0", "::", "", "*", "::ffff:0.0.0.0"}) {
    const std::string message = error_of([&] { start(hostname, false, false); }, ErrorCode::kInvalidArgument);
    for (const char* word : {"tokens", "openssl rand -hex 32", "127.0.0.1", "insecure"})
      EXPECT_NE(message.find(word), std::string::npos) << message;
    EXPECT_NO_THROW(start(hostname, true, false)) << hostname;
    EXPECT_NO_THROW(start(hostname, false, true)) << hostname;
  }
  const Directory directory;
  for (const std::string& hostname : {std::string("127.0.0.1"), std::string("127.1.2.3"), std::string("localhost"),
                                      "unix:" + directory.path() + "/socket"})
    EXPECT_NO_THROW(start(hostname, false, false)) << hostname;
}

TEST(Access, ANameIsJudgedByItsAddress) {
  char name[256] = {};
  ASSERT_EQ(::gethostname(name, sizeof name - 1), 0);
  std::string address;
  try {
    address = listen_address(name);
  } catch (const Error&) {
    GTEST_SKIP() << "this machine's name has no address";
  }
  ServeOptions options = any_port();
  options.hostname = name;
  if (is_loopback(address))
    EXPECT_NO_THROW((void)two_routes(options));
  else
    error_of([&] { (void)two_routes(options); }, ErrorCode::kInvalidArgument);
  options.hostname = "127.example.invalid";
  error_of([&] { (void)two_routes(options); }, ErrorCode::kConnection);
}

TEST(Access, ASocketFileIsItsOwnersUnlessToldOtherwise) {
  const Directory directory;
  const auto mode = [&](std::optional<unsigned> asked) {
    ServeOptions options = any_port();
    options.hostname = "unix:" + directory.path() + "/socket";
    if (asked) options.socket_mode = *asked;
    const Server server = two_routes(std::move(options));
    struct stat status {};
    EXPECT_EQ(::stat((directory.path() + "/socket").c_str(), &status), 0);
    EXPECT_EQ(send(server.url() + ":/who").status, 200);
    return status.st_mode & 0777;
  };
  EXPECT_EQ(mode({}), 0600u);
  EXPECT_EQ(mode(0660), 0660u);
}

// --- Pages in browsers ---

int status_for(const Server& server, const HeaderList& headers, const std::string& path = "/who") {
  return send(server.url() + path, "GET", "", headers).status;
}

TEST(Access, AHostNameThatAPageMayOwnIsRefusedWithoutTokens) {
  const Server server = two_routes(any_port());
  const std::string port = ":" + std::to_string(server.port());
  for (const std::string& host : {"localhost" + port, std::string("LOCALHOST."), "127.0.0.1" + port, "127.8.8.8" + port,
                                  "[::1]" + port, "app.localhost" + port})
    EXPECT_EQ(status_for(server, {{"Host", host}}), 200) << host;
  for (const std::string& host :
       {"evil.example" + port, "localhost.evil.example" + port, "127.0.0.1.evil.example" + port, "10.0.0.1" + port,
        "[::2]" + port, std::string("[::1")})
    EXPECT_EQ(status_for(server, {{"Host", host}}), host == "[::1" ? 200 : 403) << host;
  EXPECT_EQ(status_for(server, {{"Host", "evil.example"}}, "/statistics"), 403);
  EXPECT_EQ(status_for(server, {{"Host", "evil.example"}}, "/health/live"), 200);

  ServeOptions options = any_port();
  options.allowed_hosts = {"Models.example"};
  const Server proxied = two_routes(options);
  EXPECT_EQ(status_for(proxied, {{"Host", "models.example:443"}}), 200);
  EXPECT_EQ(status_for(proxied, {{"Host", "evil.example"}}), 403);
  options.allowed_hosts = {"*"};
  EXPECT_EQ(status_for(two_routes(options), {{"Host", "evil.example"}}), 200);
  EXPECT_EQ(send(two_routes(three_tokens()).url() + "/who", "GET", "",
                 [] {
                   HeaderList headers = with(kAll);
                   headers.emplace_back("Host", "models.example");
                   return headers;
                 }())
                .status,
            200);
}

TEST(Access, RequestsOfForeignPagesAreRefusedWithoutTokens) {
  const Server server = two_routes(any_port());
  const std::string own = "127.0.0.1:" + std::to_string(server.port());
  EXPECT_EQ(status_for(server, {{"Origin", "http://" + own}}), 200);
  for (const std::string origin : {"https://evil.example", "http://localhost:1", "null", "", "x://"})
    EXPECT_EQ(status_for(server, {{"Origin", origin}}), 403) << origin;
  EXPECT_EQ(status_for(server, {{"Sec-Fetch-Site", "cross-site"}}), 403);
  EXPECT_EQ(status_for(server, {{"Sec-Fetch-Site", "none"}}), 200);
  EXPECT_EQ(status_for(server, {{"Sec-Fetch-Site", "same-origin"}}), 200);
  ServeOptions options = any_port();
  options.hostname = "0.0.0.0";
  options.insecure = true;
  const Server open = two_routes(options);
  const std::string url = "127.0.0.1:" + std::to_string(open.port()) + "/who";
  EXPECT_EQ(send(url, "GET", "", {{"Host", "models.example"}}).status, 200);
  EXPECT_EQ(send(url, "GET", "", {{"Origin", "https://evil.example"}}).status, 403);
}

std::map<std::string, std::string> cors_headers(const http::Response& response) {
  std::map<std::string, std::string> out;
  for (const http::Headers::Field field : response.headers)
    if (field.name.starts_with("Access-Control-") || field.name == "Vary") out.emplace(field.name, field.value);
  return out;
}

TEST(Access, WithoutAListThereIsNoCors) {
  for (const bool tokens : {false, true}) {
    const Server server = two_routes(tokens ? three_tokens() : any_port());
    const HeaderList preflight{{"Origin", "https://app.example"}, {"Access-Control-Request-Method", "POST"}};
    const http::Response answer = send(server.url() + "/forward", "OPTIONS", "", preflight);
    EXPECT_EQ(answer.status, tokens ? 401 : 403);
    EXPECT_TRUE(cors_headers(answer).empty());
  }
}

TEST(Access, ListedOriginsGetCorsHeadersOnEveryAnswer) {
  ServeOptions options = three_tokens();
  options.cors = {"https://App.example", "http://localhost:5173"};
  const Server server = two_routes(std::move(options));
  HeaderList headers{{"Origin", "https://app.example"},
                     {"Access-Control-Request-Method", "POST"},
                     {"Access-Control-Request-Headers", "authorization, content-type"}};
  const http::Response preflight = send(server.url() + "/forward", "OPTIONS", "", headers);
  EXPECT_EQ(preflight.status, 204);
  auto got = cors_headers(preflight);
  EXPECT_EQ(got["Access-Control-Allow-Origin"], "https://app.example");
  EXPECT_EQ(got["Access-Control-Allow-Methods"], "GET, POST");
  EXPECT_NE(got["Access-Control-Allow-Headers"].find("Authorization"), std::string::npos);
  EXPECT_EQ(got["Access-Control-Max-Age"], "600");
  EXPECT_EQ(got["Vary"], "Origin");

  HeaderList right = with(kAll);
  right.emplace_back("Origin", "https://app.example");
  for (const HeaderList& call : {right, HeaderList{{"Origin", "https://app.example"}}}) {
    got = cors_headers(post(server.url() + "/forward", "[1]", call));
    EXPECT_EQ(got["Access-Control-Allow-Origin"], "https://app.example");
    EXPECT_NE(got["Access-Control-Expose-Headers"].find("Shumai-Ticket"), std::string::npos);
    EXPECT_EQ(got["Access-Control-Allow-Credentials"], "true");
  }
  HeaderList other = with(kAll);
  other.emplace_back("Origin", "https://evil.example");
  const std::map<std::string, std::string> only_vary{{"Vary", "Origin"}};
  EXPECT_EQ(cors_headers(post(server.url() + "/forward", "[1]", other)), only_vary);
}

TEST(Access, AStarAllowsAnyOriginWithoutCredentials) {
  ServeOptions options = any_port();
  options.cors = {"*"};
  const Server server = two_routes(options);
  auto got = cors_headers(post(server.url() + "/forward", "[1]", {{"Origin", "https://any.example"}}));
  EXPECT_EQ(got["Access-Control-Allow-Origin"], "*");
  EXPECT_FALSE(got.contains("Access-Control-Allow-Credentials"));
  for (const char* wrong : {"app.example", "https://app.example/path", "https://*.example", "null", "https://"}) {
    options.cors = {wrong};
    error_of([&] { (void)two_routes(options); }, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace sm::io
