// The watch protocol, input by input.
#include "kube/reflector.h"

#include <string>
#include <vector>

#include "catch.h"
#include "value/json.h"

namespace flotilla::kube {
namespace {

using namespace reflector;  // NOLINT

value::Value Object(std::string_view name, std::string_view version, std::string_view uid = "") {
  return value::Value::Map(
      {{"metadata", value::Value::Map({{"name", value::Value(name)},
                                       {"uid", value::Value(uid.empty() ? name : uid)},
                                       {"resourceVersion", value::Value(version)}})}});
}

Input Page(std::vector<value::Value> items, std::string token, std::string version = "100") {
  ListPage page;
  page.items = std::move(items);
  page.continue_token = std::move(token);
  page.resource_version = std::move(version);
  return PageListed{std::move(page)};
}

Input Says(WatchEvent::Type type, value::Value object) {
  return WatchSaid{{type, std::move(object)}};
}
Input Added(std::string_view name, std::string_view version, std::string_view uid = "") {
  return Says(WatchEvent::Type::kAdded, Object(name, version, uid));
}
Input Modified(std::string_view name, std::string_view version) {
  return Says(WatchEvent::Type::kModified, Object(name, version));
}
Input Gone(std::string_view name, std::string_view version) {
  return Says(WatchEvent::Type::kDeleted, Object(name, version));
}
Input Bookmark(std::string_view version, bool initial_events_end = false) {
  value::Value object = Object("", version);
  if (initial_events_end) {
    object =
        value::Edited(object)
            .Set({"metadata", "annotations", "k8s.io/initial-events-end"}, value::Value("true"))
            .Done();
  }
  return Says(WatchEvent::Type::kBookmark, object);
}
Input ErrorEvent(int code) {
  return Says(WatchEvent::Type::kError,
              value::Value::Map({{"kind", value::Value("Status")}, {"code", value::Value(code)}}));
}
Error Answered(int code, std::string_view body = "") {
  return Classify({.verb = Verb::kWatch}, code, {}, body);
}
Error NoAnswer() {
  Error error;
  error.cls = ErrorClass::kUnavailable;
  return error;
}

// Feeds inputs and writes down what came of them, one line each: "+name@version -name synced |
// action".
struct Machine {
  explicit Machine(ReflectorOptions options = {}) : reflector(options) {}

  std::string Feed(Input input, Duration later = 0s) {
    now += later;
    std::vector<Output> outputs;
    const Action action = reflector.Step(std::move(input), now, random, outputs);
    std::string text;
    for (const Output& output : outputs) {
      if (const auto* applied = std::get_if<Applied>(&output)) {
        text += fmt::format("+{}@{} ", NameOf(applied->object), ResourceVersionOf(applied->object));
      } else if (const auto* deleted = std::get_if<Deleted>(&output)) {
        text += fmt::format("-{}{} ", deleted->key.name, deleted->last ? "" : "?");
      } else {
        text += "synced ";
      }
    }
    if (const auto* list = std::get_if<ListNext>(&action)) {
      text += "| list " + list->continue_token;
    } else if (const auto* watch = std::get_if<WatchFrom>(&action)) {
      text += watch->send_initial_events ? "| watch all" : "| watch " + watch->resource_version;
    } else if (const auto* wait = std::get_if<WaitFor>(&action)) {
      text += "| wait";
      delay = wait->delay;
    }
    return text;
  }

  // To a synced watch of a and b, from version 100.
  void Synced() {
    Feed(reflector::Start());
    Feed(Page({Object("a", "1"), Object("b", "2")}, ""));
    Feed(WatchOpened());
  }

