// The inside of ApiServer: its state, and what its parts offer each other. Everything here runs
// under the server's lock unless it says otherwise.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/runtime.h"
#include "sim/api_server/api_server.h"
#include "sim/api_server/fields/managed_fields.h"
#include "sim/api_server/request.h"
#include "sim/api_server/status.h"
#include "sim/api_server/store.h"
#include "sim/api_server/watch.h"

namespace flotilla::sim::api {

// What a request is answered with, before it is written out (which happens without the lock).
struct Reply {
  int code = 200;
  ResourcePtr resource;  // of `object` and `items`
  StoredPtr object;
  bool is_list = false;
  std::vector<StoredPtr> items;
  value::Value list_metadata;
  value::Value body;  // any other JSON
  std::string text;   // anything else, of this type
  std::string content_type;
  std::shared_ptr<Watch> watch;
  std::vector<std::string> warnings;
};

// Seeded, so that the same requests give the same names.
class Ids {
 public:
  explicit Ids(uint64_t seed) : state_(seed) {}
  uint64_t Next();
  std::string Uid();         // a version 4 UUID
  std::string NameSuffix();  // five characters, as generateName appends

 private:
  uint64_t state_;
};

// How a write came about.
struct WriteContext {
  RequestInfo info;
  User user;
  std::string field_manager;
  std::string field_validation;  // Strict, Warn (also when empty) or Ignore
  bool dry_run = false;
  std::vector<std::string>* warnings = nullptr;
};

// What to do at a time. Ordered by time, then by when it was asked for.
class Timers {
 public:
  using Id = std::pair<TimePoint, uint64_t>;
  Id At(TimePoint when, std::function<void()> what);
  void Cancel(Id id) { tasks_.erase(id); }
  std::optional<TimePoint> Next() const;
  // The first task that is due; null when there is none.
  std::function<void()> Take(TimePoint now);

 private:
  std::map<Id, std::function<void()>> tasks_;
  uint64_t next_ = 0;
};

enum class Propagation : uint8_t { kBackground, kForeground, kOrphan };

struct DeleteOptions {
  Propagation propagation = Propagation::kBackground;
  bool propagation_given = false;
  std::optional<int64_t> grace_seconds;
  std::string uid;  // preconditions
  std::string resource_version;
  bool dry_run = false;
};
Answer<DeleteOptions> ReadDeleteOptions(const Request& request, value::Ref body);

class Server {
 public:
  explicit Server(ApiServerOptions options);
  ~Server();

  // --- the way of a request (api_server.cc); takes the lock itself ---
  http::ServerResponse Handle(const http::ServerRequest& request);
  void Advance();
  // Hands out what is queued for watches and the audit log. Without the lock.
  void Flush();

  // --- resources (registry.cc) ---
  ResourcePtr FindResource(std::string_view group, std::string_view version,
                           std::string_view plural) const;
  // In the version that is stored.
  ResourcePtr FindStorage(std::string_view group, std::string_view plural) const;
  ResourcePtr FindKind(std::string_view group, std::string_view kind) const;
  std::vector<ResourcePtr> Resources() const;  // in order of group, version, plural
  void Serve(ResourcePtr resource);
  void StopServing(std::string_view crd);

  // --- reading (read.cc) ---
  Answer<Reply> Get(const Request& request, const ResourcePtr& resource);
  Answer<Reply> List(const Request& request, const ResourcePtr& resource);
  Answer<Reply> StartWatch(const Request& request, const ResourcePtr& resource);
  Answer<Selection> ReadSelection(const Request& request, const ResourceType& resource);
  void EndWatch(const std::shared_ptr<Watch>& watch);
  void Queue(const std::shared_ptr<Watch>& watch, WatchEvent event);

