// The machine and process that this program is.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/runtime.h"

namespace flotilla {

class Host {
 public:
  virtual ~Host() = default;
  // "<name>_<uuid>": the pod's or machine's name and a UUID of this process. Two starts are two
  // identities.
  virtual const std::string& identity() const = 0;
  virtual std::optional<std::string> Environment(const std::string& name) const = 0;
  // Ends the process at once, without destructors. In the simulation it ends the incarnation, and
  // returns: every later call of it is Cancelled.
  virtual void Exit(int status) = 0;
};

std::unique_ptr<Host> NewHost(Runtime& runtime);

// A random UUID (RFC 9562, version 4).
std::string NewUuid(Runtime& runtime);

}  // namespace flotilla
