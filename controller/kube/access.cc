#include "kube/access.h"

#include "base/encoding.h"

namespace flotilla::kube {
namespace {

class Fixed final : public Credentials {
 public:
  explicit Fixed(Proof proof) : proof_(std::make_shared<const Proof>(std::move(proof))) {}
  std::shared_ptr<const Proof> Current() override { return proof_; }
  Result<std::shared_ptr<const Proof>> Refresh(std::stop_token) override { return proof_; }
  bool Refused(const std::shared_ptr<const Proof>&) override { return false; }

 private:
  const std::shared_ptr<const Proof> proof_;
};

}  // namespace

std::shared_ptr<Credentials> FixedCredentials(Proof proof) {
  return std::make_shared<Fixed>(std::move(proof));
}

Impersonation ServiceAccount(const std::string& ns, const std::string& name) {
  Impersonation who;
  who.user = "system:serviceaccount:" + ns + ':' + name;
  who.groups = {"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"};
  return who;
}

http::Headers ToHeaders(const Impersonation& impersonation) {
  http::Headers headers;
  if (impersonation.empty()) return headers;
  headers.emplace_back("Impersonate-User", impersonation.user);
  if (!impersonation.uid.empty()) headers.emplace_back("Impersonate-Uid", impersonation.uid);
  for (const std::string& group : impersonation.groups) {
    headers.emplace_back("Impersonate-Group", group);
  }
  // Keys of extra fields are percent-encoded, since header names cannot hold everything.
  for (const auto& [key, values] : impersonation.extra) {
    const std::string name = "Impersonate-Extra-" + PercentEncode(key);
    for (const std::string& value : values) headers.emplace_back(name, value);
  }
  return headers;
}

}  // namespace flotilla::kube
