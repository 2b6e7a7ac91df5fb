#pragma once

#include <cstdint>
#include <optional>

#include "http/message.hpp"

// Content codings: zstd (RFC 8878), with the window of at most 8 MiB that RFC 9659 sets for HTTP.
namespace sm::http {

// Takes Content-Encoding off a received message. The decoded bytes are counted
// as they come: what would be more than `max_bytes` is never allocated. Throws
// Error: kUnsupportedMedia for another coding than zstd, kTooLarge, and
// kProtocol for data that is no zstd, cut short or corrupt.
void decode_body(Headers& headers, Body& body, uint64_t max_bytes);

// Compresses a body that is worth it: of a KiB or more, and getting smaller.
// Otherwise, or when it has a Content-Encoding already, leaves it as it is.
void compress_body(Headers& headers, Body& body);

// Accept-Encoding lists zstd, and doesn't prefer "identity".
bool accepts_zstd(const Headers& headers);

// The 415 for a request in a coding that decode_body doesn't know, with what it does.
std::optional<Response> refuse_coding(const Headers& headers);

}  // namespace sm::http
