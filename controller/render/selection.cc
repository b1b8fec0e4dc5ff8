#include "render/selection.h"

#include <algorithm>

#include "render/glob.h"

namespace flotilla::render {
namespace {

bool AnyMatches(const std::vector<std::string>& globs, const std::string& path) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return GlobMatches(glob, path); });
}

bool EndsWith(std::string_view name, std::string_view end) {
  return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
}

}  // namespace

Status CheckSelection(const Selection& selection) {
  for (const std::string& glob : selection.include) {
    if (Status ok = CheckGlob(glob); !ok) return Fail(ok, "include");
  }
  for (const std::string& glob : selection.exclude) {
    if (Status ok = CheckGlob(glob); !ok) return Fail(ok, "exclude");
  }
  return {};
}

bool IsManifestName(std::string_view name) {
  return EndsWith(name, ".yaml") || EndsWith(name, ".yml") || EndsWith(name, ".json");
}

bool IsKustomization(std::string_view name) {
  return name == "kustomization.yaml" || name == "kustomization.yml" || name == "Kustomization";
}

bool IsChart(std::string_view name) { return name == "Chart.yaml"; }

std::vector<TreeEntry> SelectEntries(const Selection& selection, std::string_view below,
                                     std::vector<TreeEntry> entries) {
  auto unwanted = [&](const TreeEntry& entry) {
    if (entry.name.empty() || entry.name[0] == '.') return true;
    const std::string path = JoinPath(below, entry.name);
    if (AnyMatches(selection.exclude, path)) return true;
    switch (entry.kind) {
      case EntryKind::kSymlink:
        return false;
      case EntryKind::kDirectory:
      case EntryKind::kSubmodule:
        return !selection.recurse;
      case EntryKind::kFile:
        if (IsKustomization(entry.name) || IsChart(entry.name)) return false;
        return !IsManifestName(entry.name) ||
               (!selection.include.empty() && !AnyMatches(selection.include, path));
    }
    return true;
  };
  entries.erase(std::remove_if(entries.begin(), entries.end(), unwanted), entries.end());
  return entries;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!directory.empty() && !name.empty()) path += '/';
  return path.append(name);
}

}  // namespace flotilla::render
