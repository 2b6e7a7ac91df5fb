// The program `shumai` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "e2e/process.hpp"
#include "serve/testing.hpp"
#include "shumai/shumai.hpp"

namespace sm::e2e {
namespace {

using io::testing::Directory;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr const char* kModel = R"({"layers": [
  {"layer": "Linear", "inputs": 2, "outputs": 8}, "tanh", {"layer": "Linear", "inputs": 8, "outputs": 1}]})";

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Ended {
  int code = 0;
  std::string out, err;
};

// A line of shell in `directory`, where $S is the program.
Ended shell(const Directory& directory, const std::string& line) {
  const std::string command = "cd '" + directory.path() + "'; exec 2>stderr; S='" + binary("shumai") + "'; " + line;
  Process process({"/bin/bash", "-c", command});
  Ended out;
  out.code = process.wait();
  out.out = process.output();
  out.err = text_of(directory.path() + "/stderr");
  return out;
}

// `shumai serve` with further words, ready to answer.
class Served {
 public:
  explicit Served(std::vector<std::string> words) {
    words.insert(words.begin(), {binary("shumai"), "serve"});
    words.insert(words.end(), {"--port", "0"});
    process_.emplace(std::move(words));
    const std::string line = process_->wait_for_line("^serving ");
    url_ = line.substr(line.rfind(' ') + 1);
  }
  const std::string& url() const { return url_; }
  Process& process() { return *process_; }
  Json statistics() const { return run(io::fetch(url_ + "/statistics")).json(); }

 private:
  std::optional<Process> process_;
  std::string url_;
};

// Sums of two numbers, as lines.
std::string sums(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    const double a = i % 7 * 0.1, b = i % 11 * 0.05;
    out += "[" + std::to_string(a) + ", " + std::to_string(b) + "] | [" + std::to_string(a + b) + "]\n";
  }
  return out;
}

class Program : public ::testing::Test {
 protected:
  void SetUp() override {
    write(path("model.json"), kModel);
    write(path("sums.txt"), sums(200));
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  Ended sh(const std::string& line) const { return shell(directory_, line); }

  Directory directory_;
};

TEST_F(Program, TrainsAFileAndInfersFromIt) {
  const Ended trained = sh("$S train model.json --data sums.txt --epochs 30 --lr 0.01 --held-out 0.1 --json");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Json outcome = Json::parse(trained.out);
  EXPECT_EQ(outcome["steps"].as_int64(), 180);
  EXPECT_EQ(outcome["held_out"]["examples"].as_int64(), 20);
  EXPECT_LT(outcome["held_out"]["loss"].as_double(), 0.01);
  EXPECT_EQ(outcome["saved"].as_string(), "model.safetensors");
  const Ended answer = sh("echo '[[0.25, 0.5]]' | $S infer model.safetensors");
  ASSERT_EQ(answer.code, 0) << answer.err;
  EXPECT_NEAR(io::decode_readable(answer.out).item<double>(), 0.75, 0.1);
}

TEST_F(Program, AServerOutlivesWhoReadsItsLog) {
  Served server({path("model.json")});
  server.process().kill(SIGPIPE);
  EXPECT_EQ(server.statistics()["sessions"].as_int64(), 0);
  EXPECT_TRUE(server.process().running());
}

TEST_F(Program, TheSameSeedTrainsTheSameModel) {
  ASSERT_EQ(sh("$S train model.json --data sums.txt --seed 5 --save a.safetensors").code, 0);
  ASSERT_EQ(sh("$S train model.json --data sums.txt --seed 5 --save b.safetensors").code, 0);
  ASSERT_EQ(sh("$S train model.json --data sums.txt --seed 6 --save c.safetensors").code, 0);
  EXPECT_EQ(text_of(path("a.safetensors")), text_of(path("b.safetensors")));
  EXPECT_NE(text_of(path("a.safetensors")), text_of(path("c.safetensors")));
}

TEST_F(Program, TakesDataAsArraysAndAsLinesOfStandardInput) {
  save(path("x.npy"), {{"x", rand({50, 2})}});
  save(path("y.npy"), {{"y", rand({50, 1})}});
  save(path("both.safetensors"), {{"in", rand({50, 2})}, {"out", rand({50, 1})}});
  EXPECT_EQ(sh("$S train model.json --data x.npy y.npy").code, 0);
  EXPECT_EQ(sh("$S train model.json --data both.safetensors --names in,out").code, 0);
  EXPECT_THAT(sh("$S train model.json < sums.txt").out, HasSubstr("saved model.safetensors"));
}

TEST_F(Program, LabelsOfAClassifierAreJudgedByAccuracy) {
  write(path("classes.json"), R"([{"layer": "Linear", "inputs": 1, "outputs": 2}])");
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += i % 2 ? "[1] | 1\n" : "[-1] | 0\n";
  write(path("classes.txt"), lines);
  const Ended ended =
      sh("$S train classes.json --data classes.txt --loss cross_entropy --epochs 20 --lr 0.1 --held-out 0.2");
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("accuracy 1.0000 on 20 examples"));
}

