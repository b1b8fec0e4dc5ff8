// The way of a request: from bytes to a Reply under the lock, and back to bytes without it.
#include "sim/api_server/server.h"

#include <fmt/format.h>

#include "kube/schema/protobuf.h"
#include "sim/api_server/kinds/access.h"
#include "sim/api_server/kinds/crds.h"
#include "sim/api_server/kinds/discovery.h"
#include "sim/api_server/kinds/workloads.h"
#include "sim/api_server/views.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::sim::api {

using value::Value;

uint64_t Ids::Next() {
  // splitmix64
  uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::string Ids::Uid() {
  uint64_t high = Next(), low = Next();
  high = (high & ~0xf000ull) | 0x4000ull;
  low = (low & ~(3ull << 62)) | (2ull << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffff);
}

std::string Ids::NameSuffix() {
  static constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::string suffix;
  for (int i = 0; i < 5; ++i) suffix += kLetters[Next() % kLetters.size()];
  return suffix;
}

Timers::Id Timers::At(TimePoint when, std::function<void()> what) {
  Id id{when, next_++};
  tasks_.emplace(id, std::move(what));
  return id;
}

std::optional<TimePoint> Timers::Next() const {
  if (tasks_.empty()) return std::nullopt;
  return tasks_.begin()->first.first;
}

std::function<void()> Timers::Take(TimePoint now) {
  if (tasks_.empty() || tasks_.begin()->first.first > now) return nullptr;
  auto task = std::move(tasks_.begin()->second);
  tasks_.erase(tasks_.begin());
  return task;
}

Server::Server(ApiServerOptions given) : options(std::move(given)), ids(options.seed) {
  if (options.anonymous.name.empty()) {
    options.anonymous = {"system:anonymous", "", {"system:unauthenticated"}, {}};
  }
  MutexLock lock(mutex);
  Bootstrap();
}

Server::~Server() {
  // Open watches and the tables that they watch hold each other.
  for (const auto& [name, table] : tables) table->watches.clear();
}

WriteContext ContextOf(const Request& request, std::vector<std::string>* warnings) {
  WriteContext context;
  context.info = request.info;
  context.user = request.user;
  context.dry_run = request.info.dry_run;
  context.warnings = warnings;
  context.field_validation = request.query.Get("fieldValidation");
  context.field_manager = request.query.Get("fieldManager");
  if (context.field_manager.empty()) {
    // As servers do: the user agent up to the first '/'.
    std::string_view agent = http::Find(request.http->headers, "User-Agent");
    context.field_manager = agent.substr(0, agent.find('/'));
    if (context.field_manager.empty()) context.field_manager = "unknown";
  }
  return context;
}

WriteContext Server::OwnContext(const ResourceType& resource, std::string_view ns,
                                std::string_view name, std::string_view verb) const {
  WriteContext context;
  context.info.verb = verb;
  context.info.group = resource.group;
  context.info.version = resource.version;
  context.info.resource = resource.plural;
  context.info.namespace_name = ns;
  context.info.name = name;
  context.user = {"system:embedded", "", {"system:masters"}, {}};
  context.field_manager = "kube-controller-manager";
  return context;
}

namespace {

Answer<Value> ReadBody(const http::ServerRequest& request) {
  if (request.body.empty()) return Value();
  std::string_view type = http::Find(request.headers, "Content-Type");
  if (type.find("protobuf") != std::string_view::npos) {
    auto object = kube::schema::ParseProtobuf(request.body);
    if (object) return *std::move(object);
    return Refuse(BadRequest(object.error().ToString()));
  }
  if (type.find("cbor") != std::string_view::npos) {
    return Refuse(UnsupportedMediaType(type, "application/json, application/yaml"));
  }
  size_t start = request.body.find_first_not_of(" \t\r\n");
  char first = start == std::string::npos ? ' ' : request.body[start];
  if (first == '{' || first == '[' || type.find("yaml") == std::string_view::npos) {
    auto json = value::ParseJson(request.body);
    if (json) return *std::move(json);
    return Refuse(BadRequest(
        fmt::format("couldn't get version/kind; json parse error: {}", json.error().ToString())));
  }
  auto documents = value::ParseYaml(request.body);
  if (!documents) {
    return Refuse(BadRequest(fmt::format("error decoding YAML: {}", documents.error().ToString())));
  }
  if (documents->empty()) return Value();
  return documents->front().value;
}

void Append(std::string& out, std::string_view key, std::string_view json) {
  out += ",\"";
  out += key;
  out += "\":";
  out += json;
}

std::string ListJson(const Reply& reply, Projection projection) {
  std::string out;
  bool metadata = projection == Projection::kMetadata;
  out += "{\"kind\":\"";
  out += metadata ? "PartialObjectMetadataList" : reply.resource->list_kind;
  out += "\",\"apiVersion\":\"";
  out += metadata ? "meta.k8s.io/v1" : reply.resource->api_version;
  out += '"';
  Append(out, "metadata", value::ToJson(reply.list_metadata));
  out += ",\"items\":[";
  for (size_t i = 0; i < reply.items.size(); ++i) {
    if (i != 0) out += ',';
    AppendItem(*reply.items[i], *reply.resource, projection, out);
  }
  out += "]}";
  return out;
}

std::string TableJson(const Request& request, const Reply& reply, WallTime now) {
  std::vector<Value> objects;
  if (reply.object) objects.push_back(InVersion(reply.object->object, *reply.resource));
  for (const StoredPtr& item : reply.items) {
    objects.push_back(InVersion(item->object, *reply.resource));
  }
  Value metadata = reply.list_metadata;
  if (reply.object) {
    metadata = Value::Map({{"resourceVersion", std::to_string(reply.object->rv)}});
  }
  return value::ToJson(
      ToTable(*reply.resource, objects, metadata, request.query.Get("includeObject"), true, now));
}

// Ends the watch when the answer is thrown away before a transport attached to it.
struct AttachGuard {
  AttachGuard(Server& s, std::shared_ptr<Watch> w) : server(s), watch(std::move(w)) {}
  AttachGuard(const AttachGuard&) = delete;
  AttachGuard& operator=(const AttachGuard&) = delete;
  ~AttachGuard() {
    if (attached) return;
    {
      MutexLock lock(server.mutex);
      watch->abandoned = true;
      server.dirty.push_back(watch);
    }
    server.Flush();
  }
  Server& server;
  std::shared_ptr<Watch> watch;
  bool attached = false;
};

}  // namespace

http::ServerResponse Server::Render(const Request& request, Answer<Reply> answer) {
  http::ServerResponse response;
  if (!answer) {
    const ApiError& error = answer.error();
    response.status = error.code;
    response.headers.emplace_back("Content-Type", "application/json");
    if (error.retry_after != 0) {
      response.headers.emplace_back("Retry-After", std::to_string(error.retry_after));
    }
    value::AppendJson(error.ToStatus(), response.body);
    return response;
  }
  Reply& reply = *answer;
  response.status = reply.code;
  for (const std::string& warning : reply.warnings) {
    response.headers.emplace_back("Warning",
                                  fmt::format("299 - {}", value::ToJson(Value(warning))));
  }
  if (!reply.content_type.empty()) {
    response.headers.emplace_back("Content-Type", reply.content_type);
    response.body =
        reply.text.empty() && reply.body ? value::ToJson(reply.body) : std::move(reply.text);
    return response;
  }
  response.headers.emplace_back("Content-Type", "application/json");
  if (reply.watch) {
    auto guard = std::make_shared<AttachGuard>(*this, reply.watch);
    response.stream = [guard](std::shared_ptr<http::ResponseWriter> writer) {
      guard->attached = true;
      {
        MutexLock lock(guard->server.mutex);
        guard->watch->writer = std::move(writer);
        guard->server.dirty.push_back(guard->watch);
      }
      guard->server.Flush();
    };
  } else if (request.projection == Projection::kTable && (reply.object || reply.is_list) &&
             reply.resource) {
    response.body = TableJson(request, reply, WallNow());
  } else if (reply.is_list) {
    response.body = ListJson(reply, request.projection);
  } else if (reply.object) {
    AppendObject(*reply.object, *reply.resource, request.projection, response.body);
  } else {
    value::AppendJson(reply.body, response.body);
  }
  return response;
}

http::ServerResponse Server::Handle(const http::ServerRequest& http) {
  Answer<Request> parsed = ParseRequest(http);
  if (!parsed) return Render({}, Refuse(parsed));
  Request& request = *parsed;
  std::function<std::optional<http::ServerResponse>(const RequestInfo&, const User&)> intercept;
  std::optional<TimePoint> due_before;
  Answer<User> user = Refuse(Unauthorized());
  {
    MutexLock lock(mutex);
    ++counters.requests;
    ++counters.by_verb[request.info.verb];
    intercept = on_request;
    user = Authenticate(*this, http);
  }
  if (user) request.user = *std::move(user);
  if (intercept) {
    if (auto own = intercept(request.info, request.user)) return *std::move(own);
  }
  if (!user) return Render(request, Refuse(user));
  Answer<Value> body = Value();
  if (http.method != http::Method::kPatch) body = ReadBody(http);
  Answer<Reply> reply = Refuse(InternalError(""));
  bool due_moved = false;
  std::function<void()> due_changed;
  {
    MutexLock lock(mutex);
    due_before = timers.Next();
    reply = body ? Dispatch(request, *std::move(body)) : Answer<Reply>(Refuse(body));
    Settle();
    due_moved = timers.Next() != due_before;
    due_changed = on_due_changed;
  }
  Flush();
  if (due_moved && due_changed) due_changed();
  return Render(request, std::move(reply));
}

void Server::Advance() {
  while (true) {
    {
      MutexLock lock(mutex);
      auto task = timers.Take(Now());
      if (!task) break;
      task();
      Settle();
    }
    Flush();
  }
}

void Server::Flush() {
  while (true) {
    std::vector<WatchEvent> events;
    std::deque<AuditRecord> records;
    std::shared_ptr<Watch> watch;
    std::shared_ptr<http::ResponseWriter> writer;
    std::function<void(const AuditRecord&)> audit;
    bool end = false;
    {
      MutexLock lock(mutex);
      if (!audit_.empty() && !auditing_) {
        records.swap(audit_);
        auditing_ = true;
        audit = on_audit;
      } else {
        while (!dirty.empty() && !watch) {
          watch = std::move(dirty.back());
          dirty.pop_back();
          if (watch->draining || watch->closed) watch.reset();
        }
        if (!watch) return;
        if (!watch->writer && !watch->abandoned) continue;  // the transport will attach
        watch->draining = true;
        writer = watch->writer;
        events.assign(watch->outbox.begin(), watch->outbox.end());
        watch->outbox.clear();
        end = watch->ending || watch->abandoned;
      }
    }
    for (const AuditRecord& record : records) {
      if (audit) audit(record);
    }
    bool alive = true;
    if (writer) {
      WallTime now = WallNow();
      for (size_t i = 0; i < events.size() && alive; ++i) {
        alive = writer->Write(watch->Render(events[i], now));
      }
    }
    MutexLock lock(mutex);
    if (!records.empty()) auditing_ = false;
    if (!watch) continue;
    watch->draining = false;
    if (!alive || (end && watch->outbox.empty())) {
      watch->closed = true;
      watch->writer.reset();  // `writer` still holds it: destroyed without the lock
      std::erase(watch->resource->table->watches, watch);
    } else if (watch->ending || !watch->outbox.empty()) {
      dirty.push_back(watch);
    }
  }
}

Answer<Reply> Server::Dispatch(const Request& request, Value body) {
  if (!request.is_resource) return ServeDiscovery(*this, request);
  ResourcePtr resource =
      FindResource(request.info.group, request.info.version, request.info.resource);
  if (options.authorization) {
    if (auto denied = Authorize(*this, request)) return Refuse(*std::move(denied));
  }
  if (request.info.resource.empty()) return ServeDiscovery(*this, request);
  return DispatchResource(request, std::move(body));
}

Answer<Reply> Server::DispatchResource(const Request& request, Value body) {
  const RequestInfo& info = request.info;
  ResourcePtr resource = FindResource(info.group, info.version, info.resource);
  if (!resource) return Refuse(NoSuchResource());
  if (IsReview(*resource)) {
    if (info.verb != "create") return Refuse(MethodNotAllowed(resource->resource(), info.verb));
    return AnswerReview(*this, request, *resource, body);
  }
  bool lists = info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection";
  if (resource->namespaced && info.namespace_name.empty() && !lists) {
    return Refuse(info.verb == "create" ? MethodNotAllowed({}, "") : NoSuchResource());
  }
  if (!resource->namespaced && !info.namespace_name.empty() &&
      !(info.group.empty() && info.resource == "namespaces")) {
    return Refuse(NoSuchResource());
  }
  if (!info.subresource.empty()) {
    bool known = (info.subresource == "status" && resource->has_status) ||
                 (info.subresource == "scale" && resource->has_scale) ||
                 (info.subresource == "token" && resource->plural == "serviceaccounts") ||
                 (info.subresource == "finalize" && resource->plural == "namespaces");
    if (!known) return Refuse(NoSuchResource());
    if (info.subresource == "token") return IssueToken(*this, request, *resource, body);
  } else if (info.verb == "create" && !info.name.empty()) {
    return Refuse(MethodNotAllowed({}, ""));
  } else if (!resource->Supports(info.verb)) {
    return Refuse(MethodNotAllowed(resource->resource(), info.verb));
  }
  if (info.verb == "get") return Get(request, resource);
  if (info.verb == "list") return List(request, resource);
  if (info.verb == "watch") return StartWatch(request, resource);
  if (info.verb == "create") return Create(request, resource, std::move(body));
  if (info.verb == "update") return Update(request, resource, std::move(body));
  if (info.verb == "patch") return Patch(request, resource);
  if (info.verb == "delete") return Delete(request, resource, body);
  return DeleteCollection(request, resource, body);
}

void Server::CountOwners(const Stored& stored, int64_t by) {
  for (value::Ref owner : stored.metadata()["ownerReferences"].Items()) {
    auto at = dependents.try_emplace(owner["uid"].Text(), 0).first;
    if ((at->second += by) == 0) dependents.erase(at);
  }
}

StoredPtr Server::Commit(const ResourcePtr& resource, const StoredPtr& before, Value after,
                         const WriteContext& context) {
  auto stored = std::make_shared<Stored>();
  uint64_t version = context.dry_run ? rv : ++rv;
  // A dry run answers with the version that the object has; a create has none yet.
  if (!context.dry_run || before) {
    after = value::Edited(std::move(after))
                .Set({"metadata", "resourceVersion"},
                     std::to_string(context.dry_run ? before->rv : version))
                .Done();
  }
  stored->object = Value::Copy(after);
  stored->ns = stored->metadata()["namespace"].Text();
  stored->name = stored->metadata()["name"].Text();
  stored->uid = stored->metadata()["uid"].Text();
  stored->rv = version;
  if (context.dry_run) return stored;
  if (before) CountOwners(*before, -1);
  CountOwners(*stored, 1);
  Change change{before ? ChangeType::kModified : ChangeType::kAdded, stored, before};
  ++counters.writes;
  for (const auto& watch : resource->table->watches) {
    if (auto event = watch->Translate(change)) Queue(watch, *std::move(event));
  }
  if (on_audit) {
    audit_.push_back({context.info, context.user, stored->name, before ? before->object : Value(),
                      stored->object, version, Now(), WallNow()});
  }
  resource->table->Apply(change, options.watch_history);
  noted_.push_back({resource, std::move(change)});
  return stored;
}

StoredPtr Server::CommitOwn(const ResourcePtr& resource, const StoredPtr& before, Value after,
                            std::string_view verb) {
  value::Ref metadata = after["metadata"];
  WriteContext context =
      OwnContext(*resource, metadata["namespace"].String(), metadata["name"].String(), verb);
  return Commit(resource, before, std::move(after), context);
}

void Server::EraseObject(const ResourcePtr& resource, const StoredPtr& live,
                         const WriteContext& context) {
  if (context.dry_run) return;
  auto gone = std::make_shared<Stored>(*live);
  gone->rv = ++rv;
  gone->object = value::Edited(live->object)
                     .Set({"metadata", "resourceVersion"}, std::to_string(gone->rv))
                     .Done();
  CountOwners(*live, -1);
  Change change{ChangeType::kDeleted, gone, live};
  ++counters.writes;
  for (const auto& watch : resource->table->watches) {
    if (auto event = watch->Translate(change)) Queue(watch, *std::move(event));
  }
  if (on_audit) {
    audit_.push_back({context.info, context.user, live->name, live->object, Value(), gone->rv,
                      Now(), WallNow()});
  }
  resource->table->Apply(change, options.watch_history);
  noted_.push_back({resource, std::move(change)});
}

void Server::Settle() {
  while (!noted_.empty()) {
    Noted noted = std::move(noted_.front());
    noted_.pop_front();
    SettleOne(noted);
  }
}

}  // namespace flotilla::sim::api
