#include "io/signals.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <memory>

namespace sm::io {

void wait_for_signal(boost::asio::io_context& context, std::function<void(int)> done) {
  auto signals = std::make_shared<boost::asio::signal_set>(context, SIGINT, SIGTERM);
  signals->async_wait([signals, done = std::move(done)](boost::system::error_code error, int number) {
    if (error) return;
    signals->clear();
    done(number);
  });
}

}  // namespace sm::io
