#pragma once

#include <functional>

namespace boost::asio {
class io_context;
}

namespace sm::io {

// Calls `done` with the number of the first SIGINT or SIGTERM that comes, once,
// on a thread of `context`. What comes within a second of it is the same
// request; after that, either ends a process that is slow to stop. When
// `context` ends first, both act as they did before.
void wait_for_signal(boost::asio::io_context& context, std::function<void(int)> done);

}  // namespace sm::io
