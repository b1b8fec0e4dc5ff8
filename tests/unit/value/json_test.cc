#include "value/json.h"

#include "base/limits.h"
#include "catch.h"
#include "random_tree.h"

namespace flotilla::value {
namespace {

TEST_CASE("JSON numbers keep their kind and are written as Go writes them") {
  struct Row {
    const char* text;
    Kind kind;
    const char* written;
  };
  const Row rows[] = {
      {"0", Kind::kInt, "0"},
      {"-0", Kind::kInt, "0"},
      {"9223372036854775807", Kind::kInt, "9223372036854775807"},
      {"-9223372036854775808", Kind::kInt, "-9223372036854775808"},
      {"9223372036854775808", Kind::kUint, "9223372036854775808"},
      {"18446744073709551615", Kind::kUint, "18446744073709551615"},
      {"18446744073709551616", Kind::kDouble, "18446744073709552000"},
      {"-9223372036854775809", Kind::kDouble, "-9223372036854775808"},
      {"1.0", Kind::kDouble, "1"},
      {"-0.0", Kind::kDouble, "-0"},
      {"0.1", Kind::kDouble, "0.1"},
      {"1e3", Kind::kDouble, "1000"},
      {"123456.789", Kind::kDouble, "123456.789"},
      {"123456789012345678901.0", Kind::kDouble, "123456789012345680000"},
      {"1e20", Kind::kDouble, "100000000000000000000"},
      {"1e21", Kind::kDouble, "1e+21"},
      {"1.5E+300", Kind::kDouble, "1.5e+300"},
      {"0.000001", Kind::kDouble, "0.000001"},
      {"0.0000012345", Kind::kDouble, "0.0000012345"},
      {"0.0000001", Kind::kDouble, "1e-7"},
      {"-1.25e-10", Kind::kDouble, "-1.25e-10"},
      {"5e-324", Kind::kDouble, "5e-324"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    auto value = ParseJson(row.text);
    REQUIRE(value);
    CHECK(value->ref().kind() == row.kind);
    if (std::string(row.text) != "-9223372036854775809") CHECK(ToJson(*value) == row.written);
  }
}

TEST_CASE("JSON strings: escapes are read, and written only where they must be") {
  struct Row {
    const char* text;
    const char* meaning;
    const char* written;
  };
  const Row rows[] = {
      {R"("a\"b\\c\/d")", "a\"b\\c/d", R"("a\"b\\c/d")"},
      {R"("\b\f\n\r\t")", "\b\f\n\r\t", R"("\b\f\n\r\t")"},
      {R"("\u0041\u00e9\u263a\ud83d\ude00")", "Aé☺😀", R"("Aé☺😀")"},
      {R"("\u001f\u007f")", "\x1f\x7f", "\"\\u001f\x7f\""},
      {R"("<&>")", "<&>", R"("<&>")"},
      {R"("abcdefgh\n12345678")", "abcdefgh\n12345678", R"("abcdefgh\n12345678")"},
  };
  for (const Row& row : rows) {
    auto value = ParseJson(row.text);
    REQUIRE(value);
    CHECK(value->ref().String() == row.meaning);
    CHECK(ToJson(*value) == row.written);
  }
}

TEST_CASE("what is no JSON is refused with its place") {
  struct Row {
    std::string text;
    uint32_t line;
    uint32_t column;
    const char* problem;
  };
  const Row rows[] = {
      {"", 1, 1, "the text ends here"},
      {"{\"a\":1,\n \"b\" 2}", 2, 6, "':' is expected"},
      {"{\"a\":1,\n \"a\":2}", 2, 2, "two members with the key \"a\""},
      {"{\"a\":{\"é\":1,\"x\":1,\"é\":2}}", 1, 19, "two members with the key \"é\""},
      {"[1,]", 1, 4, "a value is expected"},
      {"[1 2]", 1, 4, "',' or ']'"},
      {"[1", 1, 3, "']' is missing"},
      {"{\"a\":1", 1, 7, "'}' is missing"},
      {"{a:1}", 1, 2, "a key in double quotes"},
      {"{\"a\":1,}", 1, 8, "a key in double quotes"},
      {"\"abc", 1, 5, "'\"' is missing"},
      {"\"a\nb\"", 1, 3, "control character"},
      {R"("\q")", 1, 2, "does not exist in JSON"},
      {R"("\u12g4")", 1, 2, "four hexadecimal digits"},
      {R"("\ud800")", 1, 2, "surrogate"},
      {R"("\ud800\u0041")", 1, 2, "surrogate"},
      {R"("\udc00")", 1, 2, "surrogate"},
      {"01", 1, 1, "begin with 0"},
      {"-", 1, 1, "a value is expected"},
      {"1.", 1, 3, "a digit"},
      {"1e+", 1, 4, "a digit"},
      {"1e999", 1, 1, "double precision"},
      {"nul", 1, 1, "a value is expected"},
      {"true false", 1, 6, "follows the end"},
      {"NaN", 1, 1, "a value is expected"},
      {"[\"a\xff\"]", 1, 4, "not valid UTF-8"},
      {"\"\xed\xa0\x80\"", 1, 2, "not valid UTF-8"},
      {"\"\xc0\xaf\"", 1, 2, "not valid UTF-8"},
      {"\"\xf4\x90\x80\x80\"", 1, 2, "not valid UTF-8"},
      {"\"\xe2\x98", 1, 2, "not valid UTF-8"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    auto value = ParseJson(row.text);
    REQUIRE_FALSE(value);
    CHECK(value.error().cls == ErrorClass::kInvalid);
    const auto* detail = value.error().Detail<ParseProblem>();
    REQUIRE(detail);
    CHECK(detail->position == Position{row.line, row.column});
    CHECK_THAT(detail->problem, Catch::Contains(row.problem));
    CHECK(value.error().message == "line " + std::to_string(row.line) + ", column " +
                                       std::to_string(row.column) + ": " + detail->problem);
  }
}

TEST_CASE("a repeated key is found in a map of any size") {
  for (int size : {2, 16, 17, 1000}) {
    std::string text = "{";
    for (int i = 0; i < size; ++i) text += "\"k" + std::to_string(i) + "\":0,";
    CHECK(ParseJson(text + "\"last\":0}"));
    auto twice = ParseJson(text + "\n\"k1\":0}");
    REQUIRE_FALSE(twice);
    CHECK(twice.error().Detail<ParseProblem>()->position.line == 2);
  }
}

TEST_CASE("limits of JSON: depth, bytes, values") {
  std::string deepest =
      std::string(limits::kDocumentDepth, '[') + std::string(limits::kDocumentDepth, ']');
  CHECK(ParseJson(deepest));
  CHECK_FALSE(ParseJson("[" + deepest + "]"));
  CHECK_FALSE(ParseJson(std::string(10'000'000, '[')));
  CHECK_FALSE(ParseJson(std::string(limits::kDocumentBytes + 1, ' ')));
  std::string many = "[0";
  for (size_t i = 0; i < limits::kDocumentNodes; ++i) many += ",0";
  auto too_many = ParseJson(many + "]");
  REQUIRE_FALSE(too_many);
  CHECK_THAT(too_many.error().message, Catch::Contains("too many values"));
}

TEST_CASE("canonical JSON has sorted keys at every level and no spaces") {
  Value v = *ParseJson(R"({ "b": [ {"z": 1, "a": 2} ], "a": { "é": 0, "e": 1, "Z": 2 } })");
  CHECK(ToCanonicalJson(v) == R"({"a":{"Z":2,"e":1,"é":0},"b":[{"a":2,"z":1}]})");
}

TEST_CASE("pretty JSON looks as kubectl prints it") {
  Value v = *ParseJson(R"({"a":{"b":[1,{}],"c":[]},"d":null})");
  CHECK(ToPrettyJson(v) ==
        "{\n  \"a\": {\n    \"b\": [\n      1,\n      {}\n    ],\n    \"c\": []\n  },\n"
        "  \"d\": null\n}");
}

TEST_CASE("bytes that are not UTF-8 are replaced on output") {
  CHECK(ToJson(Value(std::string_view("a\xff"
                                      "b☺\xe2"))) == "\"a\uFFFDb☺\uFFFD\"");
}

TEST_CASE("every tree reads back from its JSON as it was") {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Value tree = RandomTree(seed).Make();
    for (const std::string& text : {ToJson(tree), ToPrettyJson(tree), ToCanonicalJson(tree)}) {
      auto back = ParseJson(text);
      INFO(text);
      REQUIRE(back);
      REQUIRE(*back == tree);
    }
  }
}

TEST_CASE("no damaged JSON text makes the parser crash or accept what it would not write") {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    RandomTree random(seed);
    std::string text = ToJson(random.Make());
    for (size_t i = 1 + random.Below(3); i > 0 && !text.empty(); --i) {
      size_t at = random.Below(text.size());
      switch (random.Below(3)) {
        case 0:
          text.erase(at, 1 + random.Below(4));
          break;
        case 1:
          text.insert(at, 1, "{}[]\",:\\0-e."[random.Below(12)]);
          break;
        default:
          text[at] = static_cast<char>(random.Below(256));
      }
    }
    auto value = ParseJson(text);
    if (value) {
      auto again = ParseJson(ToJson(*value));
      REQUIRE(again);
      REQUIRE(ToJson(*again) == ToJson(*value));
    } else {
      REQUIRE(value.error().Detail<ParseProblem>());
    }
  }
}

}  // namespace
}  // namespace flotilla::value
