#pragma once

#include <functional>

namespace boost::asio {
class io_context;
}

namespace sm::io {

// Calls `done` with the number of the first SIGINT or SIGTERM that comes, once,
// on a thread of `context`. After that both signals act as they did before, so
// a second Ctrl-C ends a process that is slow to stop.
void wait_for_signal(boost::asio::io_context& context, std::function<void(int)> done);

}  // namespace sm::io
