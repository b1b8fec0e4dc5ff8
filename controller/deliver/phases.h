// The order in which the objects of one cluster are written.
//
// What others need comes first: namespaces, then CRDs (which must be established before anything
// uses them), then wave by wave (flotilla.dev/sync-wave, or Argo CD's annotation of that meaning),
// and within a wave what pods need before they start, then the rest. Objects of one phase do not
// depend on each other and are written at once.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "value/value.h"

namespace flotilla::deliver {

enum class PhaseWait : unsigned char {
  kNone,         // the next phase begins when this one is accepted
  kEstablished,  // CRDs serve their kinds
  kHealthy,      // every object of the wave is healthy
};

struct Phase {
  std::vector<size_t> objects;  // indices, in the order given
  PhaseWait wait = PhaseWait::kNone;
  bool operator==(const Phase&) const = default;
};

// The wave that an object names, 0 where it names none or no integer.
int WaveOf(value::Ref object);

// Forward: waits as above. Back: the same order, but no wave waits for health, since every second
// of it is an outage.
std::vector<Phase> PlanPhases(const std::vector<value::Ref>& objects, bool back);

}  // namespace flotilla::deliver
