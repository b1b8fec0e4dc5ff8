// Whether an object that exists already, and is not ours yet, may become ours.
#pragma once

#include <stop_token>

#include "base/result.h"
#include "kube/client.h"
#include "operate/delivery.h"
#include "operate/object_set.h"

namespace flotilla::operate {

// `dry_run` is the answer to a dry-run apply of `object`. Denied, naming the owner, where it is
// marked by Argo CD, Flux, Helm, another ApplySet or a controller that `adoptFrom` does not list, or
// where `adopt` does not allow it. Reads the live object only where it is somebody's or must be
// compared.
Status CheckAdoption(Member& member, const Delivery& delivery, const SetObject& object,
                     const kube::ApiResponse& dry_run, std::stop_token stop);

}  // namespace flotilla::operate
