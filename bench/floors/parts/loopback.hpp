#pragma once

#include "worker.hpp"

namespace bench {

// Seconds for {"bytes": n} through a bare TCP connection to another process and
// back, with blocking reads and writes.
Workload loopback(const sm::Json& arguments);

}  // namespace bench
