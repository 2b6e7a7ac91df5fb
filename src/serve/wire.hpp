#pragma once

#include "http/message.hpp"
#include "http/url.hpp"
#include "shumai/io.hpp"

namespace sm::io {

// The client's side of content negotiation.

// Puts `content` into `request` as the options say, with the headers that ask
// for an answer of the same kind. Throws Error: kInvalidArgument for content
// that can't be written so, kOutOfRange for a number that a narrower dtype
// can't hold.
void write_request(http::Request& request, const Content& content, const FetchOptions& options);

// What a 2xx response carries. Throws Error (kProtocol) that says what came
// instead when that is nothing we read.
Content read_answer(const http::Url& url, http::Response& response, bool json_is_tensors);

}  // namespace sm::io
