#pragma once

#include "cli/arguments.hpp"

// Each command returns the exit code, or throws Error, which is 1.
namespace sm::cli {

inline constexpr int kSuccess = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;

int serve(const ServeArguments& arguments);
int train(const TrainArguments& arguments);
int infer(const InferArguments& arguments);
int bench(const BenchArguments& arguments);
int top(const TopArguments& arguments);
int inspect(const InspectArguments& arguments);

}  // namespace sm::cli
