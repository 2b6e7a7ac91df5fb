#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "shumai/serve_options.hpp"

namespace sm::io {

// The tokens of a server, by the SHA-256 of their secrets.
class TokenSet {
 public:
  using Digest = std::array<unsigned char, 32>;
  struct Entry {
    std::string name;
    Digest digest{};
    std::vector<std::string> routes;  // without slashes before them; empty: all

    bool opens(std::string_view route) const;
  };

  static constexpr size_t kLeastSecret = 16;
  static constexpr size_t kMost = 1000;

  // Takes the token; its secret is wiped. Throws Error (kInvalidArgument),
  // without the secret, for one that can't be used or is there already.
  void add(Token token);

  // The entry with that secret; null when there is none.
  const Entry* find(std::string_view secret) const;

  // The place of `digest`, or size(). Compares with all of every entry whatever
  // it finds, so its time doesn't tell how much of a guess was right, or of
  // which entry; it depends on the number of entries alone.
  size_t place_of(const Digest& digest) const noexcept;

  static Digest digest_of(std::string_view secret);

  size_t size() const noexcept { return entries_.size(); }
  bool empty() const noexcept { return entries_.empty(); }
  const std::vector<Entry>& entries() const noexcept { return entries_; }

 private:
  std::vector<Entry> entries_;
};

// Adds the tokens that the text of a token file names. Throws Error
// (kInvalidArgument) that says which line is wrong, and nothing of what it says.
void add_tokens(TokenSet& tokens, std::string_view text);

// Overwrites what `secret` holds, and empties it.
void wipe(std::string& secret) noexcept;

}  // namespace sm::io
