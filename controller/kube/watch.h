// Watches: what exists of one resource, told as it changes. Hundreds of them per process are cheap:
// a connection and a few kilobytes each, one task for all.
//
// A WatchPool owns the task that parses events and calls handlers, so that the HTTP client's thread
// never does either. Handlers of one watch are called one after the other; those of different
// watches share the task, so they must be quick and must not wait.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/runtime.h"
#include "kube/client.h"
#include "kube/reflector.h"
#include "kube/resource.h"
#include "kube/timers.h"
#include "value/value.h"

namespace flotilla::kube {

class WatchHandler {
 public:
  virtual ~WatchHandler() = default;
  // New or changed. After a reconnection only what differs from what was told before.
  virtual void OnApply(value::Value object) = 0;
  // `last` is absent where the deletion happened while nobody watched.
  virtual void OnDelete(const ObjectKey& key, value::Ref last) = 0;
  // What was told so far is all that exists. The first time, and after each relist.
  virtual void OnSynced() = 0;
  // The watch is interrupted; it goes on by itself.
  virtual void OnTrouble(const Error&) {}
};

struct WatchOptions {
  GroupVersionResource resource{};
  std::string kind{};  // stamped on objects that do not name theirs
  std::string ns{};    // empty: all namespaces
  std::string label_selector{};
  std::string field_selector{};
  bool metadata_only = false;  // objects have metadata, and apiVersion and kind of their own
  // Run on every object before anything else sees or keeps it.
  std::function<value::Value(value::Value)> strip{};  // null: StripManagedFields
  ReflectorOptions protocol{};
};

// A copy without metadata.managedFields that shares nothing with the event it came in.
value::Value StripManagedFields(value::Value object);

struct WatchHealth {
  bool synced = false;
  TimePoint last_contact{};  // the last byte from the server
  int failures = 0;          // in a row
  std::string error{};       // the last one; empty while all is well
};

class Watch {
 public:
  virtual ~Watch() = default;  // stops; no handler runs after it
  virtual WatchHealth health() const = 0;
};

class WatchPool {
 public:
  WatchPool(Runtime& runtime, Timers& timers);
  ~WatchPool();  // every Watch must be gone
  WatchPool(const WatchPool&) = delete;
  WatchPool& operator=(const WatchPool&) = delete;

  // `client` and `handler` outlive the Watch. Not to be destroyed from inside its own handler.
  std::unique_ptr<Watch> Start(Client& client, WatchOptions options, WatchHandler& handler);

 private:
  class Worker;
  const std::shared_ptr<Worker> worker_;
};

}  // namespace flotilla::kube