TEST_F(Program, ServesTrainsIsKilledAndGoesOn) {
  const std::string checkpoints = path("checkpoints");
  std::optional<Served> server;
  server.emplace(
      std::vector<std::string>{path("model.json"), "--checkpoint", checkpoints, "--durability", "every-update"});
  ASSERT_EQ(sh("$S train " + server->url() + " --data sums.txt --in-flight 4 2>/dev/null").code, 0);
  EXPECT_EQ(server->statistics()["weights"]["version"].as_int64(), 7);
  const Ended before = sh("echo '[[0.25, 0.5]]' | $S infer " + server->url());
  server->process().kill(SIGKILL);
  EXPECT_EQ(server->process().wait(), 128 + SIGKILL);
  // The directory is all that it takes.
  server.emplace(std::vector<std::string>{checkpoints, "--durability", "every-update"});
  EXPECT_EQ(server->statistics()["weights"]["version"].as_int64(), 7);
  EXPECT_EQ(sh("echo '[[0.25, 0.5]]' | $S infer " + server->url()).out, before.out);
  EXPECT_EQ(sh("echo '[[0.25, 0.5]]' | $S infer " + checkpoints).out, before.out);
  ASSERT_EQ(sh("$S train " + server->url() + " --data sums.txt 2>/dev/null").code, 0);
  EXPECT_EQ(server->statistics()["weights"]["version"].as_int64(), 14);
  server->process().kill(SIGTERM);
  EXPECT_EQ(server->process().wait(), 0);
}

TEST_F(Program, ServersThatAreReplicasLearnTogether) {
  const auto replica = [&](const std::string& id) {
    return std::vector<std::string>{path("model.json"), "--replicas", path("shared"),  "--replica-id", id,
                                    "--average-every",  "1",          "--synchronous", "--checkpoint", path(id)};
  };
  Served first(replica("first")), second(replica("second"));
  ASSERT_TRUE(poll_until([&] { return second.statistics()["replicas"]["members"].size() == 2; }));
  ASSERT_EQ(sh("$S train " + first.url() + " --data sums.txt 2>/dev/null").code, 0);
  const std::string answer = sh("echo '[[0.25, 0.5]]' | $S infer " + first.url()).out;
  EXPECT_TRUE(poll_until([&] { return sh("echo '[[0.25, 0.5]]' | $S infer " + second.url()).out == answer; }))
      << answer;
  EXPECT_GE(second.statistics()["replicas"]["round"].as_int64(), 7);
  second.process().kill(SIGTERM);
  EXPECT_EQ(second.process().wait(), 0);
  EXPECT_EQ(sh("echo '[[0.25, 0.5]]' | $S infer " + path("second")).out, answer);
}

TEST_F(Program, AFrozenServerOnlyAnswers) {
  ASSERT_EQ(sh("$S train model.json --data sums.txt").code, 0);
  Served server({path("model.safetensors"), "--frozen"});
  EXPECT_EQ(sh("echo '[[1, 2]]' | $S infer " + server.url()).out,
            sh("echo '[[1, 2]]' | $S infer model.safetensors").out);
  const Ended refused = sh("$S train " + server.url() + " --data sums.txt");
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("no route \"/optimize\" here"));
}

