#pragma once

// What the three servers of this example share.

#include <fmt/core.h>

#include <cstdint>
#include <cstdio>

#include "common/arguments.hpp"
#include "shumai/shumai.hpp"

// Several clients train at once, so a gradient may come from weights that others
// have moved since. The mean square of m x + b - y, with x normal, has curvature
// 2, and descent along gradients that are d updates old converges while
// rate * 2 < 2 sin(pi / (4 d + 2)) (Levin and May, "A note on difference-delay
// equations", 1976): 0.02 holds up to d = 38.
inline void descend(const sm::Gradients& gradients) { sm::optim::sgd(gradients, 0.02); }

inline sm::io::ServeOptions on_port(const Arguments& arguments, uint16_t fallback) {
  sm::io::ServeOptions options;
  options.port = static_cast<uint16_t>(arguments.number("--port", fallback, 0, UINT16_MAX));
  return options;
}

// Says where it listens first, for whoever started it with port 0.
inline void serve_until_asked_to_stop(sm::io::Server& server) {
  fmt::print("serving on {}\n", server.url());
  std::fflush(stdout);
  server.wait();
}
