// A ReleaseStore in memory, as durable as the world it belongs to.
#pragma once

#include <memory>

#include "operate/release.h"

namespace flotilla::sim {

std::unique_ptr<operate::ReleaseStore> NewMemoryReleases();

}  // namespace flotilla::sim
