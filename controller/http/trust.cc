#include "http/trust.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace flotilla::http {
namespace {

struct Free {
  void operator()(BIO* it) const { BIO_free(it); }
  void operator()(X509* it) const { X509_free(it); }
  void operator()(EVP_PKEY* it) const { EVP_PKEY_free(it); }
  void operator()(X509_STORE_CTX* it) const { X509_STORE_CTX_free(it); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> Reader(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Owned<X509> ReadCertificate(BIO* reader) {
  Owned<X509> certificate(PEM_read_bio_X509(reader, nullptr, nullptr, nullptr));
  ERR_clear_error();  // the end of the text counts as one
  return certificate;
}

bool IsAddress(const std::string& name) {
  unsigned char ignored[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), ignored) == 1 ||
         inet_pton(AF_INET6, name.c_str(), ignored) == 1;
}

// The slot of an SSL_CTX that holds its Trust.
int Slot() {
  static const int slot = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::shared_ptr<Trust>*>(held);
      });
  return slot;
}

Trust& TrustOf(const SSL* connection) {
  return **static_cast<std::shared_ptr<Trust>*>(
      SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), Slot()));
}

// Parsed once: it takes about 30 ms.
std::shared_ptr<X509_STORE> SystemAuthorities() {
  static const std::shared_ptr<X509_STORE> store = [] {
    std::shared_ptr<X509_STORE> made(X509_STORE_new(), &X509_STORE_free);
    X509_STORE_set_default_paths(made.get());
    return made;
  }();
  return store;
}

tl::unexpected<Error> Broken(const char* what) {
  Error error;
  error.cls = ErrorClass::kInvalid;
  error.outcome = Outcome::kNotSent;
  error.message = what;
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace

Trust::~Trust() = default;

Result<std::shared_ptr<Trust>> Trust::Make(const Transport& transport, const std::string& host) {
  auto trust = std::make_shared<Trust>();
  trust->authorities_ = SystemAuthorities();
  if (!transport.ca_pem.empty()) {
    trust->authorities_.reset(X509_STORE_new(), &X509_STORE_free);
    const auto reader = Reader(transport.ca_pem);
    bool any = false;
    while (auto certificate = ReadCertificate(reader.get())) {
      any |= X509_STORE_add_cert(trust->authorities_.get(), certificate.get()) == 1;
    }
    if (!any) return Broken("the certificate authorities of the server cannot be read");
  }
  trust->name_ = transport.server_name.empty() ? host : transport.server_name;
  trust->name_is_address_ = IsAddress(trust->name_);
  if (!transport.client_cert_pem.empty()) {
    const auto certificate = ReadCertificate(Reader(transport.client_cert_pem).get());
    if (!certificate) return Broken("the certificate of the client cannot be read");
    const Owned<EVP_PKEY> key(
        PEM_read_bio_PrivateKey(Reader(transport.client_key_pem).get(), nullptr, nullptr, nullptr));
    ERR_clear_error();
    if (!key) return Broken("the key of the client cannot be read");
    if (X509_check_private_key(certificate.get(), key.get()) != 1) {
      ERR_clear_error();
      return Broken("the key of the client does not belong to its certificate");
    }
    trust->certificate_pem_ = transport.client_cert_pem;
    trust->key_pem_ = transport.client_key_pem;
  }
  return trust;
}

void Trust::Install(std::shared_ptr<Trust> trust, SSL_CTX* context) {
  const Trust& mine = *trust;
  SSL_CTX_set_ex_data(context, Slot(), new std::shared_ptr<Trust>(std::move(trust)));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_cert_verify_callback(context, &Trust::Verify, nullptr);
  SSL_CTX_set_info_callback(context, [](const SSL* connection, int where, int) {
    Trust& of = TrustOf(connection);
    if ((where & SSL_CB_HANDSHAKE_START) && !of.name_is_address_) {
      // The callback has a const view of a connection that is being set up, and may set it up.
      SSL_ctrl(const_cast<SSL*>(connection), SSL_CTRL_SET_TLSEXT_HOSTNAME,
               TLSEXT_NAMETYPE_host_name,
               of.name_.data());  // SSL_set_tlsext_host_name
    }
    if (where & SSL_CB_HANDSHAKE_DONE) of.completed_ = true;
  });
  if (mine.certificate_pem_.empty()) return;
  const auto reader = Reader(mine.certificate_pem_);
  if (const auto leaf = ReadCertificate(reader.get())) {
    SSL_CTX_use_certificate(context, leaf.get());
  }
  while (const auto link = ReadCertificate(reader.get())) {
    SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 1, link.get());  // SSL_CTX_add1_chain_cert
  }
  const Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Reader(mine.key_pem_).get(), nullptr, nullptr, nullptr));
  SSL_CTX_use_PrivateKey(context, key.get());
}

int Trust::Verify(X509_STORE_CTX* given, void*) {
  Trust& trust = TrustOf(
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(given, SSL_get_ex_data_X509_STORE_CTX_idx())));
  const Owned<X509_STORE_CTX> own(X509_STORE_CTX_new());
  X509_STORE_CTX_init(own.get(), trust.authorities_.get(), X509_STORE_CTX_get0_cert(given),
                      X509_STORE_CTX_get0_untrusted(given));
  X509_STORE_CTX_set_default(own.get(), "ssl_server");
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(own.get());
  const int named =
      trust.name_is_address_
          ? X509_VERIFY_PARAM_set1_ip_asc(parameters, trust.name_.c_str())
          : X509_VERIFY_PARAM_set1_host(parameters, trust.name_.data(), trust.name_.size());
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool trusted = named == 1 && X509_verify_cert(own.get()) == 1;
  X509_STORE_CTX_set_error(given, X509_STORE_CTX_get_error(own.get()));
  trust.refused_ = !trusted;
  return trusted ? 1 : 0;
}

}  // namespace flotilla::http
