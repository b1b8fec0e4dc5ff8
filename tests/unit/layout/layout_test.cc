#include <filesystem>
#include <fstream>
#include <sstream>

#include "catch.h"
#include "rules.h"

namespace flotilla::layout {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

const fs::path kController = fs::path(FLOTILLA_SOURCE_DIR) / "controller";
const std::vector<std::string> kFloors = {"base", "http", "deliver", "sim"};

// What a file at `path` with this text breaks, without place.
std::vector<std::string> Broken(const std::string& path, const std::string& text) {
  std::vector<std::string> rules;
  for (const std::string& line : Violations(kFloors, path, text)) {
    rules.push_back(line.substr(line.find(": ") + 2));
  }
  return rules;
}

TEST_CASE("the source tree keeps its rules") {
  const std::vector<std::string> floors = FloorsOf(ReadFile(kController / "CMakeLists.txt"));
  REQUIRE(floors.size() >= 14);
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kController)) {
    const fs::path& path = entry.path();
    if (path.extension() != ".h" && path.extension() != ".cc") continue;
    ++files;
    for (const std::string& violation :
         Violations(floors, fs::relative(path, kController).string(), ReadFile(path))) {
      FAIL_CHECK(violation);
    }
  }
  CHECK(files > 20);
}

TEST_CASE("floors are read bottom up from the build") {
  CHECK(FloorsOf("# x\nflotilla_floor(base LIBRARIES a)\nflotilla_floor(value DEPENDS base)\n") ==
        std::vector<std::string>{"base", "value"});
}

TEST_CASE("a floor includes itself and the floors below, never one above") {
  CHECK(Broken("http/a.cc", "#include \"base/x.h\"\n#include \"http/y.h\"\n").empty());
  CHECK(Broken("http/a.cc", "#include \"deliver/x.h\"\n") ==
        std::vector<std::string>{"deliver is a floor above http"});
  CHECK(Broken("attic/a.cc", "") == std::vector<std::string>{"not in a floor's folder"});
  CHECK(Broken("main.cc", "#include \"sim/x.h\"\n").empty());
}

TEST_CASE("each library is included where its wrapper is, and in no header") {
  CHECK(Broken("http/a.cc", "#include <curl/curl.h>\n").empty());
  CHECK(Broken("deliver/a.cc", "#include <curl/curl.h>\n") ==
        std::vector<std::string>{"<curl/curl.h> has its wrapper elsewhere"});
  CHECK(Broken("http/a.h", "#pragma once\n#include <boost/beast.hpp>\n") ==
        std::vector<std::string>{"<boost/beast.hpp> in a header"});
  CHECK(Broken("sim/a.cc", "#include <nlohmann/json.hpp>\n").empty());
  CHECK(Broken("sim/a.h", "#pragma once\n#include <nlohmann/json.hpp>\n").size() == 1);
  CHECK(Broken("deliver/a.cc", "#include <openssl/evp.h>\n").size() == 1);
}

TEST_CASE("only the runtimes touch threads, clocks, randomness and the environment") {
  for (const char* line :
       {"std::thread t;", "std::jthread t;", "std::mutex m;", "std::shared_mutex m;",
        "std::condition_variable_any c;", "auto f = std::async(g);", "std::future<int> f;",
        "std::this_thread::sleep_for(x);", "  sleep(1);", "usleep(5);",
        "auto t = std::chrono::system_clock::now();", "steady_clock::now();", "std::time(nullptr);",
        "time(NULL);", "getenv(\"HOME\");", "std::getenv(name);", "std::random_device d;",
        "x = rand();", "std::binary_semaphore s{0};"}) {
    INFO(line);
    CHECK(Broken("deliver/a.cc", line).size() == 1);
    CHECK(Broken("base/a.cc", line).empty());
    CHECK(Broken("sim/fiber_runtime.cc", line).empty());
    CHECK(Broken("sim/network.cc", line).size() == 1);
  }
}

TEST_CASE("what only looks like it is allowed") {
  for (const char* line :
       {"// std::thread is not used here", "/* getenv */ int x;", "Log(\"std::mutex\");",
        "auto s = R\"(sleep(1))\";", "runtime.SleepFor(1s, stop);", "WallTime time(parsed);",
        "std::chrono::time_point<std::chrono::system_clock, Duration> t;", "operand(1);",
        "int n = 1'000'000; // 'std::thread'", "Mutex mutex_;", "std::stop_source s;",
        "clock.time(0);"}) {
    INFO(line);
    CHECK(Broken("deliver/a.cc", line).empty());
  }
}

TEST_CASE("names say something, headers are included once, and nothing is left to do") {
  CHECK(Broken("deliver/string_util.cc", "").size() == 1);
  CHECK(Broken("deliver/common/a.cc", "").size() == 1);
  CHECK(Broken("deliver/commonality.cc", "").empty());
  CHECK(Broken("deliver/a.h", "int x;\n") == std::vector<std::string>{"no #pragma once"});
  CHECK(Broken("deliver/a.cc", "// TODO: later\n") == std::vector<std::string>{"unfinished work"});
}

TEST_CASE("comments and literals are blanked, and lines stay where they are") {
  CHECK(WithoutCommentsAndLiterals("a /* b\nc */ d // e\nf \"g\\\"h\" 'i' 1'0 R\"x(\")x\" j") ==
        "a     \n     d     \nf \"    \" ' ' 1'0 R\"     \" j");
}

}  // namespace
}  // namespace flotilla::layout
