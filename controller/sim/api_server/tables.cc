// metav1.Table, as kubectl get shows it.
#include <fmt/format.h>

#include "sim/api_server/views.h"

namespace flotilla::sim::api {

using value::Path;
using value::Ref;
using value::Value;

namespace {

struct Column {
  const char* name;
  const char* type;
  int priority;
  Value (*cell)(Ref object, WallTime now);
};

// "5s", "3m2s", "47h", "12d": as kubectl writes ages.
std::string Age(Duration age) {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  if (seconds < 0) return seconds < -1 ? "<invalid>" : "0s";
  int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (minutes < 10) {
    return seconds % 60 ? fmt::format("{}m{}s", minutes, seconds % 60)
                        : fmt::format("{}m", minutes);
  }
  if (hours < 3) return fmt::format("{}m", minutes);
  if (hours < 8) {
    return minutes % 60 ? fmt::format("{}h{}m", hours, minutes % 60) : fmt::format("{}h", hours);
  }
  if (hours < 48) return fmt::format("{}h", hours);
  if (days < 8)
    return hours % 24 ? fmt::format("{}d{}h", days, hours % 24) : fmt::format("{}d", days);
  if (days < 365 * 2) return fmt::format("{}d", days);
  return fmt::format("{}y", days / 365);
}

Value AgeOf(Ref timestamp, WallTime now) {
  auto time = ParseTime(timestamp.String());
  return time ? Value(Age(now - *time)) : Value("<unknown>");
}

Value NameCell(Ref object, WallTime) { return Value(object["metadata"]["name"].String()); }
Value AgeCell(Ref object, WallTime now) {
  return AgeOf(object["metadata"]["creationTimestamp"], now);
}
Value ReadyCell(Ref object, WallTime) {
  return Value(fmt::format("{}/{}", object["status"]["readyReplicas"].Int(),
                           object["spec"]["replicas"].Int()));
}
Value TextAt(Ref value, const char* otherwise) {
  return Value(value.String().empty() ? std::string_view(otherwise) : value.String());
}

std::string Ports(Ref ports) {
  std::string text;
  for (Ref port : ports.Items()) {
    if (!text.empty()) text += ",";
    text += std::to_string(port["port"].Int());
    if (port["nodePort"].Int()) text += fmt::format(":{}", port["nodePort"].Int());
    text += fmt::format("/{}", port["protocol"].String());
  }
  return text.empty() ? "<none>" : text;
}

Value ExternalIp(Ref object, WallTime) {
  std::string text;
  for (Ref one : object["status"]["loadBalancer"]["ingress"].Items()) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", one["ip"].String());
  }
  if (text.empty())
    text = object["spec"]["type"].String() == "LoadBalancer" ? "<pending>" : "<none>";
  return Value(text);
}

std::string JobState(Ref object) {
  for (Ref condition : object["status"]["conditions"].Items()) {
    if (condition["status"].String() != "True") continue;
    if (condition["type"].String() == "Complete" || condition["type"].String() == "Failed") {
      return condition["type"].Text();
    }
  }
  return "Running";
}

std::string PodReady(Ref object) {
  int ready = 0;
  for (Ref one : object["status"]["containerStatuses"].Items()) ready += one["ready"].Bool();
  return fmt::format("{}/{}", ready, object["spec"]["containers"].size());
}

std::string PodState(Ref object) {
  for (Ref one : object["status"]["containerStatuses"].Items()) {
    if (Ref reason = one["state"]["waiting"]["reason"]) return reason.Text();
  }
  return object["status"]["phase"].Text();
}

std::vector<Column> ColumnsOf(const ResourceType& resource) {
  Column name{"Name", "string", 0, NameCell};
  Column age{"Age", "string", 0, AgeCell};
  if (resource.group == "apps" && resource.kind == "Deployment") {
    return {name,
            {"Ready", "string", 0, ReadyCell},
            {"Up-to-date", "integer", 0,
             [](Ref o, WallTime) { return Value(o["status"]["updatedReplicas"].Int()); }},
            {"Available", "integer", 0,
             [](Ref o, WallTime) { return Value(o["status"]["availableReplicas"].Int()); }},
            age};
  }
  if (resource.group == "apps" && resource.kind == "StatefulSet") {
    return {name, {"Ready", "string", 0, ReadyCell}, age};
  }
  if (resource.group == "batch" && resource.kind == "Job") {
    return {name,
            {"Status", "string", 0, [](Ref o, WallTime) { return Value(JobState(o)); }},
            {"Completions", "string", 0,
             [](Ref o, WallTime) {
               return Value(fmt::format("{}/{}", o["status"]["succeeded"].Int(),
                                        o["spec"]["completions"].Int(1)));
             }},
            age};
  }
  if (!resource.group.empty()) return {name, age};
  if (resource.kind == "Pod") {
    return {name,
            {"Ready", "string", 0, [](Ref o, WallTime) { return Value(PodReady(o)); }},
            {"Status", "string", 0, [](Ref o, WallTime) { return Value(PodState(o)); }},
            {"Restarts", "string", 0,
             [](Ref o, WallTime) {
               return Value(std::to_string(
                   o["status"]["containerStatuses"][size_t{0}]["restartCount"].Int()));
             }},
            age};
  }
  if (resource.kind == "Service") {
    return {
        name,
        {"Type", "string", 0, [](Ref o, WallTime) { return TextAt(o["spec"]["type"], "<none>"); }},
        {"Cluster-IP", "string", 0,
         [](Ref o, WallTime) { return TextAt(o["spec"]["clusterIP"], "<none>"); }},
        {"External-IP", "string", 0, ExternalIp},
        {"Port(s)", "string", 0, [](Ref o, WallTime) { return Value(Ports(o["spec"]["ports"])); }},
        age};
  }
  if (resource.kind == "Namespace") {
    return {
        name,
        {"Status", "string", 0, [](Ref o, WallTime) { return TextAt(o["status"]["phase"], ""); }},
        age};
  }
  if (resource.kind == "ConfigMap") {
    return {name,
            {"Data", "integer", 0,
             [](Ref o, WallTime) {
               return Value(static_cast<int64_t>(o["data"].size() + o["binaryData"].size()));
             }},
            age};
  }
  if (resource.kind == "Secret") {
    return {name,
            {"Type", "string", 0, [](Ref o, WallTime) { return TextAt(o["type"], ""); }},
            {"Data", "integer", 0,
             [](Ref o, WallTime) { return Value(static_cast<int64_t>(o["data"].size())); }},
            age};
  }
  if (resource.kind == "Event") {
    return {{"Last Seen", "string", 0,
             [](Ref o, WallTime now) { return AgeOf(o["lastTimestamp"], now); }},
            {"Type", "string", 0, [](Ref o, WallTime) { return TextAt(o["type"], ""); }},
            {"Reason", "string", 0, [](Ref o, WallTime) { return TextAt(o["reason"], ""); }},
            {"Object", "string", 0,
             [](Ref o, WallTime) {
               std::string kind = o["involvedObject"]["kind"].Text();
               for (char& c : kind) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
               return Value(kind + "/" + o["involvedObject"]["name"].Text());
             }},
            {"Message", "string", 0, [](Ref o, WallTime) { return TextAt(o["message"], ""); }}};
  }
  return {name, age};
}

// The part of JSONPath that printer columns use: .a.b, [0], ['a.b'], [?(@.type=="Ready")].
Ref Follow(Ref at, std::string_view path) {
  while (!path.empty() && at) {
    if (path.front() == '.') {
      path.remove_prefix(1);
      std::string key;
      while (!path.empty() && path.front() != '.' && path.front() != '[') {
        if (path.front() == '\\' && path.size() > 1) path.remove_prefix(1);
        key += path.front();
        path.remove_prefix(1);
      }
      if (!key.empty()) at = at[key];
      continue;
    }
    size_t close = path.find(']');
    if (path.front() != '[' || close == std::string_view::npos) return {};
    std::string_view inside = path.substr(1, close - 1);
    path.remove_prefix(close + 1);
    if (inside.substr(0, 4) == "?(@.") {
      size_t equals = inside.find("==");
      if (equals == std::string_view::npos || inside.size() < equals + 5) return {};
      std::string_view key = inside.substr(4, equals - 4);
      std::string_view wanted = inside.substr(equals + 3, inside.size() - equals - 5);
      Ref found;
      for (Ref item : at.Items()) {
        if (item[key].String() == wanted && !found) found = item;
      }
      at = found;
    } else if (inside.size() > 1 && (inside.front() == '\'' || inside.front() == '"')) {
      at = at[inside.substr(1, inside.size() - 2)];
    } else {
      size_t index = 0;
      for (char c : inside)
        index = c >= '0' && c <= '9' ? index * 10 + static_cast<size_t>(c - '0') : index;
      at = at[index];
    }
  }
  return at;
}

Value CustomCell(const Value& object, Ref column, WallTime now) {
  Ref found = Follow(object, column["jsonPath"].String());
  if (!found || found.IsNull()) return nullptr;
  if (column["type"].String() == "date") return AgeOf(found, now);
  return object.Share(found);
}

Value Definition(std::string_view name, std::string_view type, int64_t priority,
                 std::string_view description) {
  return Value::Map({{"name", Value(name)},
                     {"type", Value(type)},
                     {"format", name == "Name" ? "name" : ""},
                     {"description", Value(description)},
                     {"priority", priority}});
}

}  // namespace

