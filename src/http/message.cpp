#include "http/message.hpp"

#include <algorithm>
#include <cstring>

namespace sm::http {
namespace {

std::string_view origin_form(std::string_view target) noexcept {
  if (target.empty() || target.front() == '/') return target;
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return target;
  target.remove_prefix(scheme + 3);
  target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
  return target.empty() ? "/" : target;
}

struct Reason {
  int status;
  std::string_view phrase;
};

constexpr Reason kReasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {508, "Loop Detected"},
};

Response with_type(int status, std::string_view type, std::string_view text) {
  Response response;
  response.status = status;
  response.headers.add_checked("Content-Type", type);
  response.body = copy_body(text);
  return response;
}

}  // namespace

size_t body_size(const Body& body) noexcept {
  size_t total = 0;
  for (const util::Slice& slice : body) total += slice.size;
  return total;
}

std::string_view body_text(const Body& body) noexcept {
  if (body.empty()) return {};
  return {reinterpret_cast<const char*>(body.front().data), body.front().size};
}

Body copy_body(std::string_view text) {
  Body body;
  if (text.empty()) return body;
  util::BufferRef buffer = util::Buffer::allocate(text.size());
  std::memcpy(buffer->data(), text.data(), text.size());
  const std::byte* data = buffer->data();
  body.push_back({std::move(buffer), data, text.size()});
  return body;
}

std::string_view RequestHead::path() const noexcept {
  const std::string_view origin = origin_form(target);
  return origin.substr(0, origin.find('?'));
}

std::string_view Request::path() const noexcept {
  const std::string_view origin = origin_form(target);
  return origin.substr(0, origin.find('?'));
}

std::string_view Request::query() const noexcept {
  const std::string_view origin = origin_form(target);
  const size_t mark = origin.find('?');
  return mark == std::string_view::npos ? std::string_view() : origin.substr(mark + 1);
}

Response Response::empty(int status) {
  Response response;
  response.status = status;
  return response;
}

Response Response::text(int status, std::string_view text) {
  return with_type(status, "text/plain; charset=utf-8", text);
}

Response Response::json(int status, std::string_view json) { return with_type(status, "application/json", json); }

std::string_view reason_phrase(int status) noexcept {
  const auto* row = std::ranges::find(kReasons, status, &Reason::status);
  return row == std::end(kReasons) ? std::string_view() : row->phrase;
}

}  // namespace sm::http
