#pragma once

// Certificates for tests, made as they are needed.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace sm::io::testing {

template <auto free>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;

// What a certificate says. Times are seconds from now.
struct Subject {
  std::string common_name;  // empty: none
  std::string names = {};   // as OpenSSL takes them: "DNS:localhost,IP:127.0.0.1"
  long from = -3600;
  long until = 3600;
  bool authority = false;
};

// A key and a certificate, as PEM files in a folder.
struct Identity {
  Key key;
  Certificate certificate;
  std::string cert_file, key_file;
};

inline void write_pem(const Identity& identity) {
  const std::unique_ptr<BIO, Free<BIO_free>> cert(BIO_new(BIO_s_mem())), key(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(cert.get(), identity.certificate.get());
  PEM_write_bio_PrivateKey(key.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  const auto write = [](const std::string& file, BIO* from) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(from, &bytes);
    std::ofstream(file, std::ios::binary).write(bytes, size);
  };
  write(identity.cert_file, cert.get());
  write(identity.key_file, key.get());
}

inline void add_extension(X509* certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  if (!extension) throw std::runtime_error("no extension of " + value);
  X509_add_ext(certificate, extension.get(), -1);
}

// `path` without its endings: "folder/server" makes server.crt and server.key.
// Signed by `issuer`, by itself when that is null.
inline Identity make_identity(const std::string& path, const Subject& subject, const Identity* issuer = nullptr) {
  static std::atomic<long> serial{1};
  Identity made{Key(EVP_EC_gen("P-256")), Certificate(X509_new()), path + ".crt", path + ".key"};
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), subject.from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), subject.until);
  X509_set_pubkey(certificate, made.key.get());
  if (!subject.common_name.empty())
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(subject.common_name.c_str()), -1, -1, 0);
  const X509* parent = issuer ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(parent));
  add_extension(certificate, NID_basic_constraints, subject.authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!subject.names.empty()) add_extension(certificate, NID_subject_alt_name, subject.names);
  X509_sign(certificate, issuer ? issuer->key.get() : made.key.get(), EVP_sha256());
  write_pem(made);
  return made;
}

// An authority and a server for localhost, in `folder`.
struct Authority {
  explicit Authority(const std::string& folder, const std::string& name = "ca")
      : folder(folder), root(make_identity(folder + "/" + name, {.common_name = "test " + name, .authority = true})) {}

  Identity issue(const std::string& name, Subject subject) const {
    return make_identity(folder + "/" + name, subject, &root);
  }
  Identity server(const std::string& name = "server") const {
    return issue(name, {.common_name = name, .names = "DNS:localhost,IP:127.0.0.1,IP:::1"});
  }
  Identity client(const std::string& name) const { return issue(name, {.common_name = name}); }
  const std::string& ca_file() const { return root.cert_file; }

  std::string folder;
  Identity root;
};

}  // namespace sm::io::testing
