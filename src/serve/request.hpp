#pragma once

#include <memory>

#include "http/message.hpp"
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
};

}  // namespace sm::io::detail
