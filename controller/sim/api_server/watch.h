// One open watch: which changes it wants, what it still has to say, and how that is written.
//
// Events are queued under the server's lock and written without it, by whoever finds the watch not
// being written already: so that events stay in order and no foreign code runs under the lock.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "http/server.h"
#include "sim/api_server/store.h"

namespace flotilla::sim::api {

struct WatchEvent {
  enum class Type : uint8_t { kAdded, kModified, kDeleted, kBookmark, kError } type;
  StoredPtr object;          // for the first three
  uint64_t rv = 0;           // for bookmarks
  bool initial_end = false;  // the bookmark that ends the initial events
  value::Value status;       // for errors
};

class Watch {
 public:
  ResourcePtr resource;
  Selection selection;
  Projection projection = Projection::kFull;
  bool bookmarks = false;
  TimePoint deadline = kForever;

  // What `change` means to this watch, if anything.
  std::optional<WatchEvent> Translate(const Change& change) const;
  // One line with its newline.
  std::string Render(const WatchEvent& event, WallTime now) const;

  // Guarded by the server's lock.
  std::deque<WatchEvent> outbox;
  std::shared_ptr<http::ResponseWriter> writer;  // null until the transport attaches
  bool draining = false;
  bool ending = false;     // end when the outbox is empty
  bool abandoned = false;  // no transport will ever attach
  bool closed = false;
  mutable bool table_header_sent = false;
};

}  // namespace flotilla::sim::api