TEST_F(Program, LimitsAndPoliciesReachTheServer) {
  Served server({path("model.json"), "--limit", "max_body_bytes=100", "--limit", "ticket_lifetime=2min", "--staleness",
                 "reject:3", "--max-norm", "10", "--optimizer", "sgd", "--lr", "0.5", "--seed", "3"});
  std::string rows;
  for (int i = 0; i < 40; ++i) rows += "[1, 2] ";
  const Ended large = sh("echo '[" + rows + "]' | $S infer " + server.url());
  EXPECT_EQ(large.code, 1);
  EXPECT_THAT(large.err, StartsWith("shumai: infer: line 1: "));
}

TEST_F(Program, ClientsFindTheTokenThatAServerNeeds) {
  const std::string secret = "0123456789abcdef0123";
  write(path("tokens"), "# who may\nalice " + secret + "\n");
  write(path("mine"), secret + "\n");
  write(path("other"), "99999999999999999999\n");
  Served server({path("model.json"), "--token-file", path("tokens")});
  const std::string infer = "echo '[[1, 2]]' | $S infer " + server.url();
  EXPECT_EQ(sh(infer).code, 1);
  EXPECT_EQ(sh(infer + " --token-file other").code, 1);
  EXPECT_EQ(sh(infer + " --token-file mine").code, 0);
  EXPECT_EQ(sh(infer + " --token-file tokens").code, 0);
  EXPECT_EQ(sh("export SHUMAI_TOKEN=" + secret + "; " + infer).code, 0);
  EXPECT_EQ(sh("$S train " + server.url() + " --data sums.txt --token-file mine").code, 0);
  EXPECT_EQ(sh("$S top " + server.url() + " --token-file mine").code, 0);
  EXPECT_EQ(sh("$S bench " + server.url() + " --shape 1,2 --seconds 0.1 --warmup 0 --token-file mine").code, 0);
  EXPECT_THAT(sh("$S bench " + server.url() + " --shape 1,2 --seconds 0.1 --warmup 0").out, HasSubstr("errors 401: "));
}

TEST_F(Program, SpeaksTlsOnBothSides) {
  ASSERT_EQ(sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem "
               "-days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost")
                .code,
            0);
  Served server({path("model.json"), "--tls-cert", path("cert.pem"), "--tls-key", path("key.pem")});
  ASSERT_THAT(server.url(), StartsWith("https://"));
  const std::string trusted = server.url() + " --ca cert.pem";
  EXPECT_EQ(sh("echo '[[1, 2]]' | $S infer " + server.url()).code, 1);
  EXPECT_EQ(sh("echo '[[1, 2]]' | $S infer " + trusted).code, 0);
  EXPECT_EQ(sh("$S train " + trusted + " --data sums.txt").code, 0);
  EXPECT_EQ(sh("$S bench " + trusted + " --shape 1,2 --seconds 0.1 --warmup 0").code, 0);
  EXPECT_EQ(sh("$S top " + trusted).code, 0);
}

TEST_F(Program, ABadLineIsNamedAndTheOthersAnswered) {
  ASSERT_EQ(sh("$S train model.json --data sums.txt").code, 0);
  const std::string lines = "printf '[[1, 2]]\\noops\\n\\n[[1, 2, 3]]\\n[[3, 4]]:Float32\\n' | ";
  const Ended ended = sh(lines + "$S infer model.safetensors");
  EXPECT_EQ(ended.code, 1);
  EXPECT_THAT(ended.out, MatchesRegex("\\[\\[[-.0-9]+\\]\\]:Float32\n\\[\\[[-.0-9]+\\]\\]:Float32\n"));
  EXPECT_THAT(ended.err, StartsWith("shumai: infer: line 2: readable tensor: expected a number, got \"oops\"\n"
                                    "shumai: infer: line 4: linear: "));
  EXPECT_EQ(sh(lines + "$S infer model.safetensors --keep-going").code, 0);
}

