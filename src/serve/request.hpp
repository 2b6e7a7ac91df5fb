#pragma once

#include <memory>
#include <optional>

#include "http/message.hpp"
#include "serve/meters.hpp"
#include "serve/store.hpp"

namespace sm::io::detail {

// What stands behind the User of one call. Lives until the handler has ended.
struct Request {
  Store& store;
  const http::Headers& headers;
  std::shared_ptr<Session> session;
  std::shared_ptr<Ticket> ticket;  // the one that the request carries, or one minted by storing something
  bool ticketed = false;           // it carries one
  bool captured = false;           // the handler stored a function or tensors under the ticket
  uint64_t version = 0;            // of the weights when it began
  bool called_latest = false;      // a request without a ticket called what belongs to one
  // What a handler tells whose graph and weights live on another thread:
  std::vector<HeldBlock> held;             // by the graph of the answer
  bool moved = false;                      // a weight was updated
  std::optional<double> gradient_norm;     // of the update
  const std::string* peer_name = nullptr;  // null outside of requests
  // Of the server that it came to:
  const http::Request* message = nullptr;
  Clock::time_point begin = {};
  BatchStatistics* batches = nullptr;

  static Request& of(User& user) { return user.request_; }
  // Throws when nobody waits for the answer any more.
  void check_wanted() const;
};

}  // namespace sm::io::detail
