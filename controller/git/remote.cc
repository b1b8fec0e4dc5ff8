#include "git/remote.h"

#include <algorithm>

#include "base/log.h"
#include "git/libgit.h"
#include "git/semver.h"

namespace flotilla::git {
namespace {

constexpr size_t kMaxRefName = 255;

bool IsLoopback(std::string_view host) {
  if (host == "localhost" || host == "::1") return true;
  return host.substr(0, 4) == "127." && host.find_first_not_of("0123456789.") == host.npos;
}

// The rules of git-check-ref-format(1) for what follows refs/heads/ or refs/tags/.
bool IsRefName(std::string_view name) {
  if (name.empty() || name.size() > kMaxRefName || name[0] == '-' || name.back() == '.')
    return false;
  if (name.find("..") != name.npos || name.find("@{") != name.npos || name == "@") return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return false;
    if (std::string_view("~^:?*[\\").find(c) != std::string_view::npos) return false;
  }
  while (true) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part[0] == '.') return false;
    if (part.size() >= 5 && part.substr(part.size() - 5) == ".lock") return false;
    if (slash == name.npos) return true;
    name.remove_prefix(slash + 1);
  }
}

// "; there are a, b and 3 more": at most five names after a prefix.
std::string Present(const std::vector<RemoteRef>& refs, std::string_view prefix) {
  std::string text;
  size_t named = 0;
  size_t total = 0;
  for (const RemoteRef& ref : refs) {
    if (std::string_view(ref.name).substr(0, prefix.size()) != prefix) continue;
    ++total;
    if (named == 5) continue;
    text += (named == 0 ? "; it has " : ", ") + ref.name.substr(prefix.size());
    ++named;
  }
  if (total > named) text += fmt::format(" and {} more", total - named);
  return text;
}

}  // namespace

std::string RefSpec::ToString() const {
  switch (kind) {
    case RefKind::kBranch:
      return "branch " + value;
    case RefKind::kTag:
      return "tag " + value;
    case RefKind::kSemver:
      return "semver " + value;
    case RefKind::kCommit:
      return "commit " + value;
  }
  return value;
}

Result<http::Url> CheckUrl(std::string_view text) {
  const size_t scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, scheme_end == text.npos ? 0 : scheme_end);
  if (scheme == "ssh" || scheme == "git+ssh" || scheme == "ssh+git" ||
      (scheme.empty() && text.find(':') < text.find('/') && text.find('/') != 0)) {
    return Fail(ErrorClass::kInvalid,
                "SSH remotes are not supported: use the https URL of the repository with a token");
  }
  if (scheme != "https" && scheme != "http") {
    return Fail(ErrorClass::kInvalid,
                "the URL of a repository begins with https:// (or http://); local paths, file:// "
                "and git:// are refused");
  }
  const std::string_view authority =
      text.substr(scheme_end + 3, text.find_first_of("/?#", scheme_end + 3) - scheme_end - 3);
  if (authority.find('@') != authority.npos) {
    return Fail(ErrorClass::kInvalid,
                "the URL holds a user or password: put them into the Secret that the Repository "
                "names, and leave them out of the URL");
  }
  Result<http::Url> url = http::ParseUrl(text);
  if (!url) return Fail(url, "the URL of the repository");
  if (!url->query.empty() || text.find('?') != text.npos) {
    return Fail(ErrorClass::kInvalid, "the URL of a repository has no query");
  }
  while (!url->path.empty() && url->path.back() == '/') url->path.pop_back();
  if (url->path.empty()) {
    return Fail(ErrorClass::kInvalid, "{} names a host, but no repository on it", text);
  }
  return url;
}

std::string CanonicalUrl(const http::Url& url) { return http::ToString(url); }