TEST_F(Program, InfersThroughPipesInEveryFormat) {
  write(path("half.json"), R"([{"layer": "mean", "axes": [1], "keep_dims": true}])");
  EXPECT_EQ(sh("echo '[[2, 4], [6, 8]]' | $S infer half.json | $S infer half.json").out, "[[3], [7]]:Float32\n");
  EXPECT_EQ(sh("echo '[[2, 4]]' | $S infer half.json --json").out, "[[3]]\n");
  EXPECT_EQ(sh("echo '{\"dtype\": \"float64\", \"data\": [[2, 4]]}' | $S infer half.json").out, "[[3]]:Float64\n");
  save(path("x.npy"), {{"x", tensor({{2.f, 4.f}, {6.f, 8.f}})}});
  ASSERT_EQ(sh("$S infer half.json --npy < x.npy | $S infer half.json --npy > y.npy").code, 0);
  EXPECT_EQ(load(path("y.npy")).at(0).second.to_vector<float>(), (std::vector<float>{3, 7}));
  // A reader that has enough ends the program without noise.
  const Ended cut = sh("(while echo '[[2, 4]]'; do :; done) 2>/dev/null | $S infer half.json | head -n 1");
  EXPECT_EQ(cut.out, "[[3]]:Float32\n");
  EXPECT_EQ(cut.err, "");
}

TEST_F(Program, MeasuresForwardsAndSteps) {
  Served server({path("model.json")});
  const Ended forwards =
      sh("$S bench " + server.url() + " --shape 4,2 --seconds 0.3 --warmup 0.1 --connections 4 --json");
  ASSERT_EQ(forwards.code, 0) << forwards.err;
  const Json result = Json::parse(forwards.out);
  EXPECT_GT(result["done"].as_int64(), 0);
  EXPECT_EQ(result["errors"].size(), 0u);
  EXPECT_LE(result["latency_seconds"]["p50"].as_double(), result["latency_seconds"]["p99"].as_double());
  EXPECT_LE(server.statistics()["sessions"].as_int64(), 4);
  for (const char* format : {"safetensors", "json"}) {
    const Ended steps =
        sh("$S bench " + server.url() + " --shape 4,2 --seconds 0.3 --train --format " + format + " --json");
    ASSERT_EQ(steps.code, 0) << steps.err;
    EXPECT_GT(Json::parse(steps.out)["done"].as_int64(), 0) << format;
    EXPECT_EQ(Json::parse(steps.out)["errors"].size(), 0u) << steps.out;
  }
  EXPECT_GT(server.statistics()["weights"]["version"].as_int64(), 0);
}

TEST_F(Program, AFixedRateIsKeptAndWhatFailsIsCounted) {
  Served server({path("model.json")});
  const Json steady = Json::parse(
      sh("$S bench " + server.url() + " --shape 4,2 --rate 50 --seconds 1 --warmup 0 --connections 4 --json").out);
  EXPECT_EQ(steady["done"].as_int64() + steady["late"].as_int64() + steady["unsent"].as_int64(), 50) << steady.dump();
  EXPECT_GT(steady["done"].as_int64(), 0);
  const Ended wrong = sh("$S bench " + server.url() + " --shape 4,3 --seconds 0.1 --warmup 0");
  EXPECT_EQ(wrong.code, 1);
  EXPECT_THAT(wrong.out, HasSubstr("errors 400: "));
  EXPECT_THAT(wrong.err, HasSubstr("shumai: bench: no request succeeded at "));
}

TEST_F(Program, TopShowsAServerOnce) {
  Served server({path("model.json"), "--checkpoint", path("checkpoints")});
  ASSERT_EQ(sh("$S train " + server.url() + " --data sums.txt").code, 0);
  for (const char* flag : {" --once", ""}) {
    const Ended shown = sh("$S top " + server.url() + flag);
    ASSERT_EQ(shown.code, 0) << shown.err;
    EXPECT_THAT(shown.out, StartsWith(server.url() + "  up "));
    EXPECT_THAT(shown.out, HasSubstr("weights      version 7, "));
    EXPECT_THAT(shown.out, HasSubstr("\nforward "));
    EXPECT_THAT(shown.out, HasSubstr("\ncheckpoint   version "));
    EXPECT_EQ(shown.out.find('\x1b'), std::string::npos);
  }
}

