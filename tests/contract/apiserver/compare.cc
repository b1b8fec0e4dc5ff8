#include "compare.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <set>

#include "value/json.h"

namespace flotilla::contract {

using value::Ref;
using value::Value;

namespace {

bool IsMasked(std::string_view key) {
  static constexpr std::array<std::string_view, 16> kKeys = {
      "resourceVersion",    "creationTimestamp", "deletionTimestamp", "time",
      "lastTransitionTime", "lastUpdateTime",    "clusterIP",         "clusterIPs",
      "nodePort",           "continue",          "gitVersion",        "lastProbeTime",
      "renewTime",          "acquireTime",       "startTime",         "completionTime"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

void Describe(Ref a, Ref b, const std::string& path, std::string& out) {
  if (a == b || out.size() > 4000) return;
  if (a.IsMap() && b.IsMap()) {
    std::set<std::string_view> keys;
    for (auto [key, value] : a.Members()) keys.insert(key);
    for (auto [key, value] : b.Members()) keys.insert(key);
    for (std::string_view key : keys) Describe(a[key], b[key], path + "." + std::string(key), out);
    return;
  }
  if (a.IsList() && b.IsList() && a.size() == b.size()) {
    for (size_t i = 0; i < a.size(); ++i) Describe(a[i], b[i], fmt::format("{}[{}]", path, i), out);
    return;
  }
  auto shown = [](Ref value) { return value ? value::ToJson(value) : std::string("(absent)"); };
  out += fmt::format("  {}: embedded {} real {}\n", path, shown(a), shown(b));
}

}  // namespace

std::string Mask::Aliased(std::string_view text) {
  std::string result(text);
  for (const auto& [uid, alias] : aliases_) {
    for (size_t at = result.find(uid); at != std::string::npos; at = result.find(uid, at)) {
      result.replace(at, uid.size(), alias);
    }
  }
  return result;
}

// Every object's uid, in the order in which they are seen.
void Mask::Learn(Ref value) {
  if (Ref uid = value["metadata"]["uid"]; uid.IsString()) {
    aliases_.emplace(uid.Text(), fmt::format("uid-{}", aliases_.size()));
  }
  for (Ref item : value["items"].Items()) Learn(item);
}

Value Mask::Walk(const Value& owner, Ref value, std::string_view key) {
  if (IsMasked(key) && !value.IsMap()) return Value("<masked>");
  if (value.IsString()) return Value(Aliased(value.String()));
  if (value.IsMap()) {
    std::vector<std::pair<std::string, Value>> members;
    for (auto [name, child] : value.Members()) {
      members.emplace_back(Aliased(name), Walk(owner, child, name));
    }
    return Value::Map(members);
  }
  if (value.IsList()) {
    std::vector<Value> items;
    for (Ref item : value.Items()) items.push_back(Walk(owner, item, ""));
    // Their order depends on the second in which each was written.
    if (key == "managedFields") {
      std::sort(items.begin(), items.end(), [](const Value& a, const Value& b) {
        return value::ToCanonicalJson(a) < value::ToCanonicalJson(b);
      });
    }
    return Value::List(items);
  }
  return owner.Share(value);
}

Value Mask::Apply(const Value& body) {
  Learn(body);
  return Walk(body, body, "");
}

std::string Difference(const Answer& embedded, Mask& embedded_mask, const Answer& real,
                       Mask& real_mask) {
  if (embedded.status != real.status) {
    return fmt::format("  status: embedded {} real {}\n  embedded: {:.600}\n  real: {:.600}\n",
                       embedded.status, real.status, embedded.text, real.text);
  }
  if (real.status >= 400) {
    if (embedded.body["reason"] == real.body["reason"]) return {};
    return fmt::format("  embedded: {}\n  real: {}\n", embedded.text, real.text);
  }
  std::string out;
  Describe(embedded_mask.Apply(embedded.body), real_mask.Apply(real.body), "", out);
  return out;
}

}  // namespace flotilla::contract
