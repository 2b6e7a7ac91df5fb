#pragma once

#include <string>
#include <vector>

#include "shumai/json.hpp"

namespace sm::cli {

// What a server's feeds told of its past, as lines of a terminal.
class Curves {
 public:
  // The "history" of a feed. What isn't one is passed over.
  void add(const Json& history);

  // A line each for what there is: its name, its last value, the curve `width`
  // characters wide, its least and largest value. `unicode`: in block characters.
  std::vector<std::string> lines(size_t width, bool unicode) const;

 private:
  struct Curve {
    const char* column;
    const char* name;
    std::vector<double> values;  // NaN where there is none
  };
  std::vector<Curve> curves_{{"loss", "loss", {}},
                             {"gradient_norm", "grad. norm", {}},
                             {"updates", "updates/s", {}},
                             {"requests", "requests/s", {}},
                             {"latency", "latency s", {}}};
};

}  // namespace sm::cli
