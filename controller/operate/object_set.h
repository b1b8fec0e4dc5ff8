// The objects of a delivery as requests: which resource each is, what body its write has.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "operate/delivery.h"
#include "operate/live.h"

namespace flotilla::operate {

struct SetObject {
  const render::Object* object = nullptr;
  std::string digest;           // of the object as rendered
  kube::ApiResource resource;   // empty kind: its CRD arrives in the same set
  kube::ObjectKey key;          // on this cluster
  std::vector<std::string> ignored;  // JSON pointers of fields that somebody else owns

  kube::ObjectId Id() const { return {object->gvk.group, object->gvk.kind, key.ns, key.name}; }
  bool deferred() const { return resource.kind.empty(); }
  std::string Describe() const { return Id().ToString(); }
};

// Resolves every object of `variant` against what the cluster serves. An object whose kind is
// defined by a CRD of the same set is deferred; one that nobody knows is Invalid, by name.
Result<std::vector<SetObject>> ResolveObjects(Member& member, const Delivery& delivery,
                                              const render::Variant& variant, std::stop_token stop);
// Again, for those that were deferred, once their CRDs are established.
Status ResolveDeferred(Member& member, std::vector<SetObject>& objects, std::stop_token stop);

// Each resource once, with the namespace that all its objects share, if they do.
std::vector<KindScope> ScopesOf(const std::vector<SetObject>& objects);

// The apply body: the object with our labels and fence, and the identity that the write is
// conditional on where `live` is given. Fields that somebody else owns are left out, or, where
// `live_object` is given, carry its values, so that owning them changes nothing.
std::string BodyOf(const SetObject& object, const Delivery& delivery, const std::string& parent_id,
                   const LiveObject* live, value::Ref live_object);

// Where the answer to a dry-run apply differs from what is there: the first field, apart from status
// and our own marks. nullopt: writing it would change nothing.
std::optional<std::string> FirstDifference(value::Ref live, value::Ref applied);

}  // namespace flotilla::operate
