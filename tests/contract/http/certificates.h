// Certificates made on the spot: EC P-256, valid for a day around now.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace flotilla::http {

struct Identity {
  std::string certificate_pem;
  std::string key_pem;
};

// An authority that issues certificates for servers and clients.
class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);
  ~CertificateAuthority();
  const std::string& certificate_pem() const { return certificate_pem_; }
  // `names`: subjectAltName in OpenSSL's notation, as "DNS:a.example" or "IP:127.0.0.1".
  Identity Issue(const std::string& common_name, const std::vector<std::string>& names) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
  std::string certificate_pem_;
};

}  // namespace flotilla::http
