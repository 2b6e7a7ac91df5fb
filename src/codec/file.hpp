#pragma once

#include <span>
#include <string>

#include "util/buffer.hpp"

namespace sm::codec {

// Writes the pieces, one after the other, to a file that appears under `path`
// complete or not at all, even when the machine stops in between: they go to a
// new file in the same directory, which is synced and renamed. What was at
// `path` before, a symbolic link too, is replaced. Throws Error that names the
// path and the system's reason: kNotFound for a missing directory, kForbidden,
// else kInternal.
void atomic_write(const std::string& path, std::span<const util::Slice> pieces);

// The whole of a regular file. Throws Error as above, and kTooLarge when it
// doesn't fit in memory.
util::BufferRef read_file(const std::string& path);

}  // namespace sm::codec
