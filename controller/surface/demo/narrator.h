// Tells people what happens in the fleet, one plain line each, with the seconds since the start.
//
//     3.2s  canary    Deployment web: registry.example.com/shop/web:1.0
//
// It knows nothing of the controller: all comes from what the API servers accepted.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "sim/api_server/api_server.h"

namespace flotilla::surface::demo {

enum class Tone : unsigned char { kPlain, kQuiet, kGood, kBad, kTitle };

// Whole pieces of text to standard output. Safe for concurrent use.
class Narrator {
 public:
  // `colour`: with the escape sequences of terminals. The clock starts now.
  Narrator(Runtime& runtime, bool colour);

  void Print(Tone tone, std::string_view text);  // one line as it is
  void Say(Tone tone, std::string_view who, std::string_view what);

  // What the audit of the hub, or of a member, is told to.
  void OnHub(const sim::AuditRecord& record);
  void OnMember(const std::string& member, const sim::AuditRecord& record);

 private:
  void OnRollout(const sim::AuditRecord& record);
  void OnRollback(const sim::AuditRecord& record);

  Runtime& runtime_;
  const bool colour_;
  const TimePoint start_;
  Mutex mutex_;  // one line at a time
};

// The image of its first container.
std::string ImageOf(value::Ref deployment);

}  // namespace flotilla::surface::demo
