#include "shumai/error.hpp"

namespace sm {
namespace {

struct CodeRow {
  ErrorCode code;
  int status;
  std::string_view name;
};

// The first row of a status is what code_from_status answers.
constexpr CodeRow kCodes[] = {
    {ErrorCode::kInvalidArgument, 400, "invalid_argument"},
    {ErrorCode::kShapeMismatch, 400, "shape_mismatch"},
    {ErrorCode::kDTypeMismatch, 400, "dtype_mismatch"},
    {ErrorCode::kOutOfRange, 400, "out_of_range"},
    {ErrorCode::kProtocol, 400, "protocol"},
    {ErrorCode::kUnauthorized, 401, "unauthorized"},
    {ErrorCode::kForbidden, 403, "forbidden"},
    {ErrorCode::kNotFound, 404, "not_found"},
    {ErrorCode::kMethodNotAllowed, 405, "method_not_allowed"},
    {ErrorCode::kNotAcceptable, 406, "not_acceptable"},
    {ErrorCode::kConflict, 409, "conflict"},
    {ErrorCode::kStale, 409, "stale"},
    {ErrorCode::kAlreadyDone, 409, "already_done"},
    {ErrorCode::kGone, 410, "gone"},
    {ErrorCode::kTooLarge, 413, "too_large"},
    {ErrorCode::kUnsupportedMedia, 415, "unsupported_media"},
    {ErrorCode::kUnprocessable, 422, "unprocessable"},
    {ErrorCode::kTooManyRequests, 429, "too_many_requests"},
    {ErrorCode::kHeadersTooLarge, 431, "headers_too_large"},
    {ErrorCode::kInternal, 500, "internal"},
    {ErrorCode::kUnavailable, 503, "unavailable"},
    {ErrorCode::kTimeout, 504, "timeout"},
    {ErrorCode::kLoop, 508, "loop"},
    {ErrorCode::kConnection, 502, "connection"},
    {ErrorCode::kCancelled, 499, "cancelled"},
};

const CodeRow& row_of(ErrorCode code) noexcept {
  for (const CodeRow& row : kCodes)
    if (row.code == code) return row;
  return row_of(ErrorCode::kInternal);
}

}  // namespace

int http_status(ErrorCode code) noexcept { return row_of(code).status; }

ErrorCode code_from_status(int status) noexcept {
  for (const CodeRow& row : kCodes)
    if (row.status == status) return row.code;
  return status >= 400 && status < 500 ? ErrorCode::kInvalidArgument : ErrorCode::kInternal;
}

std::string_view code_name(ErrorCode code) noexcept { return row_of(code).name; }

ErrorCode code_from_name(std::string_view name) noexcept {
  for (const CodeRow& row : kCodes)
    if (row.name == name) return row.code;
  return ErrorCode::kInternal;
}

}  // namespace sm
