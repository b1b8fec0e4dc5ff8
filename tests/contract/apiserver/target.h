// The two servers that the contract compares: the embedded one, and a real kube-apiserver.
#pragma once

#include <memory>
#include <string>

#include "http/http.h"
#include "sim/api_server/api_server.h"
#include "value/value.h"

namespace flotilla::contract {

struct Answer {
  int status = 0;
  value::Value body;
  std::string text;
};

struct Call {
  http::Method method = http::Method::kGet;
  std::string path;
  std::string type;  // Content-Type
  std::string accept;
  std::string agent = "contract/1";
  std::string body;
};

class Target {
 public:
  virtual ~Target() = default;
  virtual Answer Send(const Call& call) = 0;
  virtual void Pause() {}  // for a moment, where time passes by itself
};

// Without controllers, as a kube-apiserver alone has none.
std::unique_ptr<Target> NewEmbedded();

// A kube-apiserver with an etcd of its own, started once per process and ended with it. Where none
// can be built, the process ends with exit code 77 and the reason. A server that runs already is
// used where FLOTILLA_CONTRACT_SERVER (its URL), ..._CA (a file) and ..._TOKEN say so.
Target& Real();

}  // namespace flotilla::contract
