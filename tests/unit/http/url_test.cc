// URLs of HTTP: RFC 3986, strictly.
#include "http/url.h"

#include "catch.h"

namespace flotilla::http {
namespace {

TEST_CASE("a URL is taken apart") {
  struct Case {
    const char* text;
    Url url;
  };
  for (const Case& each : {
           Case{"http://a", {false, "a", 80, "/", ""}},
           Case{"https://a", {true, "a", 443, "/", ""}},
           Case{"HTTPS://Host.Example/Path", {true, "host.example", 443, "/Path", ""}},
           Case{"http://a:8080/x/y?b=c&d", {false, "a", 8080, "/x/y", "b=c&d"}},
           Case{"http://a?b", {false, "a", 80, "/", "b"}},
           Case{"http://a/?", {false, "a", 80, "/", ""}},
           Case{"http://a/b?c?d", {false, "a", 80, "/b", "c?d"}},
           Case{"https://127.0.0.1:6443/", {true, "127.0.0.1", 6443, "/", ""}},
           Case{"https://[::1]:6443/", {true, "::1", 6443, "/", ""}},
           Case{"https://[FE80::1]/", {true, "fe80::1", 443, "/", ""}},
           Case{"http://a/%2F%20/..", {false, "a", 80, "/%2F%20/..", ""}},
       }) {
    CAPTURE(each.text);
    auto url = ParseUrl(each.text);
    REQUIRE(url);
    CHECK((*url == each.url));
  }
}

TEST_CASE("a URL put together parses to the same") {
  for (const char* text : {"http://a/", "https://a:8443/x?y=z", "https://[::1]:6443/",
                           "http://a:443/", "https://a:80/"}) {
    auto url = ParseUrl(text);
    REQUIRE(url);
    CHECK(ToString(*url) == text);
  }
  CHECK(ToString(*ParseUrl("https://A:443")) == "https://a/");
  CHECK(Authority(*ParseUrl("https://[::1]:6443/")) == "[::1]:6443");
  CHECK(Authority(*ParseUrl("http://a:80/")) == "a");
}

TEST_CASE("what is not a URL of ours is refused") {
  for (const char* text : {"",
                           "a",
                           "//a/",
                           "ftp://a/",
                           "file:///etc/passwd",
                           "http:/a",
                           "http://",
                           "http:///x",
                           "http://:80/",
                           "http://a:/",
                           "http://a:0/",
                           "http://a:65536/",
                           "http://a:8x/",
                           "http://a:-1/",
                           "http://a:80:80/",
                           "http://user@a/",
                           "http://user:secret@a/",
                           "http://a@b@c/",
                           "http://a/#f",
                           "http://a b/",
                           "http://a/ b",
                           "http://a/\r\nX: y",
                           "http://a/\n",
                           "http://a/\x7f",
                           "http://a/\xc3\xa4",
                           "http://\xc3\xa4/",
                           "http://[::1/",
                           "http://[]/",
                           "http://[a]/",
                           "http://[::1]x/",
                           "http://a,b/",
                           "http://%61/",
                           "http://a\\b/"}) {
    CAPTURE(text);
    auto url = ParseUrl(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().cls == ErrorClass::kInvalid);
  }
  CHECK_FALSE(ParseUrl("http://" + std::string(254, 'a') + "/"));
}

TEST_CASE("an error does not repeat the credentials of a URL") {
  CHECK(ParseUrl("https://user:s3cret@host/").error().ToString().find("s3cret") ==
        std::string::npos);
}

TEST_CASE("parameters are added encoded") {
  std::string url = "/api/v1/pods";
  AppendQuery(url, "labelSelector", "app in (a,b),x=y");
  AppendQuery(url, "continue", "a+b/c==&?");
  CHECK(url ==
        "/api/v1/pods?labelSelector=app%20in%20%28a%2Cb%29%2Cx%3Dy&continue=a%2Bb%2Fc%3D%3D%26%3F");
  auto query = ParseQuery(SplitTarget(url).query);
  REQUIRE(query);
  CHECK(*query == Query{{"labelSelector", "app in (a,b),x=y"}, {"continue", "a+b/c==&?"}});
}

TEST_CASE("a query is read as HTML forms are") {
  struct Case {
    const char* text;
    Query query;
  };
  for (const Case& each :
       {Case{"", {}}, Case{"&&", {}}, Case{"a", {{"a", ""}}}, Case{"a=", {{"a", ""}}},
        Case{"=a", {{"", "a"}}}, Case{"a=b=c", {{"a", "b=c"}}}, Case{"a+b=c+d", {{"a b", "c d"}}},
        Case{"a=%2B", {{"a", "+"}}}, Case{"a=1&a=2", {{"a", "1"}, {"a", "2"}}}}) {
    CAPTURE(each.text);
    auto query = ParseQuery(each.text);
    REQUIRE(query);
    CHECK(*query == each.query);
  }
  for (const char* text : {"a=%", "a=%2", "a=%zz", "%=a"}) {
    CAPTURE(text);
    CHECK_FALSE(ParseQuery(text));
  }
}

TEST_CASE("the first value of a parameter counts") {
  const Query query = *ParseQuery("watch=true&watch=false&empty=");
  CHECK(Find(query, "watch", "no") == "true");
  CHECK(Find(query, "empty", "no") == "");
  CHECK(Find(query, "missing", "no") == "no");
}

TEST_CASE("a target is split at its first question mark") {
  CHECK(SplitTarget("/a?b?c").path == "/a");
  CHECK(SplitTarget("/a?b?c").query == "b?c");
  CHECK(SplitTarget("/a").path == "/a");
  CHECK(SplitTarget("/a").query.empty());
}

}  // namespace
}  // namespace flotilla::http
