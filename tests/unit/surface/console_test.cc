#include "surface/cli/console.h"

#include "catch.h"
#include "value/json.h"

namespace flotilla::surface {
namespace {

struct Captured {
  explicit Captured(OutputFormat format)
      : console([this](std::string_view text) { out += text; },
                [this](std::string_view text) { err += text; }, format, false) {}
  std::string out, err;
  Console console;
};

value::Value Rollout() {
  return *value::ParseJson(
      R"({"apiVersion":"flotilla.dev/v1alpha1","kind":"Rollout","metadata":{"name":"shop-1"}})");
}

TEST_CASE("columns are as wide as their widest cell, counted in characters") {
  Table table({"NAME", "X"});
  table.Add({"zürich", "1"});
  table.Add({"a", "2"});
  CHECK(table.Text(false) ==
        "NAME     X\n"
        "zürich   1\n"
        "a        2\n");
}

TEST_CASE("colour changes no column, and is there only where it is wanted") {
  Table table({"A", "B"});
  table.Add({{"x", Tone::kGood}, "1"});
  CHECK(table.Text(true) ==
        "A   B\n"
        "\x1b[32mx\x1b[0m   1\n");
  CHECK(table.Text(false) ==
        "A   B\n"
        "x   1\n");
}

TEST_CASE("notes go to standard error, so that output can be piped") {
  Captured captured(OutputFormat::kJson);
  captured.console.Note("progress");
  captured.console.PrintObject(Rollout(), "rollouts");
  CHECK(captured.err == "progress\n");
  CHECK(value::ParseJson(captured.out));
}

TEST_CASE("-o name is what kubectl takes") {
  Captured captured(OutputFormat::kName);
  captured.console.PrintObjects({Rollout(), Rollout()}, "rollouts");
  CHECK(captured.out == "rollouts.flotilla.dev/shop-1\nrollouts.flotilla.dev/shop-1\n");
}

TEST_CASE("several objects are a List") {
  Captured captured(OutputFormat::kYaml);
  captured.console.PrintObjects({Rollout()}, "rollouts");
  CHECK(captured.out ==
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: flotilla.dev/v1alpha1\n  kind: Rollout\n"
        "  metadata:\n    name: shop-1\n");
}

TEST_CASE("revisions are shortened to branch and ten digits") {
  CHECK(ShortRevision("main@sha1:1092cfac985986c8477f7bf3d33fc626e1c5a8d1") == "main@1092cfac98");
  CHECK(ShortRevision("v1.4.0") == "v1.4.0");
  CHECK(ShortRevision("") == "-");
}

}  // namespace
}  // namespace flotilla::surface
