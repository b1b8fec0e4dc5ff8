#include "render/decode.h"

#include <memory>
#include <utility>

#include "base/limits.h"
#include "kube/resource.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::render {
namespace {

using value::Path;
using value::Ref;

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool IsList(Ref object) {
  const std::string_view kind = object["kind"].String();
  return kind == "List" || (EndsWith(kind, "List") && object["items"].IsList());
}

void CheckStrings(Ref metadata, const char* field, std::vector<FieldProblem>& problems) {
  Ref map = metadata[field];
  if (map.IsAbsent() || map.IsNull()) return;
  if (!map.IsMap()) {
    problems.push_back(
        {{"metadata", field},
         fmt::format("has to be a map of strings, not of type {}", ToString(map.kind()))});
    return;
  }
  for (auto [key, text] : map.Members()) {
    if (text.IsString()) continue;
    problems.push_back({{"metadata", field, key},
                        fmt::format("has to be a string, not of type {}: put it in quotes",
                                    ToString(text.kind()))});
  }
}

void CheckName(Ref metadata, std::vector<FieldProblem>& problems) {
  Ref name = metadata["name"];
  const std::string_view text = name.String();
  std::string what;
  if (name.IsAbsent() && metadata["generateName"].IsString()) {
    what =
        "is missing: generateName makes a new object at every apply and cannot be delivered from "
        "Git; give the object a name";
  } else if (name.IsAbsent() || name.IsNull() || (name.IsString() && text.empty())) {
    what = "is missing";
  } else if (!name.IsString()) {
    what =
        fmt::format("has to be a string, not of type {}: put it in quotes", ToString(name.kind()));
  } else if (text == "." || text == ".." || text.size() > 253 ||
             text.find_first_of("/%") != text.npos) {
    what = fmt::format("\"{}\" is no name that Kubernetes allows", text.substr(0, 253));
  }
  if (!what.empty()) problems.push_back({{"metadata", "name"}, std::move(what)});
}

class Decoder {
 public:
  Decoder(const std::string& file, std::vector<Decoded>& objects, Problems& problems)
      : file_(file), objects_(objects), problems_(problems) {}

  void Add(const value::Document& document) {
    document_ = &document;
    Add(document.value, {}, 0);
  }

 private:
  void Add(Ref object, const Path& at, int depth) {
    if (!object.IsMap()) {
      return Report(at, {},
                    fmt::format("an object is expected here, not a value of type {}",
                                ToString(object.kind())));
    }
    const std::string_view api_version = object["apiVersion"].String();
    if (api_version.substr(0, 24) == "kustomize.config.k8s.io/") {
      return Report(at, {"apiVersion"},
                    "this is a file of Kustomize, which Flotilla does not render yet; exclude it");
    }
    if (object["sops"]["mac"].IsString()) {
      return Report(at, {"sops"},
                    "this file is encrypted with SOPS, which Flotilla cannot decrypt yet; applying "
                    "it as it is would deliver the cipher text");
    }
    if (!IsList(object)) {
      std::vector<FieldProblem> found = CheckObject(object);
      for (const FieldProblem& problem : found) Report(at, problem.path, problem.what);
      if (found.empty()) {
        objects_.push_back({document_->value.Share(object), file_, document_->start.line});
      }
      return;
    }
    if (depth > 0) return Report(at, {"kind"}, "a List in a List is not allowed");
    Ref items = object["items"];
    if (!items.IsList() && !items.IsNull() && !items.IsAbsent()) {
      return Report(at, {"items"}, "has to be a list");
    }
    size_t index = 0;
    for (Ref item : items.Items()) {
      Path path = at;
      path.emplace_back("items");
      path.emplace_back(index++);
      Add(item, path, depth + 1);
    }
  }

  void Report(const Path& at, const Path& field, std::string_view what) {
    Path path = at;
    path.insert(path.end(), field.begin(), field.end());
    const std::string name = value::ToString(path);
    problems_.Add(file_, document_->Where(path),
                  name.empty() ? std::string(what) : fmt::format("{} {}", name, what));
  }

  const std::string& file_;
  std::vector<Decoded>& objects_;
  Problems& problems_;
  const value::Document* document_ = nullptr;
};

}  // namespace

std::vector<FieldProblem> CheckObject(Ref object) {
  std::vector<FieldProblem> problems;
  if (!object["apiVersion"].IsString()) {
    problems.push_back(
        {{"apiVersion"},
         object["apiVersion"].IsAbsent()
             ? "is missing: every document here has to be a Kubernetes object; move or exclude "
               "other files"
             : fmt::format("has to be a string, not of type {}",
                           ToString(object["apiVersion"].kind()))});
  } else if (auto parsed = kube::ParseApiVersion(object["apiVersion"].String()); !parsed) {
    problems.push_back({{"apiVersion"}, "has to be \"v1\" or of the form \"group/version\""});
  }
  if (!object["kind"].IsString() || object["kind"].String().empty()) {
    problems.push_back({{"kind"}, "is missing"});
  }
  Ref metadata = object["metadata"];
  if (metadata.IsMap() || metadata.IsAbsent() || metadata.IsNull()) {
    CheckName(metadata, problems);
    Ref ns = metadata["namespace"];
    if (!ns.IsAbsent() && !ns.IsNull() && !ns.IsString()) {
      problems.push_back({{"metadata", "namespace"},
                          fmt::format("has to be a string, not of type {}: put it in quotes",
                                      ToString(ns.kind()))});
    }
    CheckStrings(metadata, "labels", problems);
    CheckStrings(metadata, "annotations", problems);
  } else {
    problems.push_back({{"metadata"}, "has to be a map"});
  }
  return problems;
}

void DecodeFile(const std::string& file, std::string_view text, std::vector<Decoded>& objects,
                Problems& problems) {
  if (text.size() > limits::kSourceFileBytes) {
    return problems.Add(file, {},
                        fmt::format("has {} bytes, more than the limit of {}", text.size(),
                                    limits::kSourceFileBytes));
  }
  auto report = [&](const Error& error) {
    if (const auto* detail = error.Detail<value::ParseProblem>()) {
      problems.Add(file, detail->position, detail->problem);
    } else {
      problems.Add(file, {}, error.ToString());
    }
  };
  Decoder decoder(file, objects, problems);
  if (EndsWith(file, ".json")) {
    auto parsed = value::ParseJson(text);
    if (!parsed) return report(parsed.error());
    // JSON is YAML as far as finding a field again goes.
    value::Document document{*parsed, {1, 1}, std::make_shared<const std::string>(text), 0};
    return decoder.Add(document);
  }
  auto documents = value::ParseYaml(text);
  if (!documents) return report(documents.error());
  for (const value::Document& document : *documents) decoder.Add(document);
}

}  // namespace flotilla::render
