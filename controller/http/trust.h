// Verification of a server's certificate against the authorities of one Transport and nothing else,
// for a TLS library that would also trust the system's.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/http.h"

struct ssl_ctx_st;         // SSL_CTX
struct x509_store_ctx_st;  // X509_STORE_CTX
struct x509_store_st;      // X509_STORE

namespace flotilla::http {

class Trust {
 public:
  // `host`: the name or address to verify unless the transport has a server_name. Invalid (and
  // NotSent) where PEM cannot be read, or the client's key is not that of its certificate.
  static Result<std::shared_ptr<Trust>> Make(const Transport& transport, const std::string& host);
  Trust() = default;
  ~Trust();
  Trust(const Trust&) = delete;
  Trust& operator=(const Trust&) = delete;

  // Makes connections of `context` verify by this, name the server (SNI), and present the client's
  // certificate. The context keeps `trust` alive.
  static void Install(std::shared_ptr<Trust> trust, ssl_ctx_st* context);

  // Has the last handshake failed because of the server's certificate?
  bool refused() const { return refused_; }
  // Has any handshake been completed?
  bool completed() const { return completed_; }

 private:
  static int Verify(x509_store_ctx_st* given, void*);

  std::shared_ptr<x509_store_st> authorities_;
  std::string name_;
  bool name_is_address_ = false;
  std::string certificate_pem_;
  std::string key_pem_;
  std::atomic<bool> refused_{false};
  std::atomic<bool> completed_{false};
};

}  // namespace flotilla::http
