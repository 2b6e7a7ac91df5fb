#include "worker.hpp"

#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>
#include <string>

#include "shumai/error.hpp"

namespace bench {
namespace {

// Keeps the workload of the last request, since the next one is mostly for the same.
class Worker {
 public:
  explicit Worker(const Workloads& workloads) : workloads_(workloads) {}

  sm::Json answer(const sm::Json& request) {
    const sm::Json arguments = request.contains("arguments") ? request["arguments"] : sm::Json::object();
    Workload& workload = prepare(request["workload"].as_string(), arguments);
    if (!request.contains("check"))
      return sm::Json::object({{"value", workload.measure(request["seconds"].as_double())}});
    sm::Json figures = sm::Json::array();
    if (workload.check)
      for (const double figure : workload.check()) figures.push_back(figure);
    return sm::Json::object({{"check", figures}});
  }

 private:
  Workload& prepare(const std::string& name, const sm::Json& arguments) {
    const std::string key = name + arguments.dump();
    if (key == key_) return *workload_;
    key_.clear();
    workload_.reset();
    for (const auto& [known, make] : workloads_)
      if (known == name) workload_ = make(arguments);
    if (!workload_) throw sm::Error(sm::ErrorCode::kNotFound, "no workload \"" + name + "\"");
    key_ = key;
    return *workload_;
  }

  const Workloads& workloads_;
  std::string key_;
  std::optional<Workload> workload_;
};

int run_command(int argc, char** argv, Worker& worker) {
  constexpr int kTurns = 7;
  sm::Json request = sm::Json::object({{"workload", argv[1]}, {"seconds", argc > 3 ? std::stod(argv[3]) : 0.3}});
  if (argc > 2) request["arguments"] = sm::Json::parse(argv[2]);
  for (int turn = 0; turn < kTurns; ++turn) std::cout << worker.answer(request).dump() << std::endl;
  return 0;
}

sm::Json answer_line(const std::string& line, Worker& worker) {
  try {
    return worker.answer(sm::Json::parse(line));
  } catch (const std::exception& error) {
    return sm::Json::object({{"error", error.what()}});
  }
}

}  // namespace

int run_worker(int argc, char** argv, const Workloads& workloads) {
  Worker worker(workloads);
  if (argc > 1) return run_command(argc, argv, worker);
  for (std::string line; std::getline(std::cin, line);) std::cout << answer_line(line, worker).dump() << std::endl;
  return 0;
}

}  // namespace bench
