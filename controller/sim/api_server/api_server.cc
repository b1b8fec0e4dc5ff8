#include "sim/api_server/api_server.h"

#include "sim/api_server/server.h"

namespace flotilla::sim {

Clock Clock::Of(Runtime& runtime) {
  return {[&runtime] { return runtime.Now(); }, [&runtime] { return runtime.WallNow(); }};
}

class ApiServer::Impl : public api::Server {
 public:
  using Server::Server;
};

ApiServer::ApiServer(ApiServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ApiServer::~ApiServer() = default;

http::ServerResponse ApiServer::Handle(const http::ServerRequest& request) {
  return impl_->Handle(request);
}

std::optional<TimePoint> ApiServer::NextDue() const {
  MutexLock lock(impl_->mutex);
  return impl_->timers.Next();
}

void ApiServer::Advance() { impl_->Advance(); }

void ApiServer::OnDueChanged(std::function<void()> callback) {
  MutexLock lock(impl_->mutex);
  impl_->on_due_changed = std::move(callback);
}

void ApiServer::AddToken(std::string token, User user) {
  MutexLock lock(impl_->mutex);
  user.groups.push_back("system:authenticated");
  impl_->tokens[std::move(token)] = std::move(user);
}

void ApiServer::OnAudit(std::function<void(const AuditRecord&)> callback) {
  MutexLock lock(impl_->mutex);
  impl_->on_audit = std::move(callback);
}

void ApiServer::OnRequest(
    std::function<std::optional<http::ServerResponse>(const RequestInfo&, const User&)> callback) {
  MutexLock lock(impl_->mutex);
  impl_->on_request = std::move(callback);
}

void ApiServer::SetWorkloadRules(std::vector<WorkloadRule> rules) {
  MutexLock lock(impl_->mutex);
  impl_->workload_rules = std::move(rules);
}

void ApiServer::DropWatches() {
  {
    MutexLock lock(impl_->mutex);
    for (const auto& [name, table] : impl_->tables) {
      for (const auto& watch : std::vector(table->watches)) impl_->EndWatch(watch);
    }
  }
  impl_->Flush();
}

void ApiServer::CompactHistory() {
  MutexLock lock(impl_->mutex);
  for (const auto& [name, table] : impl_->tables) table->Compact(impl_->rv);
}

ServerCounters ApiServer::counters() const {
  MutexLock lock(impl_->mutex);
  ServerCounters counters = impl_->counters;
  for (const auto& [name, table] : impl_->tables) counters.watches += table->watches.size();
  return counters;
}

uint64_t ApiServer::resource_version() const {
  MutexLock lock(impl_->mutex);
  return impl_->rv;
}

value::Value ApiServer::Get(std::string_view resource, std::string_view namespace_name,
                            std::string_view name) const {
  MutexLock lock(impl_->mutex);
  auto table = impl_->tables.find(std::string(resource));
  if (table == impl_->tables.end()) return {};
  api::StoredPtr stored = table->second->Find(namespace_name, name);
  return stored ? stored->object : value::Value();
}

std::vector<value::Value> ApiServer::List(std::string_view resource) const {
  MutexLock lock(impl_->mutex);
  std::vector<value::Value> objects;
  auto table = impl_->tables.find(std::string(resource));
  if (table == impl_->tables.end()) return objects;
  for (const auto& [key, stored] : table->second->objects()) objects.push_back(stored->object);
  return objects;
}

}  // namespace flotilla::sim