Value ToTable(const ResourceType& resource, const std::vector<Value>& objects,
              const Value& list_metadata, std::string_view include, bool with_header,
              WallTime now) {
  std::vector<Value> definitions, rows;
  std::vector<Column> columns = ColumnsOf(resource);
  bool custom = resource.columns.ref().size() != 0;
  if (custom) {
    definitions.push_back(Definition("Name", "string", 0, ""));
    for (Ref column : resource.columns.ref().Items()) {
      definitions.push_back(Definition(column["name"].String(), column["type"].String(),
                                       column["priority"].Int(), column["description"].String()));
    }
  } else {
    for (const Column& column : columns) {
      definitions.push_back(Definition(column.name, column.type, column.priority, ""));
    }
  }
  for (const Value& object : objects) {
    std::vector<Value> cells;
    if (custom) {
      cells.push_back(NameCell(object, now));
      for (Ref column : resource.columns.ref().Items())
        cells.push_back(CustomCell(object, column, now));
    } else {
      for (const Column& column : columns) cells.push_back(column.cell(object, now));
    }
    Value shown = include == "None" ? Value() : include == "Object" ? object : MetadataOnly(object);
    rows.push_back(Value::Map({{"cells", Value::List(cells)}, {"object", shown}}));
  }
  return Value::Map(
      {{"kind", "Table"},
       {"apiVersion", "meta.k8s.io/v1"},
       {"metadata", list_metadata ? list_metadata : Value::Map({})},
       {"columnDefinitions", with_header ? Value::List(definitions) : Value::List({})},
       {"rows", Value::List(rows)}});
}

}  // namespace flotilla::sim::api
