// Our side of the benchmarks: see worker.hpp.
#include "workloads.hpp"

int main(int argc, char** argv) {
  bench::Workloads all;
  for (const auto family : {bench::small_workloads, bench::pointwise_workloads, bench::matmul_workloads,
                            bench::training_workloads, bench::optimizer_workloads, bench::remote_workloads})
    for (auto& workload : family()) all.push_back(std::move(workload));
  return bench::run_worker(argc, argv, all);
}
