// Get, list and watch.
#include <fmt/format.h>
#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "sim/api_server/kinds/scale.h"
#include "sim/api_server/server.h"
#include "value/json.h"

namespace flotilla::sim::api {

using value::Value;

namespace {

constexpr std::string_view kTooOldContinue =
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list.";

std::optional<uint64_t> Number(std::string_view text) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

// Where a paged list goes on: after `key`, in the state at `rv`.
struct ContinueToken {
  uint64_t rv = 0;
  std::string key;
};

std::string WriteToken(const ContinueToken& token) {
  return EncodeBase64Url(value::ToJson(
      Value::Map({{"v", "meta.k8s.io/v1"}, {"rv", Value(token.rv)}, {"start", Value(token.key)}})));
}

std::optional<ContinueToken> ReadToken(std::string_view text) {
  auto json = DecodeBase64Url(text);
  if (!json) return {};
  auto token = value::ParseJson(*json);
  if (!token || !(*token)["start"].IsString()) return {};
  return ContinueToken{(*token)["rv"].Uint(), (*token)["start"].Text()};
}

ApiError TooLargeVersion(uint64_t asked, uint64_t current) {
  ApiError error;
  error.code = 504;
  error.reason = "Timeout";
  error.message =
      fmt::format("Timeout: Too large resource version: {}, current: {}", asked, current);
  error.retry_after = 1;
  error.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  return error;
}

ApiError TooOld(uint64_t asked, uint64_t oldest) {
  return Expired(fmt::format("too old resource version: {} ({})", asked, oldest));
}

}  // namespace

Answer<Selection> Server::ReadSelection(const Request& request, const ResourceType& resource) {
  Selection selection;
  selection.ns = resource.namespaced ? request.info.namespace_name : "";
  selection.name = request.info.name;
  auto labels = LabelSelector::Parse(request.query.Get("labelSelector"));
  if (!labels) return Refuse(labels);
  selection.labels = *std::move(labels);
  auto fields = FieldSelector::Parse(request.query.Get("fieldSelector"),
                                     SelectableFields(resource.group, resource.plural));
  if (!fields) return Refuse(fields);
  selection.fields = *std::move(fields);
  return selection;
}

Answer<Reply> Server::Get(const Request& request, const ResourcePtr& resource) {
  StoredPtr stored = resource->table->Find(resource->namespaced ? request.info.namespace_name : "",
                                           request.info.name);
  if (!stored) return Refuse(NotFound(resource->resource(), request.info.name));
  std::string_view wanted = request.query.Get("resourceVersion");
  if (!wanted.empty()) {
    auto number = Number(wanted);
    if (number && *number > rv) return Refuse(TooLargeVersion(*number, rv));
  }
  if (request.info.subresource == "scale") return GetScale(*stored, *resource);
  Reply reply;
  reply.resource = resource;
  reply.object = std::move(stored);
  return reply;
}

Answer<Reply> Server::List(const Request& request, const ResourcePtr& resource) {
  auto selection = ReadSelection(request, *resource);
  if (!selection) return Refuse(selection);
  size_t limit = Number(request.query.Get("limit")).value_or(0);
  ContinueToken token;
  token.rv = rv;
  std::string_view given = request.query.Get("continue");
  std::string_view version = request.query.Get("resourceVersion");
  if (!given.empty()) {
    auto read = ReadToken(given);
    if (!read) return Refuse(BadRequest("continue key is not valid: illegal base64 data"));
    token = *std::move(read);
  } else if (!version.empty()) {
    auto number = Number(version);
    if (!number) {
      return Refuse(
          Invalid("meta.k8s.io", "ListOptions", "",
                  {FieldError::Invalid("resourceVersion", Value(version), "must be an integer")}));
    }
    if (*number > rv) return Refuse(TooLargeVersion(*number, rv));
    if (request.query.Get("resourceVersionMatch") == "Exact") token.rv = *number;
  }
  std::optional<Table::Objects> past;
  if (token.rv < rv) {
    past = resource->table->At(token.rv);
    if (!past) return Refuse(Expired(std::string(kTooOldContinue)));
  }
  Reply reply;
  reply.resource = resource;
  reply.is_list = true;
  size_t remaining = 0;
  std::string last;
  auto collect = [&](auto first, auto end) {
    for (; first != end; ++first) {
      if (!selection->Matches(*first->second)) continue;
      if (limit != 0 && reply.items.size() == limit) {
        ++remaining;
        continue;
      }
      reply.items.push_back(first->second);
      last = first->first;
    }
  };
  if (past) {
    collect(past->upper_bound(token.key), past->end());
  } else {
    auto [first, end] = resource->table->Range(selection->ns, token.key);
    collect(first, end);
  }
  bool selects = !selection->labels.empty() || !selection->fields.empty();
  reply.list_metadata =
      Value::Map({{"resourceVersion", std::to_string(token.rv)},
                  {"continue", remaining               ? Value(WriteToken({token.rv, last}))
                               : resource->is_custom() ? Value("")
                                                       : Value()},
                  {"remainingItemCount",
                   remaining && !selects ? Value(static_cast<int64_t>(remaining)) : Value()}});
  return reply;
}

Answer<Reply> Server::StartWatch(const Request& request, const ResourcePtr& resource) {
  auto selection = ReadSelection(request, *resource);
  if (!selection) return Refuse(selection);
  auto watch = std::make_shared<Watch>();
  watch->resource = resource;
  watch->selection = *std::move(selection);
  watch->projection = request.projection;
  watch->bookmarks = request.query.IsTrue("allowWatchBookmarks");
  std::string_view version = request.query.Get("resourceVersion");
  bool send_initial = request.query.IsTrue("sendInitialEvents");
  if (send_initial && !watch->bookmarks) {
    return Refuse(Invalid(
        "meta.k8s.io", "ListOptions", "",
        {FieldError::Forbidden("allowWatchBookmarks",
                               "sendInitialEvents is set but allowWatchBookmarks is not")}));
  }
  uint64_t from = 0;
  if (!version.empty() && version != "0") {
    auto number = Number(version);
    if (!number) return Refuse(BadRequest(fmt::format("invalid resourceVersion: {}", version)));
    from = *number;
  }
  if (send_initial || from == 0) {
    auto [first, end] = resource->table->Range(watch->selection.ns, "");
    for (; first != end; ++first) {
      if (!watch->selection.Matches(*first->second)) continue;
      watch->outbox.push_back({WatchEvent::Type::kAdded, first->second, 0, false, {}});
    }
    if (send_initial) {
      watch->outbox.push_back({WatchEvent::Type::kBookmark, nullptr, rv, true, {}});
    }
  } else if (auto changes = resource->table->Since(from)) {
    for (const Change* change : *changes) {
      if (auto event = watch->Translate(*change)) watch->outbox.push_back(*std::move(event));
    }
  } else {
    // As a real server: the stream opens, and its only event says that the version is gone.
    watch->outbox.push_back(
        {WatchEvent::Type::kError, nullptr, 0, false, TooOld(from, rv).ToStatus()});
    watch->ending = true;
  }
  if (auto seconds = Number(request.query.Get("timeoutSeconds")); seconds && *seconds > 0) {
    watch->deadline = Now() + std::chrono::seconds(*seconds);
    timers.At(watch->deadline, [this, weak = std::weak_ptr(watch)] {
      if (auto open = weak.lock()) EndWatch(open);
    });
  }
  if (watch->bookmarks) ScheduleBookmark(watch);
  resource->table->watches.push_back(watch);
  Reply reply;
  reply.resource = resource;
  reply.watch = std::move(watch);
  return reply;
}

void Server::ScheduleBookmark(const std::shared_ptr<Watch>& watch) {
  timers.At(Now() + options.bookmark_interval, [this, weak = std::weak_ptr(watch)] {
    auto open = weak.lock();
    if (!open || open->closed || open->ending) return;
    Queue(open, {WatchEvent::Type::kBookmark, nullptr, rv, false, {}});
    ScheduleBookmark(open);
  });
}

void Server::Queue(const std::shared_ptr<Watch>& watch, WatchEvent event) {
  if (watch->closed || watch->ending) return;
  watch->outbox.push_back(std::move(event));
  dirty.push_back(watch);
}

void Server::EndWatch(const std::shared_ptr<Watch>& watch) {
  if (watch->closed) return;
  watch->ending = true;
  dirty.push_back(watch);
}

}  // namespace flotilla::sim::api
