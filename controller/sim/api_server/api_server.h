// A Kubernetes API server inside the process: what unit tests, the simulation, the demo and scale
// tests talk to.
//
// It serves discovery, OpenAPI, create, read, update, patch (JSON, merge, strategic, server-side
// apply with managedFields), delete, lists with selectors and pages, watches, tables, status and
// scale, custom resources, access reviews and tokens; it collects garbage, terminates namespaces,
// and lets workloads become ready as it is told. Answers equal those of a real kube-apiserver; the
// contract suite (tests/contract/apiserver) compares them.
//
// It has no transport, threads, or clock of its own: Handle answers one request, and time passes
// when Advance is called. With the same seed, clock and requests it gives the same bytes.
//
// Thread contract: every member may be called from any thread. Writers of watches, the audit
// callback and the fault callback are called without a lock held, watch events of one watch in
// order and never concurrently, audit records in the order of their resourceVersion.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"
#include "base/time.h"
#include "http/server.h"
#include "value/value.h"

namespace flotilla::sim {

struct Clock {
  std::function<TimePoint()> now;
  std::function<WallTime()> wall_now;
  static Clock Of(Runtime& runtime);  // which must outlive it
};

struct User {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
};

struct ApiServerOptions {
  Clock clock;
  uint64_t seed = 1;  // of uids, generated names and tokens
  // Off: everybody may do everything. On: RBAC over the Roles and bindings stored in this server;
  // only group system:masters may do everything.
  bool authorization = false;
  // How a request without credentials is known. Empty: system:anonymous.
  User anonymous;
  // Watches can resume this many events back per resource; older ones get 410 Expired.
  size_t watch_history = 1024;
  Duration bookmark_interval = 60s;
  // Off: as a kube-apiserver alone, without the garbage collector, the namespace controller, and
  // workloads that become ready.
  bool controllers = true;
  std::string version = "v1.37.1";  // /version
};

// What a request asks for, as a fault callback and an audit record see it.
struct RequestInfo {
  std::string
      verb;  // get list watch create update patch delete deletecollection, or "" (no resource)
  std::string group;
  std::string version;
  std::string resource;
  std::string subresource;
  std::string namespace_name;
  std::string name;  // empty for lists and creates
  std::string path;
  bool dry_run = false;
};

// One accepted write, also of the server's own doing (garbage collection, workloads), which has the
// user "system:embedded". Dry runs are no writes.
struct AuditRecord {
  RequestInfo request;
  User user;
  std::string name;     // of the object, also for creates
  value::Value before;  // absent for creates
  value::Value after;   // absent for deletes
  uint64_t resource_version = 0;
  TimePoint at;
  WallTime wall;
};

// How workloads of this server fare. The first matching rule decides; without one, they become
// ready after `ready_after`.
struct WorkloadRule {
  // Empty conditions match everything. `image` matches when a container's image contains it.
  std::string image;
  std::string annotation;  // of the pod template: "key" or "key=value"
  std::string name;        // of the workload
  enum class Outcome : uint8_t { kReady, kNever, kCrashLoop, kFail } outcome = Outcome::kReady;
  Duration ready_after = 1s;
};

struct ServerCounters {
  uint64_t requests = 0;
  uint64_t writes = 0;   // accepted and not dry
  uint64_t watches = 0;  // open now
  std::map<std::string, uint64_t> by_verb;
};

class ApiServer {
 public:
  explicit ApiServer(ApiServerOptions options);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  http::ServerResponse Handle(const http::ServerRequest& request);

  // When something is due that no request causes: a workload that becomes ready, a bookmark, the
  // end of a watch, a lease of a token. Advance does all that is due by now.
  std::optional<TimePoint> NextDue() const;
  void Advance();
  // Called (without a lock) when a request may have moved NextDue forward.
  void OnDueChanged(std::function<void()> callback);

  void AddToken(std::string token, User user);
  void OnAudit(std::function<void(const AuditRecord&)> callback);
  // Called before a request is handled; an answer of its own replaces the server's.
  void OnRequest(
      std::function<std::optional<http::ServerResponse>(const RequestInfo&, const User&)> callback);

  void SetWorkloadRules(std::vector<WorkloadRule> rules);
  // Ends all watches at once, as a restarting server does.
  void DropWatches();
  // Forgets the history of events: watches from before now get 410 Expired.
  void CompactHistory();

  ServerCounters counters() const;
  uint64_t resource_version() const;
  // The stored object, or absent. `resource` is "deployments.apps" or "pods".
  value::Value Get(std::string_view resource, std::string_view namespace_name,
                   std::string_view name) const;
  std::vector<value::Value> List(std::string_view resource) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::sim
