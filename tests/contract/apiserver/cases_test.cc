// The cases of cases/*.txt, each sent to both servers.
//
//   case NAME
//   METHOD PATH [CONTENT TYPE without "application/"]
//   BODY, up to an empty line
//
// {ns} is a namespace of the case's own. {2.metadata.uid} is that field of the answer to the second
// request of the case, from the same server.
#include <unistd.h>

#include <fmt/format.h>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "compare.h"

using namespace flotilla;
using namespace flotilla::contract;

namespace {

struct Step {
  Call call;
  int line = 0;
};

struct Case {
  std::string file;
  std::string name;
  std::vector<Step> steps;
};

http::Method MethodOf(const std::string& word) {
  if (word == "POST") return http::Method::kPost;
  if (word == "PUT") return http::Method::kPut;
  if (word == "PATCH") return http::Method::kPatch;
  if (word == "DELETE") return http::Method::kDelete;
  REQUIRE(word == "GET");
  return http::Method::kGet;
}

Step ReadStep(const std::string& line, int number) {
  Step step;
  step.line = number;
  size_t space = line.find(' ');
  step.call.method = MethodOf(line.substr(0, space));
  std::string rest = line.substr(space + 1);
  size_t type = rest.find(' ');
  step.call.path = rest.substr(0, type);
  step.call.type = "application/json";
  if (type != std::string::npos) step.call.type = "application/" + rest.substr(type + 1);
  return step;
}

std::vector<Case> ReadCases(const std::filesystem::path& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  std::string line;
  bool in_body = false;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.substr(0, 1) == "#") continue;
    if (line.empty()) {
      in_body = false;
    } else if (line.substr(0, 5) == "case ") {
      cases.push_back({path.filename().string(), line.substr(5), {}});
    } else if (!in_body) {
      cases.back().steps.push_back(ReadStep(line, number));
      in_body = true;
    } else {
      cases.back().steps.back().call.body += line + "\n";
    }
  }
  return cases;
}

value::Ref Follow(value::Ref at, std::string_view path) {
  while (!path.empty()) {
    size_t dot = std::min(path.find('.'), path.size());
    std::string_view key = path.substr(0, dot);
    bool index = at.IsList();
    at = index ? at[static_cast<size_t>(std::stoul(std::string(key)))] : at[key];
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at;
}

std::string Filled(std::string text, const std::string& ns, const std::vector<Answer>& answers) {
  for (size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1)) {
    size_t end = text.find('}', at);
    if (end == std::string::npos) break;
    std::string name = text.substr(at + 1, end - at - 1);
    if (name == "ns") {
      text.replace(at, end - at + 1, ns);
    } else if (!name.empty() && name[0] >= '1' && name[0] <= '9' && name.find('.') == 1) {
      size_t number = static_cast<size_t>(name[0] - '1');
      REQUIRE(number < answers.size());
      text.replace(at, end - at + 1, Follow(answers[number].body, name.substr(2)).Text());
    }
  }
  return text;
}

class Run {
 public:
  Run(Target& target, std::string ns) : target_(target), ns_(std::move(ns)) {
    Call create;
    create.method = http::Method::kPost;
    create.path = "/api/v1/namespaces";
    create.type = "application/json";
    create.body = R"({"metadata":{"name":")" + ns_ + "\"}}";
    Answer created = target_.Send(create);
    INFO(created.text);
    REQUIRE((created.status == 201 || created.status == 409));
  }
  const Answer& Do(Call call) {
    call.path = Filled(call.path, ns_, answers_);
    call.body = Filled(call.body, ns_, answers_);
    Answer answer = target_.Send(call);
    // A real server serves a new kind a moment after its definition.
    for (int tries = 0; tries < 100 && answer.status == 404 && !answer.body["details"]["kind"];
         ++tries) {
      if (call.path.find(".example.com/") == std::string::npos) break;
      target_.Pause();
      answer = target_.Send(call);
    }
    answers_.push_back(std::move(answer));
    return answers_.back();
  }
  Mask mask;

 private:
  Target& target_;
  std::string ns_;
  std::vector<Answer> answers_;
};

}  // namespace

TEST_CASE("the embedded server answers as a kube-apiserver does") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(FLOTILLA_SOURCE_DIR "/tests/contract/apiserver/cases")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  REQUIRE(!files.empty());
  std::unique_ptr<Target> embedded = NewEmbedded();
  int number = 0;
  for (const auto& file : files) {
    for (const Case& one : ReadCases(file)) {
      std::string ns = fmt::format("case-{}-{}", getpid(), ++number);
      Run ours(*embedded, ns), theirs(Real(), ns);
      for (const Step& step : one.steps) {
        const Answer& real = theirs.Do(step.call);
        std::string difference = Difference(ours.Do(step.call), ours.mask, real, theirs.mask);
        INFO(one.file << ":" << step.line << " " << one.name);
        CHECK(difference == "");
      }
    }
  }
}
