#include <gmock/gmock.h>

#include <cmath>
#include <optional>

#include "http/testing.hpp"
#include "serve/page.hpp"
#include "serve/testing.hpp"

// What people see of a server: the page, the feeds it shows, and checkpoints.
namespace sm::io {
namespace {

using http::testing::RawClient;
using testing::any_port;
using testing::detail_of;
using testing::Directory;
using testing::eventually;
using ::testing::HasSubstr;
using testing::HeaderList;
using testing::post;
using testing::send;
using ::testing::StartsWith;
using testing::text;

constexpr const char* kAll = "all-secret-0123456789";
constexpr const char* kWatch = "watch-secret-0123456789";

HeaderList bearer(const std::string& secret) { return {{"Authorization", "Bearer " + secret}}; }

Json json_of(const http::Response& response) { return Json::parse(http::body_text(response.body)); }

Json feed(const std::string& url, const std::string& query = "", const HeaderList& headers = {}) {
  const http::Response response = send(url + "/statistics/feed" + query, "GET", "", headers);
  EXPECT_EQ(response.status, 200) << text(response);
  return json_of(response);
}

// y = x w, trained by plain gradient descent.
Server line(ServeOptions options, const Tensor& weight) {
  return serve_model([weight](Tensor x) { return x * weight; }, optim::SGD({.learning_rate = 0.1}), std::move(options));
}

// One step of its client, with what the gradient's request says.
http::Response step(const Server& server, const HeaderList& headers = {}, const HeaderList& token = {}) {
  const http::Response answer = post(server.url() + "/forward", "[2]", token);
  HeaderList all = headers;
  all.insert(all.end(), token.begin(), token.end());
  all.emplace_back("Shumai-Ticket", answer.headers.get("Shumai-Ticket"));
  return post(server.url() + "/optimize", "[1.5]", all);
}

// --- The page ---

TEST(Dashboard, BrowsersGetThePage) {
  const Server server = serve({}, any_port());
  const http::Response page = send(server.url() + "/", "GET", "", {{"Accept-Encoding", "gzip, deflate, br, zstd"}});
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(text(page), dashboard_page());
  EXPECT_THAT(std::string(page.headers.get("Content-Security-Policy")),
              HasSubstr("script-src '" + std::string(dashboard_script_hash()) + "'"));
  EXPECT_EQ(send(server.url() + "/", "POST", "1").status, 405);
}

TEST(Dashboard, OthersAreToldWhereTheFiguresAre) {
  const Server server = serve({}, any_port());
  const http::Response plain = send(server.url() + "/");
  EXPECT_EQ(plain.status, 200);
  EXPECT_THAT(text(plain), HasSubstr("/statistics"));
}

TEST(Dashboard, WithoutATokenThePageComesWithTheRefusalAndNothingElseDoes) {
  ServeOptions options = any_port();
  options.tokens = {{"all", kAll}, {"phone", kWatch, {"forward"}}};
  const Server server = serve({}, options);
  const HeaderList gzip = {{"Accept-Encoding", "gzip"}};
  const http::Response page = send(server.url() + "/", "GET", "", gzip);
  EXPECT_EQ(page.status, 401);
  EXPECT_EQ(text(page), dashboard_page());
  EXPECT_THAT(std::string(page.headers.get("WWW-Authenticate")), StartsWith("Bearer"));
  for (const char* path : {"/statistics/feed", "/statistics/stream", "/checkpoints", "/checkpoints/1"}) {
    EXPECT_EQ(send(server.url() + path, "GET", "", gzip).status, 401) << path;
    EXPECT_EQ(send(server.url() + path, "GET", "", bearer(kWatch)).status, 403) << path;
  }
  EXPECT_EQ(send(server.url() + "/", "GET", "", {{"Accept-Encoding", "gzip"}, bearer(kAll)[0]}).status, 200);
}

// --- Feeds ---

TEST(Dashboard, AFeedTellsOfTheTraining) {
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server = line(any_port(), weight);
  const Json quiet = feed(server.url());
  EXPECT_EQ(quiet["id"].as_string(), quiet["statistics"]["id"].as_string());
  EXPECT_FALSE(quiet["statistics"].contains("loss"));
  EXPECT_FALSE(quiet["statistics"].contains("models"));
  EXPECT_FALSE(quiet.contains("checkpoints"));
  EXPECT_EQ(step(server, {{"Shumai-Loss", "0.25"}, {"Shumai-Step", "7"}}).status, 200);
  const Json told = feed(server.url(), "?after=" + quiet["cursor"].as_string());
  EXPECT_EQ(told["statistics"]["loss"]["last"].as_double(), 0.25);
  EXPECT_EQ(told["statistics"]["loss"]["step"].as_int64(), 7);
  EXPECT_EQ(told["statistics"]["loss"]["reports"].as_int64(), 1);
  // d(1.5 x w)/dw with x = 2.
  EXPECT_EQ(told["statistics"]["gradient_norm"].as_double(), 3);
  std::string cursor = quiet["cursor"].as_string();
  std::optional<Json> seen;
  EXPECT_TRUE(eventually([&] {
    const Json next = feed(server.url(), "?after=" + cursor);
    cursor = next["cursor"].as_string();
    const Json& points = next["history"];
    for (size_t i = 0; i < points["time"].size(); ++i)
      if (!points["loss"][i].is_null()) seen = points;
    return seen.has_value();
  }));
  EXPECT_FALSE((*seen)["reset"].as_bool());
  EXPECT_EQ((*seen)["loss"][(*seen)["loss"].size() - 1].as_double(), 0.25);
  EXPECT_EQ((*seen)["gradient_norm"][(*seen)["loss"].size() - 1].as_double(), 3);
  EXPECT_GT((*seen)["updates"][(*seen)["loss"].size() - 1].as_double(), 0);
}

Task<> square_step(RemoteModel model) {
  const Tensor input = tensor({2.f});
  const Tensor output = co_await model(input);
  co_await sum(output * output).backward_async();
}

TEST(Dashboard, ARemoteModelReportsTheLossWhenAsked) {
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server = line(any_port(), weight);
  const auto train = [&](const RemoteModel& model) {
    run(square_step(model));
    const Json statistics = server.statistics();
    return statistics.contains("loss") ? statistics["loss"] : Json();
  };
  EXPECT_TRUE(train(remote_model(server.url())).is_null());
  RemoteModelOptions reporting;
  reporting.report_loss = true;
  const RemoteModel model = remote_model(server.url(), reporting);
  // The first step took the weight to 1 - 0.1 * 8.
  EXPECT_NEAR(train(model)["last"].as_double(), 0.16, 1e-5);
  EXPECT_EQ(train(model)["step"].as_int64(), 2);
}

TEST(Dashboard, AReportThatIsNoNumberIsRefusedAndNothingLearned) {
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server = line(any_port(), weight);
  for (const HeaderList& wrong :
       {HeaderList{{"Shumai-Loss", "low"}}, HeaderList{{"Shumai-Loss", ""}}, HeaderList{{"Shumai-Loss", "1 2"}},
        HeaderList{{"Shumai-Loss", "1"}, {"Shumai-Step", "-1"}}}) {
    const http::Response answer = step(server, wrong);
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(detail_of(answer), HasSubstr("must be"));
  }
  EXPECT_EQ(weight.item<float>(), 1);
  // One that went wild is a fact, and has no place in a mean.
  EXPECT_EQ(step(server, {{"Shumai-Loss", "nan"}}).status, 200);
  EXPECT_TRUE(feed(server.url())["statistics"]["loss"]["last"].is_null());
}

TEST(Dashboard, QuestionsAreChecked) {
  const Server server = serve({}, any_port());
  for (const char* query : {"?after=x", "?model=a", "?model=0&after=1;2"})
    EXPECT_EQ(send(server.url() + "/statistics/feed" + query).status, 400) << query;
  for (const char* query : {"?interval=0.1", "?interval=61", "?interval=nan", "?interval=1s"})
    EXPECT_EQ(send(server.url() + "/statistics/stream" + query).status, 400) << query;
  for (const char* query : {"?model=0", "?model=.", "?model=0.0"})
    EXPECT_EQ(send(server.url() + "/statistics/feed" + query).status, 404) << query;
}

TEST(Dashboard, RoutesOfTheServersOwnAreTaken) {
  for (const char* name : {"checkpoints", "checkpoints/1", "statistics/feed", ""})
    testing::error_of(
        [&] {
          Routes routes;
          routes.push_back({name, [](User&, Tensor x) { return x; }});
          const Server server = serve(std::move(routes), any_port());
        },
        ErrorCode::kInvalidArgument);
}

// The JSON of the next event.
Json next_event(RawClient& client) {
  client.read_until("data: ");
  const std::string data = client.read_until("\n\n");
  return Json::parse(data.substr(0, data.size() - 2));
}

TEST(Dashboard, AStreamGoesOnUntilTheServerStops) {
  std::optional<Server> server(serve({}, any_port()));
  RawClient client(server->port());
  client.send("GET /statistics/stream?interval=0.5 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("text/event-stream"));
  const Json first = next_event(client);
  EXPECT_TRUE(first["history"]["reset"].as_bool());
  const Json second = next_event(client);
  EXPECT_FALSE(second["history"]["reset"].as_bool());
  EXPECT_GT(second["time"].as_double(), first["time"].as_double());
  server->stop();
  EXPECT_THAT(client.read_all(), HasSubstr("0\r\n\r\n"));
}

TEST(Dashboard, AStreamEndsWithItsToken) {
  const Directory directory;
  const std::string file = directory.path() + "/tokens";
  const auto write = [&](const std::string& text) {
    std::ofstream(file + "-new") << text;
    std::filesystem::permissions(file + "-new", std::filesystem::perms::owner_read);
    std::filesystem::rename(file + "-new", file);
  };
  write(std::string("watcher ") + kWatch + " statistics\nother " + kAll + "\n");
  ServeOptions options = any_port();
  options.token_file = file;
  const Server server = serve({}, options);
  RawClient client(server.port());
  client.send("GET /statistics/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + std::string(kWatch) +
              "\r\n\r\n");
  EXPECT_FALSE(next_event(client).contains("checkpoints"));
  write(std::string("other ") + kAll + "\n");
  client.read_until("\r\n0\r\n\r\n");
}

TEST(Dashboard, ThereIsAnEndToHowManyWatch) {
  const Server server = serve({}, any_port());
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto watch = [&] {
    clients.push_back(std::make_unique<RawClient>(server.port()));
    clients.back()->send("GET /statistics/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return clients.back()->read_until("\r\n\r\n");
  };
  for (int i = 0; i < 32; ++i) EXPECT_THAT(watch(), HasSubstr("200 OK"));
  EXPECT_THAT(watch(), HasSubstr("503"));
  clients.clear();
  EXPECT_TRUE(eventually([&] { return watch().find("200 OK") != std::string::npos; }));
}

// --- Servers that call others ---

TEST(Dashboard, AServerTellsOfThoseThatItCalls) {
  const Tensor weight = scalar(2.f).requires_grad(true);
  ServeOptions guarded = any_port();
  guarded.tokens = {{"all", kAll}};
  Server inner = line(guarded, weight);
  RemoteModelOptions with_token;
  with_token.token = kAll;
  const RemoteModel remote = remote_model(inner.url(), with_token);
  const Server outer =
      serve_model([remote](Tensor x) { return remote(x); }, optim::SGD({.learning_rate = 0.1}), any_port());
  EXPECT_FALSE(feed(outer.url())["statistics"].contains("models"));
  EXPECT_EQ(step(outer).status, 200);
  Json model;
  EXPECT_TRUE(eventually([&] {
    const Json told = feed(outer.url());
    model = told["statistics"]["models"][0];
    return model["state"].as_string() == "up";
  })) << model.dump();
  EXPECT_EQ(model["url"].as_string(), inner.url() + "/");
  EXPECT_EQ(model["calls"].as_int64(), 2);
  EXPECT_EQ(model["failures"].as_int64(), 0);
  EXPECT_EQ(model["statistics"]["weights"]["updates"].as_int64(), 1);
  // Its own feed comes through the outer server, by the outer server's token.
  const Json inside = feed(outer.url(), "?model=0");
  EXPECT_EQ(inside["id"].as_string(), model["statistics"]["id"].as_string());
  EXPECT_TRUE(inside["history"]["reset"].as_bool());
  EXPECT_EQ(send(outer.url() + "/statistics/feed?model=0.0").status, 502);
  inner.stop();
  EXPECT_TRUE(eventually([&] {
    const Json told = feed(outer.url());
    model = told["statistics"]["models"][0];
    return model["state"].as_string() == "down";
  }));
  EXPECT_THAT(model["error"].as_string(), HasSubstr("connect"));
  const http::Response gone = send(outer.url() + "/statistics/feed?model=0");
  EXPECT_EQ(gone.status, 502);
  EXPECT_THAT(detail_of(gone), HasSubstr(inner.url()));
}

TEST(Dashboard, ServersThatCallEachOtherAreShownOnce) {
  std::string second_url;
  Server first = serve({{"forward", [&](User&, Tensor x) { return tfetch(second_url + "/double", x); }},
                        {"double", [](User&, Tensor x) { return x * 2; }}},
                       any_port());
  const Server second =
      serve({{"double", [&](User&, Tensor x) { return tfetch(first.url() + "/double", x); }}}, any_port());
  second_url = second.url();
  EXPECT_EQ(post(first.url() + "/forward", "[1]").status, 200);
  const auto model_of = [](const Server& server) {
    const Json told = feed(server.url());
    return told["statistics"]["models"][0];
  };
  EXPECT_TRUE(eventually([&] { return model_of(second).contains("statistics"); }));
  Json below;
  EXPECT_TRUE(eventually([&] {
    below = model_of(first);
    return below["statistics"].contains("models") && below["statistics"]["models"].size() == 0;
  })) << below.dump();
}

// --- Checkpoints ---

ServeOptions with_checkpoints(const std::string& directory, const Tensor& weight) {
  ServeOptions options = any_port();
  options.checkpoint.directory = directory;
  options.checkpoint.weights = {{"w", weight}};
  options.checkpoint.durability = Durability::kEveryUpdate;
  options.checkpoint.keep = 3;
  return options;
}

TEST(Dashboard, ACheckpointCanBeHadAndGoneBackTo) {
  const Directory directory;
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server = line(with_checkpoints(directory.path(), weight), weight);
  std::vector<float> values;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(step(server).status, 200);
    values.push_back(weight.item<float>());
  }
  const Json told = feed(server.url())["checkpoints"];
  EXPECT_TRUE(told["restorable"].as_bool());
  EXPECT_EQ(told["list"].size(), 3);
  EXPECT_EQ(told["list"][0]["version"].as_int64(), 5);
  EXPECT_EQ(json_of(send(server.url() + "/checkpoints")).dump(), told.dump());
  const http::Response file = send(server.url() + "/checkpoints/4");
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(static_cast<int64_t>(text(file).size()), told["list"][1]["bytes"].as_int64());
  const std::string copy = directory.path() + "/copy";
  std::ofstream(copy, std::ios::binary) << text(file);
  EXPECT_EQ(load(copy)["w"].item<float>(), values[3]);

  const std::string forwarded(post(server.url() + "/forward", "[2]").headers.get("Shumai-Ticket"));
  const http::Response back = post(server.url() + "/checkpoints/4/restore", "");
  EXPECT_EQ(back.status, 200) << text(back);
  EXPECT_EQ(json_of(back)["restored"].as_int64(), 4);
  EXPECT_EQ(json_of(back)["version"].as_int64(), 6);
  EXPECT_EQ(weight.item<float>(), values[3]);
  // What was forwarded before is no more, and what comes next goes on from there.
  EXPECT_EQ(post(server.url() + "/optimize", "[1.5]", {{"Shumai-Ticket", forwarded}}).status, 410);
  EXPECT_EQ(step(server).status, 200);
  EXPECT_EQ(weight.item<float>(), values[4]);
  const Json statistics = server.statistics();
  EXPECT_EQ(statistics["weights"]["restored"].as_int64(), 1);
  EXPECT_EQ(statistics["weights"]["updates"].as_int64(), 6);
  EXPECT_EQ(statistics["weights"]["version"].as_int64(), 7);
  // It was saved as what it is now.
  EXPECT_EQ(feed(server.url())["checkpoints"]["list"][1]["version"].as_int64(), 6);
}

TEST(Dashboard, CheckpointsThatArentThereAreNamed) {
  const Directory directory;
  const Tensor weight = scalar(1.f).requires_grad(true);
  const Server server = line(with_checkpoints(directory.path(), weight), weight);
  EXPECT_EQ(step(server).status, 200);
  const http::Response gone = post(server.url() + "/checkpoints/9/restore", "");
  EXPECT_EQ(gone.status, 404);
  EXPECT_THAT(detail_of(gone), HasSubstr("there is 1"));
  EXPECT_EQ(send(server.url() + "/checkpoints/9").status, 404);
  for (const char* path : {"/checkpoints/../x", "/checkpoints/1/rest", "/checkpoints/-1", "/checkpoints/1x"})
    EXPECT_EQ(send(server.url() + path).status, 404) << path;
  EXPECT_EQ(send(server.url() + "/checkpoints/1/restore").status, 405);
  EXPECT_EQ(post(server.url() + "/checkpoints/1", "").status, 405);
  const Server without = serve({}, any_port());
  EXPECT_EQ(send(without.url() + "/checkpoints").status, 404);
}

TEST(Dashboard, ATokenThatIsntForCheckpointsDoesntSeeThem) {
  const Directory directory;
  const Tensor weight = scalar(1.f).requires_grad(true);
  ServeOptions options = with_checkpoints(directory.path(), weight);
  options.tokens = {{"all", kAll}, {"watcher", kWatch, {"/", "statistics"}}};
  const Server server = line(std::move(options), weight);
  EXPECT_EQ(step(server, {}, bearer(kAll)).status, 200);
  EXPECT_TRUE(feed(server.url(), "", bearer(kAll)).contains("checkpoints"));
  EXPECT_FALSE(feed(server.url(), "", bearer(kWatch)).contains("checkpoints"));
  EXPECT_EQ(post(server.url() + "/checkpoints/1/restore", "", bearer(kWatch)).status, 403);
}

TEST(Dashboard, AnOptimizersMemoryGoesBackToo) {
  const Directory directory;
  nn::Linear model(2, 1);
  const optim::SGD update({.learning_rate = 0.1, .momentum = 0.9f});
  ServeOptions options = any_port();
  options.checkpoint.directory = directory.path();
  options.checkpoint.durability = Durability::kEveryUpdate;
  const Server server = serve_model(model, update, options);
  const auto train = [&] {
    const http::Response answer = post(server.url() + "/forward", "[[1, 2]]");
    const HeaderList ticket = {{"Shumai-Ticket", std::string(answer.headers.get("Shumai-Ticket"))}};
    EXPECT_EQ(post(server.url() + "/optimize", "[[1]]", ticket).status, 200);
    return text(post(server.url() + "/forward", "[[1, 2]]"));
  };
  train();
  train();
  const std::string third = train();
  EXPECT_EQ(post(server.url() + "/checkpoints/2/restore", "").status, 200);
  EXPECT_EQ(train(), third);
}

}  // namespace
}  // namespace sm::io