TEST_F(Program, InspectsCheckpointsAndArrays) {
  {
    Served server({path("model.json"), "--checkpoint", path("checkpoints")});
    ASSERT_EQ(sh("$S train " + server.url() + " --data sums.txt").code, 0);
    server.process().kill(SIGTERM);
    ASSERT_EQ(server.process().wait(), 0);
  }
  const Ended text = sh("$S inspect checkpoints/* --stats");
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("2.weight"));
  EXPECT_THAT(text.out, HasSubstr("shumai.version: 7\n"));
  EXPECT_THAT(text.out, HasSubstr(" of the server's own (--all)"));
  const Json json = Json::parse(sh("$S inspect checkpoints/* --json --all").out);
  EXPECT_EQ(json["metadata"]["shumai.model"]["layers"].size(), 3u);
  EXPECT_EQ(json["tensors"][0]["name"].as_string(), "0.weight");
  save(path("x.npy"), {{"x", tensor({1.f, NAN, 3.f})}});
  EXPECT_EQ(sh("$S inspect x.npy --stats").out,
            "tensor  float32   [3]              12  min 1, max 3, mean 2, 1 NaN, 0 infinite\n1 tensor, 12 bytes\n");
  write(path("lies.safetensors"), "not a file of tensors");
  EXPECT_THAT(sh("$S inspect lies.safetensors").err,
              StartsWith("shumai: inspect: \"lies.safetensors\": safetensors: "));
}

TEST_F(Program, ALearnerIsInterruptedAndKeepsWhatItLearned) {
  Process process({binary("shumai"), "train", path("model.json"), "--data", path("sums.txt"), "--epochs", "100000000"});
  process.wait_for_line("loss", 120s);
  process.kill(SIGINT);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_THAT(process.output(), HasSubstr(", interrupted\nsaved "));
  EXPECT_EQ(sh("echo '[[1, 2]]' | $S infer model.safetensors").code, 0);
}

struct Wrong {
  const char* line;
  int code;
  const char* message;
};

TEST_F(Program, WhatIsWrongIsSaidInOneLine) {
  write(path("bad.json"), R"([{"layer": "Linear", "inputs": 2}])");
  write(path("lines.txt"), "[1, 2] | [3]\n[1, 2]\n");
  const Wrong kCases[] = {
      {"$S", 2, "shumai: expected a command, there is serve, train, infer, bench, top, inspect, completion"},
      {"$S dance", 2, "shumai: no command \"dance\", there is serve, "},
      {"$S serve model.json --prot 3", 2,
       "shumai: serve: no option --prot; did you mean \"port\"? (see shumai serve --help)\n"},
      {"$S serve model.json --lr fast", 2,
       "shumai: serve: --lr: expected a number of 0 or more, got \"fast\" (see shumai serve --help)\n"},
      {"$S infer model.json '[1, 2]'", 2, "shumai: infer: no place for the argument \"[1, 2]\"; tensors come from"},
      {"$S serve", 2, "shumai: serve: MODEL is required (see shumai serve --help)\n"},
      {"$S serve nothing", 2,
       "shumai: serve: \"nothing\" is no file or directory here, and no URL such as localhost:3000 (see shumai serve "
       "--help)\n"},
      {"$S serve localhost:1", 2,
       "shumai: serve: \"localhost:1\" is served already: give a model's file, or a script (see shumai serve "
       "--help)\n"},
      {"$S serve bad.json", 1, "shumai: serve: \"bad.json\": model: layers[0] (Linear): \"outputs\" is missing\n"},
      {"$S serve model.json --host 0.0.0.0", 1, "shumai: serve: 0.0.0.0 is reachable from other machines"},
      {"$S serve model.json --limit max_tickets=many", 2,
       "shumai: serve: --limit max_tickets=many: expected a whole number, with KiB, MiB, GiB or nothing after it (see "
       "shumai "
       "serve --help)\n"},
      {"$S serve model.json --staleness never", 2,
       "shumai: serve: --staleness must be accept, scale or reject:N, got \"never\" (see shumai serve --help)\n"},
      {"$S serve model.json --optimizer adam --momentum 0.9", 2,
       "shumai: serve: --momentum is for sgd and rmsprop, not for adam (see shumai serve --help)\n"},
      {"$S serve model.json extra", 2,
       "shumai: serve: only a script takes further arguments, got \"extra\" (see shumai serve --help)\n"},
      {"touch s.js; $S serve s.js --runtime /nowhere/node", 1,
       "shumai: serve: can't run \"/nowhere/node\": No such file or directory; --runtime or SHUMAI_RUNTIME names "
       "another\n"},
      {"$S train model.json --data lines.txt", 1,
       "shumai: train: \"lines.txt\", line 2: expected \"x | y\", got no \"|\"\n"},
      {"$S train model.json --data none.txt", 1, "shumai: train: \"none.txt\" can't be read\n"},
      {"$S train model.json --data x.npy", 2,
       "shumai: train: --data: a .npy file has x alone; give a second one for y (see shumai train --help)\n"},
      {"$S train localhost:1 --data sums.txt --save x", 2,
       "shumai: train: --save is for a model's file: a server saves by itself (see shumai train --help)\n"},
      {"$S infer model.json --json --npy", 2,
       "shumai: infer: --json and --npy exclude each other (see shumai infer --help)\n"},
      {"$S infer localhost:1 --token-file none < sums.txt", 1, "shumai: infer: token file \"none\" can't be read\n"},
      {"$S bench localhost:1 --shape 1,x", 2,
       "shumai: bench: --shape must be sizes such as 1,784, got \"1,x\" (see shumai bench --help)\n"},
      {"$S inspect none.npy", 1, "shumai: inspect: "},
      {"$S completion tcsh", 2, "shumai: completion: "},
  };
  for (const Wrong& wrong : kCases) {
    const Ended ended = sh(wrong.line);
    EXPECT_EQ(ended.code, wrong.code) << wrong.line;
    EXPECT_EQ(ended.out, "") << wrong.line;
    if (std::string_view(wrong.message).ends_with('\n'))
      EXPECT_EQ(ended.err, wrong.message) << wrong.line;
    else
      EXPECT_THAT(ended.err, StartsWith(wrong.message)) << wrong.line;
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  }
}

