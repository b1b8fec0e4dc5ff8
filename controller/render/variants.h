// The overrides of an application, as patches of its objects.
#pragma once

#include <string>
#include <vector>

#include "api/application.h"
#include "kube/resource.h"
#include "render/decode.h"
#include "render/problems.h"

namespace flotilla::render {

bool Matches(const api::ObjectPattern& pattern, const kube::ObjectId& id);

// Applies every patch, in order, to the objects it means. One that means none is a problem, and so
// is one that does not apply, changes the identity of its object, or leaves it unusable.
void ApplyPatches(const std::vector<api::Patch>& patches, std::vector<Decoded>& objects,
                  Problems& problems);

// Of overrides and their selectors, whatever clusters exist.
std::string CanonicalText(const std::vector<api::Override>& overrides);

}  // namespace flotilla::render
