#include <algorithm>
#include <cctype>

#include "api/fields.h"

namespace flotilla::api {
namespace {

bool IsLower(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsAlnum(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsDnsLabel(std::string_view text) {
  return !text.empty() && text.size() <= 63 && IsLower(text.front()) && IsLower(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsLower(c) || c == '-'; });
}

// Calls accepts() for each part between separators; true where all are accepted.
template <typename Accepts>
bool AllParts(std::string_view text, char separator, Accepts accepts) {
  for (;;) {
    const size_t end = text.find(separator);
    if (!accepts(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

bool IsDnsSubdomain(std::string_view text) {
  // As Kubernetes: the parts are not limited to 63 bytes, only the whole to 253.
  return text.size() <= 253 && AllParts(text, '.', [](std::string_view part) {
           return !part.empty() && IsLower(part.front()) && IsLower(part.back()) &&
                  std::all_of(part.begin(), part.end(),
                              [](char c) { return IsLower(c) || c == '-'; });
         });
}

bool IsQualifiedPart(std::string_view text) {
  return !text.empty() && text.size() <= 63 && IsAlnum(text.front()) && IsAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '-' || c == '_' || c == '.'; });
}

bool IsLabelKey(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return IsQualifiedPart(text);
  return IsDnsSubdomain(text.substr(0, slash)) && IsQualifiedPart(text.substr(slash + 1));
}

bool IsLabelValue(std::string_view text) { return text.empty() || IsQualifiedPart(text); }

bool IsPrintable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 127; });
}

bool IsHttpUrl(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return false;
  }
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  return !host.empty() && host.find('@') == std::string_view::npos && IsPrintable(text);
}

bool IsGitUrl(std::string_view text) {
  if (IsHttpUrl(text)) return true;
  if (!IsPrintable(text)) return false;
  if (text.starts_with("ssh://")) return text.size() > 6 && text[6] != '/';
  // scp-like: user@host:path
  const size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0) return false;
  const size_t colon = text.find(':', at);
  return colon != std::string_view::npos && colon > at + 1 && colon + 1 < text.size() &&
         text.substr(0, colon).find('/') == std::string_view::npos &&
         text.substr(0, at).find(':') == std::string_view::npos;
}

bool IsCommitId(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && std::all_of(text.begin(), text.end(), IsHex);
}

bool IsRelativePath(std::string_view text) {
  return text.empty() || AllParts(text, '/', [first = true](std::string_view part) mutable {
           const bool fits = part != ".." && !(first && part.empty());
           first = false;
           return fits;
         });
}

bool IsJsonPointer(std::string_view text) {
  if (text.empty() || text.front() != '/') return false;
  for (size_t at = text.find('~'); at != std::string_view::npos; at = text.find('~', at + 1)) {
    if (at + 1 == text.size() || (text[at + 1] != '0' && text[at + 1] != '1')) return false;
  }
  return true;
}

}  // namespace

const Format kDnsLabel{"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
                       "a DNS label (lower-case letters, digits and '-', at most 63)", IsDnsLabel};
const Format kDnsSubdomain{
    R"(^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)",
    "a name of an object (lower-case letters, digits, '-' and '.', at most 253)", IsDnsSubdomain,
    /*quotable=*/true, /*max_length=*/253};
const Format kLabelKey{
    R"(^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$)",
    "a label key (an optional DNS name and '/', then letters, digits, '-', '_' and '.')",
    IsLabelKey, /*quotable=*/true, /*max_length=*/317};
const Format kLabelValue{"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$",
                         "a label value (letters, digits, '-', '_' and '.', at most 63)",
                         IsLabelValue};
const Format kGitUrl{
    R"(^(https?://[^/?#@\s]+([/?#]\S*)?|ssh://[^/\s]\S*|[^/@:\s]+@[^/:\s]+:\S+)$)",
    "a Git URL: https://host/path, ssh://user@host/path or user@host:path, with credentials in "
    "secretRef and never in the URL",
    IsGitUrl, /*quotable=*/false, /*max_length=*/2048};
const Format kHttpUrl{R"(^https?://[^/?#@\s]+([/?#]\S*)?$)",
                      "an http:// or https:// URL without credentials", IsHttpUrl,
                      /*quotable=*/false, /*max_length=*/2048};
const Format kCommitId{"^([0-9a-f]{40}|[0-9a-f]{64})$", "a full commit id (40 or 64 hex digits)",
                       IsCommitId};
const Format kRelativePath{
    R"(^(([^./][^/]*|\.([^./][^/]*)?|\.\.[^/]+)(/([^./][^/]*|\.([^./][^/]*)?|\.\.[^/]+)?)*)?$)",
    "a path below the root of the source (not absolute, without \"..\")", IsRelativePath,
    /*quotable=*/true, /*max_length=*/4096};
const Format kJsonPointer{"^(/([^~/]|~[01])*)+$", "a JSON pointer such as /spec/replicas",
                          IsJsonPointer, /*quotable=*/true, /*max_length=*/1024};

}  // namespace flotilla::api
