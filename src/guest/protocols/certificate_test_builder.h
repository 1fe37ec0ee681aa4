#pragma once
// Tests: a self-signed certificate as OpenSSL makes it, so that the walk meets DER of somebody
// else's.

#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "guest/testing/packet_builder.h"

namespace outguard::guest {

struct CertificateParts {
  std::string common_name{};       ///< empty: none
  std::string alternative_names{}; ///< as OpenSSL's configuration has them: "DNS:a.example,IP:..."
  int padding = 0;                 ///< bytes of a comment, to make it long
  int string_type = MBSTRING_ASC;
};

inline Bytes certificate(const CertificateParts &parts) {
  const std::unique_ptr<X509, void (*)(X509 *)> made(X509_new(), X509_free);
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY *)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  X509 *const x509 = made.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 4711);
  X509_gmtime_adj(X509_getm_notBefore(x509), 0);
  X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
  X509_set_pubkey(x509, key.get());
  X509_NAME *const subject = X509_get_subject_name(x509);
  const auto add = [&](const char *field, const std::string &text) {
    X509_NAME_add_entry_by_txt(subject, field, parts.string_type,
                               reinterpret_cast<const unsigned char *>(text.data()),
                               static_cast<int>(text.size()), -1, 0);
  };
  add("O", "An Organisation");
  if (!parts.common_name.empty()) {
    add("CN", parts.common_name);
  }
  X509_set_issuer_name(x509, subject);
  const auto extend = [&](int nid, const std::string &value) {
    X509_EXTENSION *const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, "critical,CA:FALSE");
  if (parts.padding > 0) {
    extend(NID_netscape_comment, std::string(static_cast<std::size_t>(parts.padding), 'x'));
  }
  if (!parts.alternative_names.empty()) {
    extend(NID_subject_alt_name, parts.alternative_names);
  }
  X509_sign(x509, key.get(), EVP_sha256());
  Bytes der(static_cast<std::size_t>(i2d_X509(x509, nullptr)));
  unsigned char *out = der.data();
  i2d_X509(x509, &out);
  return der;
}

} // namespace outguard::guest