TEST_F(Program, UnreachableServersAreNamed) {
  for (const char* command : {"top", "infer"}) {
    const Ended ended = sh(std::string("echo 1 | $S ") + command + " localhost:1");
    EXPECT_EQ(ended.code, 1) << command;
    EXPECT_THAT(ended.err, HasSubstr("localhost")) << command;
  }
}

TEST_F(Program, CompletionsAreScripts) {
  const Ended bash =
      sh("$S completion bash > c.bash && bash -n c.bash && source c.bash && "
         "COMP_WORDS=(shumai se) COMP_CWORD=1 && _shumai && echo \"${COMPREPLY[*]}\" && "
         "COMP_WORDS=(shumai train --lo) COMP_CWORD=2 && _shumai && echo \"${COMPREPLY[*]}\" && "
         "COMP_WORDS=(shumai train --loss cr) COMP_CWORD=3 && _shumai && echo \"${COMPREPLY[*]}\"");
  EXPECT_EQ(bash.code, 0) << bash.err;
  EXPECT_EQ(bash.out, "serve\n--loss\ncross_entropy\n");
  EXPECT_THAT(sh("$S completion zsh").out, StartsWith("#compdef shumai\n"));
  EXPECT_THAT(sh("$S completion fish").out,
              HasSubstr("complete -c shumai -n '__fish_seen_subcommand_from bench' -l rate "));
  EXPECT_EQ(sh("! command -v zsh || { $S completion zsh > c.zsh; zsh -n c.zsh; }").code, 0);
  EXPECT_EQ(sh("! command -v fish || { $S completion fish > c.fish; fish -n c.fish; }").code, 0);
}

TEST_F(Program, TheManualIsThatOfTheProgramAndRendersWithoutAWarning) {
  const std::filesystem::path page = std::filesystem::path(SHUMAI_SOURCE_DIR) / "docs/man/shumai.1";
  EXPECT_EQ(sh("$S manual").out, text_of(page)) << "run ./dev generate";
  EXPECT_EQ(sh("! command -v groff || groff -man -Tutf8 -ww -z '" + page.string() + "'").err, "");
}

TEST_F(Program, EveryCommandHelpsWithExamples) {
  for (const char* command : {"serve", "train", "infer", "bench", "top", "inspect", "completion"}) {
    const Ended help = sh(std::string("$S ") + command + " --help");
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, HasSubstr("\nExamples:\n  ")) << command;
  }
  EXPECT_THAT(sh("$S --version").out, MatchesRegex("shumai [0-9.]+\n"));
}

}  // namespace
}  // namespace sm::e2e
