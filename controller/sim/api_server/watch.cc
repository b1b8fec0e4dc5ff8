#include "sim/api_server/watch.h"

#include "sim/api_server/views.h"
#include "value/json.h"

namespace flotilla::sim::api {

using value::Value;

namespace {

// As the state before it was deselected, but with the resourceVersion of the change.
StoredPtr AtVersion(const StoredPtr& before, uint64_t rv) {
  auto moved = std::make_shared<Stored>(*before);
  moved->rv = rv;
  moved->object =
      value::Edited(before->object).Set({"metadata", "resourceVersion"}, std::to_string(rv)).Done();
  return moved;
}

const char* Name(WatchEvent::Type type) {
  switch (type) {
    case WatchEvent::Type::kAdded:
      return "ADDED";
    case WatchEvent::Type::kModified:
      return "MODIFIED";
    case WatchEvent::Type::kDeleted:
      return "DELETED";
    case WatchEvent::Type::kBookmark:
      return "BOOKMARK";
    case WatchEvent::Type::kError:
      return "ERROR";
  }
  return "ERROR";
}

Value BookmarkObject(const WatchEvent& event, const ResourceType& resource, bool metadata_only) {
  Value annotations;
  if (event.initial_end) annotations = Value::Map({{"k8s.io/initial-events-end", "true"}});
  return Value::Map(
      {{"kind", metadata_only ? Value("PartialObjectMetadata") : Value(resource.kind)},
       {"apiVersion", metadata_only ? Value("meta.k8s.io/v1") : Value(resource.api_version)},
       {"metadata", Value::Map({{"resourceVersion", std::to_string(event.rv)},
                                {"creationTimestamp", nullptr},
                                {"annotations", annotations}})}});
}

}  // namespace

std::optional<WatchEvent> Watch::Translate(const Change& change) const {
  bool after = change.type != ChangeType::kDeleted && selection.Matches(*change.now);
  bool before = change.before && selection.Matches(*change.before);
  if (after) {
    return WatchEvent{
        before ? WatchEvent::Type::kModified : WatchEvent::Type::kAdded, change.now, 0, false, {}};
  }
  if (!before) return std::nullopt;
  StoredPtr last =
      change.type == ChangeType::kDeleted ? change.now : AtVersion(change.before, change.rv());
  return WatchEvent{WatchEvent::Type::kDeleted, std::move(last), 0, false, {}};
}

std::string Watch::Render(const WatchEvent& event, WallTime now) const {
  std::string line = "{\"type\":\"";
  line += Name(event.type);
  line += "\",\"object\":";
  if (event.type == WatchEvent::Type::kError) {
    value::AppendJson(event.status, line);
  } else if (event.type == WatchEvent::Type::kBookmark) {
    value::AppendJson(BookmarkObject(event, *resource, projection == Projection::kMetadata), line);
  } else if (projection == Projection::kTable) {
    Value table = ToTable(*resource, {InVersion(event.object->object, *resource)},
                          Value::Map({{"resourceVersion", std::to_string(event.object->rv)}}), "",
                          !table_header_sent, now);
    table_header_sent = true;
    value::AppendJson(table, line);
  } else {
    AppendObject(*event.object, *resource, projection, line);
  }
  line += "}\n";
  return line;
}

}  // namespace flotilla::sim::api
