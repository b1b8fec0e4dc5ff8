// Lists and watches: versions, selectors, bookmarks, pages, and what happens when a client is late.
#include "server_fixture.h"

using namespace flotilla;
using namespace flotilla::sim;
using Lines = std::vector<std::string>;

namespace {

std::string Now(ServerFixture& api) { return std::to_string(api.server.resource_version()); }

}  // namespace

TEST_CASE("a watch tells what happens from its version on") {
  ServerFixture api;
  api.Post(kConfigMaps, ConfigMap("before"));
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1&resourceVersion=" + Now(api));
  CHECK(events->events.empty());
  api.Post(kConfigMaps, ConfigMap("a"));
  api.Put(std::string(kConfigMaps) + "/a", ConfigMap("a", "2"));
  api.Delete(std::string(kConfigMaps) + "/a");
  CHECK(Summary(events) == Lines{"ADDED a", "MODIFIED a", "DELETED a"});
  CHECK(events->events[2]["object"]["metadata"]["resourceVersion"].String() == Now(api));
}

TEST_CASE("a watch resumes at a past version without loss") {
  ServerFixture api;
  std::string start = Now(api);
  api.Post(kConfigMaps, ConfigMap("a"));
  api.Delete(std::string(kConfigMaps) + "/a");
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1&resourceVersion=" + start);
  CHECK(Summary(events) == Lines{"ADDED a", "DELETED a"});
}

TEST_CASE("a watch without version begins with what exists") {
  ServerFixture api;
  api.Post(kConfigMaps, ConfigMap("a"));
  CHECK(Summary(api.Watch(std::string(kConfigMaps) + "?watch=1")) == Lines{"ADDED a"});
  CHECK(Summary(api.Watch(std::string(kConfigMaps) + "?watch=1&resourceVersion=0")) ==
        Lines{"ADDED a"});
}

