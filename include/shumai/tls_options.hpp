#pragma once

#include <cstdint>
#include <string>

namespace sm::io {

enum class TlsVersion : uint8_t { k1_2, k1_3 };  // of the protocol

// How a server speaks TLS. All files are PEM. They are looked at every second,
// and new connections get what they hold then; files that can't be used are
// reported in the log while what was loaded before stays in use.
struct TlsOptions {
  std::string cert_file = {};  // the certificate, then those between it and its root; empty: no TLS
  std::string key_file = {};   // without a passphrase
  // Clients must have a certificate that one of these signed, directly or
  // through others: User::peer_name() then says whose.
  std::string client_ca_file = {};
  TlsVersion min_version = TlsVersion::k1_2;
};

}  // namespace sm::io
