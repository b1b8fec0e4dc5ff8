#include "kube/reflector.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "value/json.h"

namespace flotilla::kube {
namespace {

using namespace reflector;  // NOLINT: the vocabulary of this file

// Each watch ends by itself after a random time in this range, so that those that began together do
// not all come back together.
constexpr uint64_t kShortestWatch = 300;  // seconds
constexpr uint64_t kWatchSpread = 300;
// A watch that lived that long did its work: its end is no failure.
constexpr Duration kUsefulWatch = 5s;

constexpr const char* kInitialEventsEnd = "k8s.io/initial-events-end";

size_t Hash(std::string_view text) { return std::hash<std::string_view>()(text); }

}  // namespace

Result<WatchEvent> ParseWatchEvent(std::string_view line) {
  const Result<value::Value> parsed = value::ParseJson(line);
  if (!parsed) return Fail(parsed, "a line of a watch");
  WatchEvent event;
  const std::string_view type = (*parsed)["type"].String();
  if (type == "ADDED") {
    event.type = WatchEvent::Type::kAdded;
  } else if (type == "MODIFIED") {
    event.type = WatchEvent::Type::kModified;
  } else if (type == "DELETED") {
    event.type = WatchEvent::Type::kDeleted;
  } else if (type == "BOOKMARK") {
    event.type = WatchEvent::Type::kBookmark;
  } else if (type == "ERROR") {
    event.type = WatchEvent::Type::kError;
  } else {
    return Fail(ErrorClass::kUnavailable, "a watch said \"{}\", which is no event", type);
  }
  const value::Ref object = (*parsed)["object"];
  const bool named = event.type == WatchEvent::Type::kBookmark ||
                     event.type == WatchEvent::Type::kError || !NameOf(object).empty();
  if (!object.IsMap() || !named) {
    return Fail(ErrorClass::kUnavailable, "a watch said {} of an object without name", type);
  }
  event.object = parsed->Share(object);
  return event;
}

Action Reflector::Step(Input input, TimePoint now, uint64_t random, Outputs& outputs) {
  if (std::holds_alternative<Start>(input)) return Connect(random);
  if (std::holds_alternative<TimerFired>(input)) {
    return mode_ == Mode::kBackOff ? Connect(random) : Action(GoOn());
  }
  if (auto* listed = std::get_if<PageListed>(&input)) return On(*listed, random, outputs);
  if (std::holds_alternative<WatchOpened>(input)) {
    mode_ = initial_events_ ? Mode::kInitialEvents : Mode::kWatching;
    watching_since_ = now;
    heard_ = false;
    return GoOn();
  }
  if (auto* refused = std::get_if<WatchRefused>(&input)) return On(*refused, random);
  if (auto* said = std::get_if<WatchSaid>(&input)) return On(*said, now, random, outputs);
  return On(std::get<WatchEnded>(input), now, random);
}

Action Reflector::On(PageListed& input, uint64_t random, Outputs& outputs) {
  if (!input.page) {
    const Error& error = input.page.error();
    // The pages came too slowly for the server's history: once more from the first.
    if (continuing_ && ReasonOf(error) == Reason::kExpired) return Relist(random);
    return Wait(error.retry_after, random);
  }
  ListPage& page = *input.page;
  for (value::Value& item : page.items) See(std::move(item), outputs);
  if (!page.continue_token.empty()) {
    continuing_ = true;
    return ListNext{std::move(page.continue_token)};
  }
  if (page.resource_version.empty()) return Wait(std::nullopt, random);  // nothing to watch from
  FinishList(std::move(page.resource_version), outputs);
  return Watch(random);
}

Action Reflector::On(WatchRefused& input, uint64_t random) {
  const Error& error = input.error;
  const bool answered = StatusOf(error) != nullptr;
  if (initial_events_ && answered && !IsTransient(error.cls)) {
    try_watch_list_ = false;  // a server that does not know sendInitialEvents
    return Connect(random);
  }
  if (ReasonOf(error) == Reason::kExpired) return Relist(random);
  // The version may be what the server does not like.
  if (answered && error.cls == ErrorClass::kInvalid) resource_version_.clear();
  return Wait(error.retry_after, random);
}

Action Reflector::On(WatchSaid& input, TimePoint now, uint64_t random, Outputs& outputs) {
  WatchEvent& event = input.event;
  heard_ = true;
  if (now - watching_since_ >= options_.healthy_after) failures_ = 0;
  std::string version(ResourceVersionOf(event.object));
  switch (event.type) {
    case WatchEvent::Type::kAdded:
    case WatchEvent::Type::kModified:
      See(std::move(event.object), outputs);
      break;
    case WatchEvent::Type::kDeleted: {
      ObjectKey key = KeyOf(event.object);
      if (known_.erase(key) != 0) {
        outputs.push_back(Deleted{std::move(key), std::move(event.object)});
      }
      break;
    }
    case WatchEvent::Type::kBookmark:
      if (mode_ == Mode::kInitialEvents &&
          AnnotationOf(event.object, kInitialEventsEnd) == "true") {
        FinishList(std::move(version), outputs);
        mode_ = Mode::kWatching;
        return GoOn();
      }
      break;
    case WatchEvent::Type::kError: {
      // Whatever it is, the server cannot go on from here.
      const int64_t code = event.object["code"].Int();
      resource_version_.clear();
      if (code == 410) return Relist(random);
      return Wait(std::nullopt, random);
    }
  }
  // Before the initial events are complete there is nothing to resume from.
  if (mode_ == Mode::kWatching && !version.empty()) resource_version_ = std::move(version);
  return GoOn();
}

Action Reflector::On(WatchEnded& input, TimePoint now, uint64_t random) {
  if (mode_ == Mode::kInitialEvents) {
    // It ended as watches do, and never said that the list is complete: it does not know how.
    if (input.end) try_watch_list_ = false;
    return Wait(std::nullopt, random);
  }
  const Duration lived = now - watching_since_;
  if (lived >= options_.healthy_after) failures_ = 0;
  // Servers send a bookmark every minute. One that was silent for longer may not have reached our
  // version yet, after a restore of its storage, and would be silent for ever.
  if (lived >= options_.silent_after && !heard_) return Relist(random);
  if (lived >= kUsefulWatch && failures_ == 0) return Watch(random);
  return Wait(input.end ? std::nullopt : input.end.error().retry_after, random);
}

Action Reflector::Connect(uint64_t random) {
  if (!resource_version_.empty()) return Watch(random);
  BeginList();
  if (try_watch_list_) return Watch(random);
  mode_ = Mode::kListing;
  return ListNext();
}

Action Reflector::Watch(uint64_t random) {
  mode_ = Mode::kOpening;
  initial_events_ = resource_version_.empty();
  return WatchFrom{resource_version_, initial_events_,
                   std::chrono::seconds(kShortestWatch + random % kWatchSpread)};
}

Action Reflector::Relist(uint64_t random) {
  resource_version_.clear();
  if (failures_ > 0) return Wait(std::nullopt, random);
  ++failures_;
  return Connect(random);
}

Action Reflector::Wait(std::optional<Duration> at_least, uint64_t random) {
  mode_ = Mode::kBackOff;
  ++failures_;
  return WaitFor{
      std::max(options_.back_off.Delay(failures_, random), at_least.value_or(Duration(0)))};
}

void Reflector::BeginList() {
  synced_ = false;
  continuing_ = false;
  ++round_;
}

void Reflector::FinishList(std::string resource_version, Outputs& outputs) {
  for (auto at = known_.begin(); at != known_.end();) {
    if (at->second.round == round_) {
      ++at;
      continue;
    }
    outputs.push_back(Deleted{at->first, {}});
    at = known_.erase(at);
  }
  resource_version_ = std::move(resource_version);
  synced_ = true;
  outputs.push_back(Synced());
}

void Reflector::See(value::Value object, Outputs& outputs) {
  const size_t uid = Hash(UidOf(object));
  const size_t version = Hash(ResourceVersionOf(object));
  const auto [at, is_new] = known_.try_emplace(KeyOf(object));
  Known& known = at->second;
  const bool same = !is_new && known.uid == uid && known.version == version;
  if (!is_new && known.uid != uid) outputs.push_back(Deleted{at->first, {}});
  known = {uid, version, round_};
  if (!same) outputs.push_back(Applied{std::move(object)});
}

}  // namespace flotilla::kube
