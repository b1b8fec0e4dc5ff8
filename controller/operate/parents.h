// Reading and swapping the parent of an application on a member: the one place where a writer says
// "from now on it is me" (DESIGN.md, section 2, "The fence").
#pragma once

#include <optional>
#include <stop_token>

#include "base/result.h"
#include "operate/delivery.h"

namespace flotilla::operate {

// nullopt where this application has never been here.
Result<std::optional<kube::Parent>> ReadParent(Member& member, deliver::Lane lane,
                                               const std::string& name, std::stop_token stop);

// Writes `parent` over the one whose resourceVersion it carries, or creates it where that is empty.
// Conflict when somebody else wrote in between. Returns it as stored.
Result<kube::Parent> SwapParent(Member& member, deliver::Lane lane, kube::Parent parent,
                                std::stop_token stop);

// Removes the parent, once nothing of the application is left here.
Status RemoveParent(Member& member, deliver::Lane lane, const kube::Parent& parent,
                    std::stop_token stop);

}  // namespace flotilla::operate