Status CheckCredentials(const http::Url& url, const Credentials& credentials) {
  if (std::holds_alternative<NoCredentials>(credentials)) return {};
  if (!url.tls && !IsLoopback(url.host)) {
    return Fail(ErrorClass::kInvalid,
                "credentials for http://{} would travel in the clear: use https", Authority(url));
  }
  if (const auto* basic = std::get_if<BasicCredentials>(&credentials)) {
    if (basic->username.find(':') != std::string::npos) {
      return Fail(ErrorClass::kInvalid, "a user name with a colon cannot be sent (RFC 7617)");
    }
  }
  if (const auto* bearer = std::get_if<BearerCredentials>(&credentials)) {
    const std::string_view token = bearer->token.Reveal();
    if (token.empty() ||
        !std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
      return Fail(ErrorClass::kInvalid,
                  "the token is empty or has blanks or line ends: check the Secret for a newline");
    }
  }
  return {};
}

Status CheckRef(const RefSpec& ref) {
  switch (ref.kind) {
    case RefKind::kBranch:
    case RefKind::kTag:
      if (ref.value.substr(0, 5) == "refs/") {
        return Fail(ErrorClass::kInvalid,
                    "\"{}\": write the short name, without refs/heads/ or "
                    "refs/tags/",
                    ref.value);
      }
      if (!IsRefName(ref.value)) {
        return Fail(ErrorClass::kInvalid, "\"{}\" cannot be the name of a branch or tag",
                    ref.value);
      }
      return {};
    case RefKind::kSemver:
      if (auto range = VersionRange::Parse(ref.value); !range) return Pass(range);
      return {};
    case RefKind::kCommit:
      if (ref.value.size() == 64) {
        return Fail(ErrorClass::kInvalid,
                    "commit {}: repositories with SHA-256 ids are not "
                    "supported",
                    ref.value);
      }
      if (!IsObjectId(ref.value)) {
        return Fail(ErrorClass::kInvalid,
                    "\"{}\" is no commit id: 40 lower-case hex digits are needed", ref.value);
      }
      return {};
  }
  return {};
}

std::vector<std::string> PrefixesOf(const RefSpec& ref) {
  switch (ref.kind) {
    case RefKind::kBranch:
      return {"refs/heads/" + ref.value};
    case RefKind::kTag:
      return {"refs/tags/" + ref.value};
    case RefKind::kSemver:
      return {"refs/tags/"};
    case RefKind::kCommit:
      return {"refs/heads/", "refs/tags/"};
  }
  return {};
}

Result<RemoteRef> Resolve(const RefSpec& ref, const std::vector<RemoteRef>& refs) {
  if (ref.kind == RefKind::kBranch || ref.kind == RefKind::kTag) {
    const std::string name = PrefixesOf(ref)[0];
    for (const RemoteRef& candidate : refs) {
      if (candidate.name == name) return candidate;
    }
    return Fail(ErrorClass::kNotFound, "the repository has no {}{}", ref.ToString(),
                Present(refs, ref.kind == RefKind::kBranch ? "refs/heads/" : "refs/tags/"));
  }
  if (ref.kind == RefKind::kCommit) {
    return Fail(ErrorClass::kInternal, "a commit is not resolved by name");
  }

  Result<VersionRange> range = VersionRange::Parse(ref.value);
  if (!range) return Pass(range);
  constexpr std::string_view kTags = "refs/tags/";
  const RemoteRef* best = nullptr;
  Version best_version;
  for (const RemoteRef& candidate : refs) {
    if (std::string_view(candidate.name).substr(0, kTags.size()) != kTags) continue;
    std::optional<Version> version =
        ParseVersion(std::string_view(candidate.name).substr(kTags.size()));
    if (!version || !range->Contains(*version)) continue;
    if (best) {
      const std::weak_ordering order = *version <=> best_version;
      if (order < 0 || (order == 0 && candidate.name < best->name)) continue;
    }
    best = &candidate;
    best_version = std::move(*version);
  }
  if (!best) {
    return Fail(ErrorClass::kNotFound, "no tag of the repository is a version in \"{}\"{}",
                ref.value, Present(refs, kTags));
  }
  return *best;
}

}  // namespace flotilla::git
