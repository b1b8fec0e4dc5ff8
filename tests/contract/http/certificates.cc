#include "certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>

namespace flotilla::http {
namespace {

struct Free {
  void operator()(X509* it) const { X509_free(it); }
  void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }
  void operator()(BIO* it) const { BIO_free(it); }
  void operator()(X509_EXTENSION* it) const { X509_EXTENSION_free(it); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

std::string Text(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<size_t>(size)};
}

std::string Pem(X509* certificate) {
  Owned<BIO> memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), certificate);
  return Text(memory.get());
}

std::string Pem(EVP_PKEY* key) {
  Owned<BIO> memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return Text(memory.get());
}

void Extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  X509_add_ext(certificate, extension.get(), -1);
}

Owned<X509> Make(EVP_PKEY* key, const std::string& name) {
  static std::atomic<long> serial{1};
  Owned<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -43'200);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 43'200);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

struct CertificateAuthority::Keys {
  Owned<EVP_PKEY> key;
  Owned<X509> certificate;
};

CertificateAuthority::CertificateAuthority(const std::string& name)
    : keys_(std::make_unique<Keys>()) {
  keys_->key.reset(EVP_EC_gen("P-256"));
  keys_->certificate = Make(keys_->key.get(), name);
  X509* mine = keys_->certificate.get();
  X509_set_issuer_name(mine, X509_get_subject_name(mine));
  Extend(mine, mine, NID_basic_constraints, "critical,CA:TRUE");
  Extend(mine, mine, NID_key_usage, "critical,keyCertSign,cRLSign");
  Extend(mine, mine, NID_subject_key_identifier, "hash");
  X509_sign(mine, keys_->key.get(), EVP_sha256());
  certificate_pem_ = Pem(mine);
}

CertificateAuthority::~CertificateAuthority() = default;

Identity CertificateAuthority::Issue(const std::string& common_name,
                                     const std::vector<std::string>& names) const {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  Owned<X509> certificate = Make(key.get(), common_name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(keys_->certificate.get()));
  Extend(certificate.get(), keys_->certificate.get(), NID_authority_key_identifier, "keyid");
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ",") + name;
  if (!all.empty()) {
    Extend(certificate.get(), keys_->certificate.get(), NID_subject_alt_name, all);
  }
  X509_sign(certificate.get(), keys_->key.get(), EVP_sha256());
  return {Pem(certificate.get()), Pem(key.get())};
}

}  // namespace flotilla::http
