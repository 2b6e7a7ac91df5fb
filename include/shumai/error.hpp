#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace sm {

// What went wrong, in kind. Each maps to one HTTP status (http_status) and one
// JavaScript exception code (code_name); the message says the rest.
enum class ErrorCode {
  kInvalidArgument,   // 400: an argument, option or body that can't be used
  kShapeMismatch,     // 400: shapes that an operation can't combine
  kDTypeMismatch,     // 400: a dtype that an operation doesn't take
  kOutOfRange,        // 400: an index or axis outside its range
  kProtocol,          // 400: bytes that aren't what the format says
  kUnauthorized,      // 401: a token is missing or wrong
  kForbidden,         // 403: the token doesn't cover this route
  kNotFound,          // 404: no such route, file or key
  kMethodNotAllowed,  // 405
  kNotAcceptable,     // 406: no representation that `Accept` allows
  kConflict,          // 409: refused because of the state it would change
  kStale,             // 409: the weights moved on too far since the ticket's forward
  kAlreadyDone,       // 409: the ticket's step was taken, and its answer isn't kept any more
  kGone,              // 410: the ticket expired, or its graph was consumed
  kTooLarge,          // 413: over a limit on size
  kUnsupportedMedia,  // 415: a Content-Type that the server doesn't read
  kUnprocessable,     // 422: well-formed, but refused (non-finite gradient)
  kTooManyRequests,   // 429: over a limit on count; try again later
  kHeadersTooLarge,   // 431
  kInternal,          // 500: a handler threw
  kUnavailable,       // 503: the server is draining or overloaded
  kTimeout,           // 504: a deadline passed
  kLoop,              // 508: the call came back to a route that it went through, or went through too many
  kConnection,        // 502: the other side couldn't be reached, or hung up
  kCancelled,         // 499: the caller gave up
};

// The status that a server answers for `code`.
int http_status(ErrorCode code) noexcept;

// The code that a client reports for `status`; kInternal for an unknown one.
ErrorCode code_from_status(int status) noexcept;

// A stable identifier such as "shape_mismatch".
std::string_view code_name(ErrorCode code) noexcept;

// Inverse of code_name; kInternal for an unknown name.
ErrorCode code_from_name(std::string_view name) noexcept;

// Every failure that a user can cause. The message names the operation, what
// was expected and what came: "matmul: inner sizes differ, got [3, 4] and [5, 6]".
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const noexcept { return code_; }
  int status() const noexcept { return http_status(code_); }

 private:
  ErrorCode code_;
};

}  // namespace sm