TEST_CASE("a streamed list ends with the bookmark that says so") {
  ServerFixture api;
  api.Post(kConfigMaps, ConfigMap("a"));
  std::string query = "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
  Events events = api.Watch(std::string(kConfigMaps) + query + "&allowWatchBookmarks=true");
  REQUIRE(Summary(events) == Lines{"ADDED a", "BOOKMARK"});
  value::Ref bookmark = events->events[1]["object"];
  CHECK(bookmark["kind"].String() == "ConfigMap");
  CHECK(bookmark["metadata"]["resourceVersion"].String() == Now(api));
  CHECK(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"].String() == "true");
  CHECK(api.Get(std::string(kConfigMaps) + query).status == 422);
}

TEST_CASE("a watch that is too old gets 410 and ends") {
  ApiServerOptions options;
  options.watch_history = 2;
  ServerFixture api(options);
  std::string old = Now(api);
  for (const char* name : {"a", "b", "c"}) api.Post(kConfigMaps, ConfigMap(name));
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1&resourceVersion=" + old);
  REQUIRE(events->events.size() == 1);
  CHECK(events->events[0]["type"].String() == "ERROR");
  CHECK(events->events[0]["object"]["code"].Int() == 410);
  CHECK(events->events[0]["object"]["reason"].String() == "Expired");
  CHECK(events->ended);
}

TEST_CASE("objects enter and leave a selecting watch") {
  ServerFixture api;
  Events events = api.Watch(std::string(kConfigMaps) +
                            "?watch=1&labelSelector=app%3Dweb&resourceVersion=" + Now(api));
  std::string path = std::string(kConfigMaps) + "/a";
  api.Post(kConfigMaps, ConfigMap("a"));
  CHECK(events->events.empty());
  api.Patch(path, "merge-patch+json", R"({"metadata":{"labels":{"app":"web"}}})");
  api.Patch(path, "merge-patch+json", R"({"data":{"x":"y"}})");
  api.Patch(path, "merge-patch+json", R"({"metadata":{"labels":{"app":"other"}}})");
  api.Delete(path);
  CHECK(Summary(events) == Lines{"ADDED a", "MODIFIED a", "DELETED a"});
}

TEST_CASE("a watch of one object sees only that") {
  ServerFixture api;
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1&fieldSelector=metadata.name%3Db");
  api.Post(kConfigMaps, ConfigMap("a"));
  api.Post(kConfigMaps, ConfigMap("b"));
  CHECK(Summary(events) == Lines{"ADDED b"});
}

TEST_CASE("bookmarks come with time, where they are asked for") {
  ServerFixture api;
  Events with = api.Watch(std::string(kConfigMaps) + "?watch=1&allowWatchBookmarks=true");
  Events without = api.Watch(std::string(kConfigMaps) + "?watch=1");
  REQUIRE(api.server.NextDue());
  CHECK(*api.server.NextDue() == TimePoint(60s));
  api.Pass(61s);
  CHECK(Summary(with) == Lines{"BOOKMARK"});
  CHECK(with->events[0]["object"]["metadata"]["resourceVersion"].String() == Now(api));
  CHECK(without->events.empty());
  api.Pass(60s);
  CHECK(with->events.size() == 2);
}

TEST_CASE("a watch ends at its time-out") {
  ServerFixture api;
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1&timeoutSeconds=5");
  api.Pass(4s);
  CHECK_FALSE(events->ended);
  api.Pass(2s);
  CHECK(events->ended);
  CHECK(api.server.counters().watches == 0);
}

TEST_CASE("all watches end when the server drops them") {
  ServerFixture api;
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1");
  api.server.DropWatches();
  CHECK(events->ended);
}

TEST_CASE("a peer that does not read loses its watch") {
  ServerFixture api;
  Events events = api.Watch(std::string(kConfigMaps) + "?watch=1");
  events->refuses = true;
  api.Post(kConfigMaps, ConfigMap("a"));
  CHECK(events->ended);
  CHECK(api.server.counters().watches == 0);
}

TEST_CASE("an answer that nobody attaches to leaves no watch behind") {
  ServerFixture api;
  {
    http::ServerRequest request;
    request.target = std::string(kConfigMaps) + "?watch=1";
    api.server.Handle(request);
  }
  CHECK(api.server.counters().watches == 0);
}

TEST_CASE("metadata-only answers hold no spec or data") {
  ServerFixture api;
  api.Post(kConfigMaps, ConfigMap("a"));
  http::Headers accept = {
      {"Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}};
  Reply list = api.Get(kConfigMaps, accept);
  CHECK(list.body["kind"].String() == "PartialObjectMetadataList");
  CHECK(list.body["apiVersion"].String() == "meta.k8s.io/v1");
  value::Ref item = list.body["items"][size_t{0}];
  CHECK(item["kind"].String() == "PartialObjectMetadata");
  CHECK(item["metadata"]["name"].String() == "a");
  CHECK(item["data"].IsAbsent());
  http::ServerRequest request;
  request.target = std::string(kConfigMaps) + "?watch=1";
  request.headers = {{"Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}};
  auto events = std::make_shared<WatchLog::Shared>();
  api.server.Handle(request).stream(std::make_shared<WatchLog>(events));
  REQUIRE(events->events.size() == 1);
  CHECK(events->events[0]["object"]["kind"].String() == "PartialObjectMetadata");
  CHECK(events->events[0]["object"]["data"].IsAbsent());
}

TEST_CASE("pages show one state, whatever happens meanwhile") {
  ServerFixture api;
  for (const char* name : {"a", "b", "c", "d"}) api.Post(kConfigMaps, ConfigMap(name));
  Reply first = api.Get(std::string(kConfigMaps) + "?limit=2");
  CHECK(first.body["items"].size() == 2);
  CHECK(first.body["metadata"]["remainingItemCount"].Int() == 2);
  api.Delete(std::string(kConfigMaps) + "/c");
  api.Put(std::string(kConfigMaps) + "/d", ConfigMap("d", "changed"));
  api.Post(kConfigMaps, ConfigMap("e"));
  std::string next = first.body["metadata"]["continue"].Text();
  Reply second = api.Get(std::string(kConfigMaps) + "?limit=2&continue=" + next);
  REQUIRE(second.body["items"].size() == 2);
  CHECK(second.body["items"][size_t{0}]["metadata"]["name"].String() == "c");
  CHECK(second.body["items"][1]["data"]["key"].String() == "1");
  CHECK(second.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]);
  CHECK(second.body["metadata"]["continue"].IsAbsent());
}

TEST_CASE("a page whose state is forgotten is 410") {
  ServerFixture api;
  for (const char* name : {"a", "b", "c"}) api.Post(kConfigMaps, ConfigMap(name));
  std::string next =
      api.Get(std::string(kConfigMaps) + "?limit=1").body["metadata"]["continue"].Text();
  api.Post(kConfigMaps, ConfigMap("d"));
  api.server.CompactHistory();
  Reply reply = api.Get(std::string(kConfigMaps) + "?limit=1&continue=" + next);
  CHECK(reply.status == 410);
  CHECK(reply.body["reason"].String() == "Expired");
}

TEST_CASE("a list of a version that is yet to come is a time-out") {
  ServerFixture api;
  Reply reply = api.Get(std::string(kConfigMaps) + "?resourceVersion=999999");
  CHECK(reply.status == 504);
  CHECK(reply.body["details"]["causes"][size_t{0}]["reason"].String() == "ResourceVersionTooLarge");
}

TEST_CASE("a list crosses namespaces in their order") {
  ServerFixture api;
  api.Post("/api/v1/namespaces", R"({"metadata":{"name":"a-first"}})");
  api.Post(kConfigMaps, ConfigMap("x"));
  api.Post("/api/v1/namespaces/a-first/configmaps", ConfigMap("y"));
  Reply list = api.Get("/api/v1/configmaps");
  REQUIRE(list.body["items"].size() == 2);
  CHECK(list.body["items"][size_t{0}]["metadata"]["name"].String() == "y");
  CHECK(list.body["items"][1]["metadata"]["name"].String() == "x");
}

TEST_CASE("writers may write from inside an event") {
  // A client on the same thread may answer an event with a request.
  ServerFixture api;
  struct Echo : http::ResponseWriter {
    explicit Echo(ServerFixture& a) : api(a) {}
    bool Write(std::string_view data) override {
      seen += 1;
      if (data.find("\"a\"") != std::string_view::npos) api.Post(kConfigMaps, ConfigMap("b"));
      return true;
    }
    ServerFixture& api;
    int seen = 0;
  };
  http::ServerRequest request;
  request.target = std::string(kConfigMaps) + "?watch=1";
  auto echo = std::make_shared<Echo>(api);
  api.server.Handle(request).stream(echo);
  api.Post(kConfigMaps, ConfigMap("a"));
  CHECK(echo->seen == 2);
  CHECK(api.Get(std::string(kConfigMaps) + "/b").status == 200);
}
