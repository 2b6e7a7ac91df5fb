#include "serve/tokens.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "shumai/error.hpp"

namespace sm::io {
namespace {

constexpr std::string_view kBlanks = " \t\r";

// Names no name: in a line whose fields are in the wrong order that is the secret.
[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::kInvalidArgument, why); }

bool is_name(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, fits);
}

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }

void check(const Token& token) {
  if (!is_name(token.name)) refuse("a name has 1 to 64 letters, digits, '.', '_' or '-'");
  if (token.secret.size() < TokenSet::kLeastSecret)
    refuse("the secret has " + std::to_string(token.secret.size()) + " characters, expected at least " +
           std::to_string(TokenSet::kLeastSecret) + "; `openssl rand -hex 32` makes one");
  if (!std::ranges::all_of(token.secret, is_visible))
    refuse("the secret has a blank, or a character that isn't visible ASCII");
}

// The next field of a line; empty at its end and where a comment begins.
std::string_view next_field(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  if (line.starts_with('#')) line = {};
  const std::string_view field = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(field.size());
  return field;
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(item.size() + 1, list.size()));
    if (item.empty()) refuse("a route has no name");
    out.emplace_back(item);
  }
  return out;
}

void add_line(TokenSet& tokens, std::string_view line) {
  Token token;
  token.name = next_field(line);
  if (token.name.empty()) return;
  token.secret = next_field(line);
  token.routes = split(next_field(line));
  if (!next_field(line).empty()) {
    wipe(token.secret);
    refuse("expected a name, a secret, and perhaps routes joined by commas");
  }
  tokens.add(std::move(token));
}

}  // namespace

bool TokenSet::Entry::opens(std::string_view route) const {
  return routes.empty() || std::ranges::find(routes, route) != routes.end();
}

void TokenSet::add(Token token) {
  struct Wiper {
    std::string& secret;
    ~Wiper() { wipe(secret); }
  } const wiper{token.secret};
  check(token);
  if (entries_.size() >= kMost) refuse("more than " + std::to_string(kMost) + " tokens");
  Entry entry{token.name, digest_of(token.secret), std::move(token.routes)};
  for (std::string& route : entry.routes)
    while (route.starts_with('/')) route.erase(0, 1);
  for (const Entry& other : entries_) {
    if (other.name == entry.name) refuse("another token has this name");
    if (other.digest == entry.digest) refuse("another token has this secret");
  }
  entries_.push_back(std::move(entry));
}

TokenSet::Digest TokenSet::digest_of(std::string_view secret) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), digest.data());
  return digest;
}

size_t TokenSet::place_of(const Digest& digest) const noexcept {
  size_t place = entries_.size();
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto differs = static_cast<size_t>(CRYPTO_memcmp(entries_[i].digest.data(), digest.data(), digest.size()));
    // All ones when nothing differs: no branch on what was found.
    const size_t mask = ((differs | (0 - differs)) >> (sizeof(size_t) * 8 - 1)) - 1;
    place = (place & ~mask) | (i & mask);
  }
  return place;
}

const TokenSet::Entry* TokenSet::find(std::string_view secret) const {
  const size_t place = place_of(digest_of(secret));
  return place < entries_.size() ? &entries_[place] : nullptr;
}

void add_tokens(TokenSet& tokens, std::string_view text) {
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    try {
      add_line(tokens, line);
    } catch (const Error& error) {
      throw Error(error.code(), "line " + std::to_string(number) + ": " + error.what());
    }
  }
}

void wipe(std::string& secret) noexcept {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace sm::io