  // --- writing (write.cc) ---
  Answer<Reply> Create(const Request& request, const ResourcePtr& resource, value::Value body);
  Answer<Reply> Update(const Request& request, const ResourcePtr& resource, value::Value body);
  Answer<Reply> Patch(const Request& request, const ResourcePtr& resource);
  // An object as a client sends it becomes a stored one: decoding, defaults, metadata, validation,
  // managed fields. `managed` is what an apply has found out already; null: as a create does.
  Answer<StoredPtr> CreateObject(const ResourcePtr& resource, std::string_view ns,
                                 value::Value object, const WriteContext& context,
                                 const ManagedFields* managed = nullptr);
  // `object` replaces `live`, as PUT to the resource or to its subresource (of the context) does.
  Answer<StoredPtr> ReplaceObject(const ResourcePtr& resource, const StoredPtr& live,
                                  value::Value object, const WriteContext& context,
                                  const ManagedFields* managed = nullptr);
  // Stores, tells watches and the audit log, and notes the change for Settle. The object must carry
  // everything but its resourceVersion.
  StoredPtr Commit(const ResourcePtr& resource, const StoredPtr& before, value::Value after,
                   const WriteContext& context);
  // As Commit, by the server's own controllers, which answer to nobody.
  StoredPtr CommitOwn(const ResourcePtr& resource, const StoredPtr& before, value::Value after,
                      std::string_view verb);
  // The context of what the server does by itself.
  WriteContext OwnContext(const ResourceType& resource, std::string_view ns, std::string_view name,
                          std::string_view verb) const;

  // --- deleting (remove.cc) ---
  Answer<Reply> Delete(const Request& request, const ResourcePtr& resource, value::Ref body);
  Answer<Reply> DeleteCollection(const Request& request, const ResourcePtr& resource,
                                 value::Ref body);
  // Null where the object is gone at once, else the object as it waits for its finalizers.
  Answer<StoredPtr> DeleteObject(const ResourcePtr& resource, const StoredPtr& live,
                                 const DeleteOptions& options, const WriteContext& context);
  void EraseObject(const ResourcePtr& resource, const StoredPtr& live, const WriteContext& context);
  // Carries on what changes caused: custom resources, namespaces, garbage, workloads.
  void Settle();

  // --- state ---
  ApiServerOptions options;
  mutable Mutex mutex;
  Ids ids;
  uint64_t rv = 0;
  std::map<std::string, std::shared_ptr<Table>> tables;  // by "plural.group"
  std::map<std::string, ResourcePtr> resources;          // by "group/version/plural"
  Timers timers;
  std::map<std::string, User> tokens;
  std::vector<WorkloadRule> workload_rules;
  ServerCounters counters;
  uint64_t next_cluster_ip = 0;
  std::unordered_map<std::string, int64_t> dependents;  // by uid of the owner; never iterated
  std::map<std::string, value::Value> openapi;  // documents made since the resources last changed

  std::vector<std::shared_ptr<Watch>> dirty;  // watches that may have something to write

  std::function<void(const AuditRecord&)> on_audit;
  std::function<std::optional<http::ServerResponse>(const RequestInfo&, const User&)> on_request;
  std::function<void()> on_due_changed;

  TimePoint Now() const { return options.clock.now(); }
  WallTime WallNow() const { return options.clock.wall_now(); }

 private:
  struct Noted {
    ResourcePtr resource;
    Change change;
  };

  void CountOwners(const Stored& stored, int64_t by);
  Answer<Reply> Dispatch(const Request& request, value::Value body);
  Answer<Reply> DispatchResource(const Request& request, value::Value body);
  void SettleOne(const Noted& noted);
  void ScheduleBookmark(const std::shared_ptr<Watch>& watch);
  Answer<StoredPtr> ApplyConfiguration(const Request& request, const ResourcePtr& resource,
                                       const StoredPtr& live, const value::Value& config,
                                       const WriteContext& context);
  http::ServerResponse Render(const Request& request, Answer<Reply> reply);
  void Bootstrap();

  std::deque<Noted> noted_;
  std::deque<AuditRecord> audit_;
  bool auditing_ = false;
};

// Who writes, as what manager, with what options. `warnings` may be null.
WriteContext ContextOf(const Request& request, std::vector<std::string>* warnings);

}  // namespace flotilla::sim::api
