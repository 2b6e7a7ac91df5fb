#include "http/serialize.hpp"

#include <algorithm>
#include <charconv>

#include "shumai/error.hpp"

namespace sm::http {
namespace {

void append_number(std::string& out, size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_fields(std::string& out, const Headers& headers) {
  for (const Headers::Field field : headers) {
    if (iequals(field.name, "Content-Length") || iequals(field.name, "Transfer-Encoding") ||
        iequals(field.name, "Connection"))
      continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
}

void append_length(std::string& out, const Body& body) {
  out.append("Content-Length: ");
  append_number(out, body_size(body));
  out.append("\r\n");
}

}  // namespace

void append_head(std::string& out, const Request& request, std::string_view host) {
  if (!is_token(request.method))
    throw Error(ErrorCode::kInvalidArgument, "http: the method must be a token, got '" + request.method + "'");
  if (request.target.empty() ||
      std::ranges::any_of(request.target, [](unsigned char c) { return c <= 0x20 || c == 0x7f; }))
    throw Error(ErrorCode::kInvalidArgument, "http: the target must be a path, got '" + request.target + "'");
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  if (!request.headers.find("Host")) out.append("Host: ").append(host).append("\r\n");
  append_fields(out, request.headers);
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) append_length(out, request.body);
  if (!request.keep_alive) out.append("Connection: close\r\n");
  out.append("\r\n");
}

void append_head(std::string& out, const Response& response, int version, bool keep_alive) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<size_t>(response.status));
  out.append(" ").append(reason_phrase(response.status)).append("\r\n");
  append_fields(out, response.headers);
  if (!response.stream) {
    if (!bodiless(response.status)) append_length(out, response.body);
  } else if (version >= 11) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  if (!keep_alive) out.append("Connection: close\r\n");
  if (keep_alive && version < 11) out.append("Connection: keep-alive\r\n");
  out.append("\r\n");
}

bool bodiless(int status) noexcept { return status / 100 == 1 || status == 204 || status == 304; }

void gather(std::string_view head, const Body& body, std::vector<boost::asio::const_buffer>& buffers) {
  buffers.clear();
  buffers.emplace_back(head.data(), head.size());
  for (const util::Slice& slice : body)
    if (slice.size) buffers.emplace_back(slice.data, slice.size);
}

}  // namespace sm::http
