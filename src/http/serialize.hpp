#pragma once

#include <boost/asio/buffer.hpp>
#include <string>
#include <vector>

#include "http/message.hpp"

namespace sm::http {

// Start line and fields, up to and with the empty line, appended to `out`.
// Content-Length, Transfer-Encoding and Connection are written here, from the
// body or stream and `keep_alive`; the message's own fields of these names are
// left out.
void append_head(std::string& out, const Request& request, std::string_view host);
void append_head(std::string& out, const Response& response, int version, bool keep_alive);

// True for a status whose response never has a body: 1xx, 204, 304.
bool bodiless(int status) noexcept;

// Puts `head` and the non-empty slices into `buffers`, to be written at one go.
void gather(std::string_view head, const Body& body, std::vector<boost::asio::const_buffer>& buffers);

}  // namespace sm::http