  Reflector reflector;
  TimePoint now{1h};
  uint64_t random = 0;
  Duration delay{0};
};

const ReflectorOptions kListFirst{.watch_list = false};

TEST_CASE("a list is told page by page, then watched from its version") {
  Machine machine(kListFirst);
  CHECK(machine.Feed(Start()) == "| list ");
  CHECK(machine.Feed(Page({Object("a", "1")}, "t1")) == "+a@1 | list t1");
  CHECK_FALSE(machine.reflector.synced());
  CHECK(machine.Feed(Page({Object("b", "2")}, "")) == "+b@2 synced | watch 100");
  CHECK(machine.reflector.synced());
  CHECK(machine.Feed(WatchOpened()) == "");
}

TEST_CASE("events are told as they come, and move the version to watch from") {
  Machine machine(kListFirst);
  machine.Synced();
  CHECK(machine.Feed(Added("c", "101")) == "+c@101 ");
  CHECK(machine.Feed(Modified("a", "102")) == "+a@102 ");
  CHECK(machine.Feed(Gone("b", "103")) == "-b ");
  CHECK(machine.Feed(Bookmark("110")) == "");
  CHECK(machine.reflector.resource_version() == "110");
  CHECK(machine.reflector.size() == 2);
  CHECK(machine.Feed(WatchEnded{}, 400s) == "| watch 110");
}

TEST_CASE("what is known already is not told again") {
  Machine machine(kListFirst);
  machine.Synced();
  CHECK(machine.Feed(Added("a", "1")) == "");
  CHECK(machine.Feed(Gone("never-seen", "5")) == "");
}

TEST_CASE("the watch can begin with the list") {
  Machine machine;
  CHECK(machine.Feed(Start()) == "| watch all");
  CHECK(machine.Feed(WatchOpened()) == "");
  CHECK(machine.Feed(Added("a", "1")) == "+a@1 ");
  CHECK(machine.Feed(Bookmark("90")) == "");
  CHECK_FALSE(machine.reflector.synced());
  CHECK(machine.Feed(Bookmark("100", true)) == "synced ");
  CHECK(machine.Feed(Modified("a", "101")) == "+a@101 ");
  CHECK(machine.Feed(WatchEnded{}, 300s) == "| watch 101");

  SECTION("cut before the list is complete, it begins from nothing again") {
    Machine cut;
    cut.Feed(Start());
    cut.Feed(WatchOpened());
    cut.Feed(Added("a", "1"));
    CHECK(cut.Feed(WatchEnded{tl::unexpected<Error>(NoAnswer())}) == "| wait");
    CHECK(cut.Feed(TimerFired()) == "| watch all");
    cut.Feed(WatchOpened());
    CHECK(cut.Feed(Added("b", "2")) == "+b@2 ");
    CHECK(cut.Feed(Bookmark("100", true)) == "-a? synced ");
  }
}

TEST_CASE("a server that cannot begin a watch with the list is listed") {
  SECTION("because it refuses") {
    Machine machine;
    machine.Feed(Start());
    CHECK(machine.Feed(WatchRefused{Answered(422)}) == "| list ");
    machine.Feed(Page({Object("a", "1")}, ""));
    machine.Feed(WatchOpened());
    CHECK(machine.Feed(ErrorEvent(410)) == "| list ");  // and stays so
  }
  SECTION("because it never says that the list is complete") {
    Machine machine;
    machine.Feed(Start());
    machine.Feed(WatchOpened());
    machine.Feed(Added("a", "1"));
    CHECK(machine.Feed(WatchEnded{}, 300s) == "| wait");
    CHECK(machine.Feed(TimerFired()) == "| list ");
  }
  SECTION("but not because it is busy") {
    Machine machine;
    machine.Feed(Start());
    CHECK(machine.Feed(WatchRefused{Answered(503)}) == "| wait");
    CHECK(machine.Feed(TimerFired()) == "| watch all");
  }
}

TEST_CASE("an expired version is listed again at once, and only the difference is told") {
  for (const bool as_event : {true, false}) {
    INFO(as_event);
    Machine machine(kListFirst);
    machine.Synced();
    if (as_event) {
      CHECK(machine.Feed(ErrorEvent(410)) == "| list ");
    } else {
      CHECK(machine.Feed(WatchEnded{}, 100s) == "| watch 100");
      CHECK(machine.Feed(WatchRefused{Answered(410)}) == "| list ");
    }
    CHECK_FALSE(machine.reflector.synced());
    CHECK(machine.Feed(Page({Object("a", "1"), Object("c", "7")}, "", "200")) ==
          "+c@7 -b? synced | watch 200");
  }
}

TEST_CASE("a version that expires again soon is listed after a back-off") {
  Machine machine(kListFirst);
  machine.Synced();
  machine.Feed(ErrorEvent(410));
  machine.Feed(Page({}, "", "200"));
  machine.Feed(WatchOpened());
  CHECK(machine.Feed(ErrorEvent(410), 1s) == "| wait");
  CHECK(machine.Feed(TimerFired()) == "| list ");
}

TEST_CASE("an object that was replaced is told as deleted and made") {
  Machine machine(kListFirst);
  machine.Synced();
  machine.Feed(ErrorEvent(410));
  CHECK(machine.Feed(Page({Object("a", "50", "other-uid"), Object("b", "2")}, "", "200")) ==
        "-a? +a@50 synced | watch 200");
}

TEST_CASE("pages that expire are read again from the first, without forgetting what was told") {
  Machine machine(kListFirst);
  machine.Feed(Start());
  machine.Feed(Page({Object("a", "1")}, "t1"));
  CHECK(machine.Feed(PageListed{tl::unexpected<Error>(Answered(410))}) == "| list ");
  CHECK(machine.Feed(Page({Object("b", "2")}, "")) == "+b@2 -a? synced | watch 100");
}

TEST_CASE("a list that fails, or names no version, is tried again after a back-off") {
  Machine machine(kListFirst);
  machine.Feed(Start());
  CHECK(machine.Feed(PageListed{tl::unexpected<Error>(NoAnswer())}) == "| wait");
  CHECK(machine.Feed(TimerFired()) == "| list ");
  CHECK(machine.Feed(Page({}, "", "")) == "| wait");
  CHECK_FALSE(machine.reflector.synced());
}

TEST_CASE("a cut watch goes on from the last version, at once if it was useful") {
  Machine machine(kListFirst);
  machine.Synced();
  machine.Feed(Modified("a", "120"));
  CHECK(machine.Feed(WatchEnded{tl::unexpected<Error>(NoAnswer())}, 10s) == "| watch 120");
  CHECK(machine.Feed(WatchRefused{NoAnswer()}) == "| wait");
  CHECK(machine.Feed(TimerFired()) == "| watch 120");
  CHECK(machine.reflector.synced());
  SECTION("after a back-off if it ended as soon as it began") {
    machine.Feed(WatchOpened());
    CHECK(machine.Feed(WatchEnded{}, 1s) == "| wait");
  }
}

TEST_CASE("the back-off doubles from 800 ms to 30 s, and starts anew after two healthy minutes") {
  Machine machine(kListFirst);
  machine.Synced();
  machine.Feed(WatchEnded{}, 1s);
  std::vector<Duration> delays{machine.delay};
  for (int i = 0; i < 8; ++i) {
    machine.Feed(TimerFired());
    machine.Feed(WatchRefused{NoAnswer()});
    delays.push_back(machine.delay);
  }
  const auto near = [](Duration actual, Duration wanted) {
    return actual >= wanted * 8 / 10 && actual <= wanted * 12 / 10;
  };
  CHECK(near(delays[0], 800ms));
  CHECK(near(delays[1], 1600ms));
  CHECK(near(delays[2], 3200ms));
  CHECK(near(delays.back(), 30s));

  machine.Feed(TimerFired());
  machine.Feed(WatchOpened());
  machine.Feed(Bookmark("130"), 121s);
  CHECK(machine.Feed(WatchEnded{tl::unexpected<Error>(NoAnswer())}, 1s) == "| watch 130");
}

TEST_CASE("Retry-After is honoured") {
  Machine machine(kListFirst);
  machine.Synced();
  machine.Feed(WatchEnded{}, 100s);
  machine.Feed(
      WatchRefused{Classify({.verb = Verb::kWatch}, 429, {{"Retry-After", "17"}}, "busy")});
  CHECK(machine.delay >= 17s);
}

TEST_CASE("a version that the server does not understand is given up") {
  Machine machine(kListFirst);
  machine.Synced();
  machine.Feed(WatchEnded{}, 100s);
  CHECK(machine.Feed(WatchRefused{Answered(400)}) == "| wait");
  CHECK(machine.Feed(TimerFired()) == "| list ");
}

TEST_CASE("any ERROR event ends the watch, and the list begins again") {
  Machine machine(kListFirst);
  machine.Synced();
  CHECK(machine.Feed(ErrorEvent(500)) == "| wait");
  CHECK(machine.Feed(TimerFired()) == "| list ");
}

TEST_CASE("watches end at different times") {
  Machine machine(kListFirst);
  std::vector<Duration> timeouts;
  for (uint64_t random : {0u, 123u, 299u, 300u}) {
    std::vector<Output> outputs;
    Reflector reflector(kListFirst);
    reflector.Step(Start(), machine.now, random, outputs);
    const Action action = reflector.Step(Page({}, ""), machine.now, random, outputs);
    timeouts.push_back(std::get<WatchFrom>(action).timeout);
  }
  CHECK(timeouts == std::vector<Duration>{300s, 423s, 599s, 300s});
}

TEST_CASE("a watch that never said anything, no bookmark either, is not trusted: it lists again") {
  Machine machine(kListFirst);
  machine.Synced();
  CHECK(machine.Feed(WatchEnded{}, 300s) == "| list ");
  machine.Feed(Page({Object("a", "1"), Object("b", "2")}, "", "20"));  // restored: older versions
  machine.Feed(WatchOpened());
  machine.Feed(Bookmark("21"), 60s);
  CHECK(machine.Feed(WatchEnded{}, 240s) == "| watch 21");
}

TEST_CASE("a late timer changes nothing") {
  Machine machine(kListFirst);
  machine.Synced();
  CHECK(machine.Feed(TimerFired()) == "");
}

TEST_CASE("a line of a watch is an event or an error") {
  const auto added = ParseWatchEvent(R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})");
  REQUIRE(added);
  CHECK(added->type == WatchEvent::Type::kAdded);
  CHECK(NameOf(added->object) == "a");
  for (const char* wrong :
       {"", "{", "[]", R"({"type":"ADDED"})", R"({"type":"ADDED","object":{"metadata":{}}})",
        R"({"type":"WHAT","object":{"metadata":{"name":"a"}}})",
        R"({"type":"ERROR","object":3})"}) {
    INFO(wrong);
    CHECK_FALSE(ParseWatchEvent(wrong));
  }
}

}  // namespace
}  // namespace flotilla::kube
