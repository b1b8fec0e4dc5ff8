#include "value/yaml.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/encoding.h"
#include "base/limits.h"
#include "value/arena.h"
#include "value/text.h"
#include "value/yaml/events.h"
#include "value/yaml/scalar.h"

namespace flotilla::value {

using internal::Arena;
using internal::EventReader;
using internal::EventType;
using internal::Member;
using internal::Node;
using internal::ScalarType;

namespace {

class Composer {
 public:
  explicit Composer(std::string_view text)
      : text_(text), reader_(text), arena_(std::make_shared<Arena>(text.size())), keys_(*arena_) {}

  Result<std::vector<Document>> Run() {
    if (auto bad = CheckText()) return *std::move(bad);
    auto shared_text = std::make_shared<const std::string>(text_);
    std::vector<Document> documents;
    for (size_t index = 0;;) {
      if (!reader_.Next()) return reader_.Failure();
      if (reader_.type() == EventType::kStreamEnd) break;
      if (reader_.type() != EventType::kDocumentStart) continue;
      if (!reader_.Next()) return reader_.Failure();
      Document document;
      document.start = reader_.position();
      document.text = shared_text;
      document.index = index++;
      anchors_.clear();
      Node root;
      size_t height = 0;
      if (!Compose(root, 0, height)) {
        return problem_.empty() ? reader_.Failure()
                                : internal::ParseFailure(problem_at_, std::move(problem_));
      }
      if (root.kind == Kind::kNull) continue;
      Node* kept = arena_->Array<Node>(1);
      *kept = root;
      document.value = Value(arena_, kept);
      documents.push_back(std::move(document));
    }
    return documents;
  }

 private:
  struct Anchor {
    Node node;
    size_t nodes = 0;   // with all that lies below, aliases expanded
    size_t bytes = 0;   // of strings and keys
    size_t height = 0;  // nested lists and maps
    bool complete = false;
  };
  struct Pending {
    Member member;
    Position at;          // of the key
    bool merged = false;  // came in through "<<"
  };

  std::optional<tl::unexpected<Error>> CheckText() const {
    if (text_.size() > limits::kDocumentBytes) {
      return internal::ParseFailure(
          {}, fmt::format("the YAML text has {} bytes, more than the limit of {}", text_.size(),
                          limits::kDocumentBytes));
    }
    if (size_t nul = text_.find('\0'); nul != text_.npos) {  // libyaml would end the text here
      return internal::ParseFailure(internal::PositionOf(text_, nul),
                                    "the text has a NUL byte: is this a binary file?");
    }
    if (size_t bad = internal::FindInvalidUtf8(text_); bad != text_.npos) {
      return internal::ParseFailure(internal::PositionOf(text_, bad),
                                    "the text is not valid UTF-8");
    }
    return std::nullopt;
  }

  bool Stop(Position at, std::string problem) {
    problem_ = std::move(problem);
    problem_at_ = at;
    return false;
  }

  // The node that begins with the current event; ends at its last event.
  bool Compose(Node& out, size_t depth, size_t& height) {
    height = 0;
    if (reader_.type() == EventType::kAlias) return Expand(out, depth, height);
    if (++nodes_ > limits::kDocumentNodes) {
      return Stop(reader_.position(), "too many values in one text");
    }
    std::string anchor(reader_.anchor());
    size_t nodes_before = nodes_ - 1;
    size_t bytes_before = bytes_;
    if (!anchor.empty()) anchors_[anchor] = Anchor();
    bool done = false;
    switch (reader_.type()) {
      case EventType::kScalar:
        done = ComposeScalar(out);
        break;
      case EventType::kListStart:
        done = ComposeList(out, depth + 1, height);
        break;
      default:
        done = ComposeMap(out, depth + 1, height);
    }
    if (done && !anchor.empty()) {
      anchors_[anchor] = {out, nodes_ - nodes_before, bytes_ - bytes_before, height, true};
    }
    return done;
  }

  bool Expand(Node& out, size_t depth, size_t& height) {
    auto found = anchors_.find(reader_.anchor());
    if (found == anchors_.end()) {
      return Stop(reader_.position(),
                  fmt::format("the alias *{} has no anchor before it", reader_.anchor()));
    }
    const Anchor& anchor = found->second;
    if (!anchor.complete) {
      return Stop(reader_.position(),
                  fmt::format("the anchor &{} contains itself", reader_.anchor()));
    }
    nodes_ += anchor.nodes;
    bytes_ += anchor.bytes;
    expanded_nodes_ += anchor.nodes;
    expanded_bytes_ += anchor.bytes;
    if (expanded_nodes_ > limits::kAliasExpansion || expanded_bytes_ > limits::kDocumentBytes ||
        nodes_ > limits::kDocumentNodes) {
      return Stop(reader_.position(),
                  fmt::format("aliases expand to more than {} values or {} bytes",
                              limits::kAliasExpansion, limits::kDocumentBytes));
    }
    if (depth + anchor.height > limits::kDocumentDepth) return TooDeep();
    out = anchor.node;
    height = anchor.height;
    return true;
  }

  bool TooDeep() {
    return Stop(reader_.position(),
                fmt::format("more than {} lists and maps in one another", limits::kDocumentDepth));
  }

  bool ComposeScalar(Node& out) {
    std::string_view text = reader_.text();
    std::string_view tag = reader_.tag();
    if (tag.empty() ? !reader_.plain() : !IsTypeTag(tag)) return ComposeText(text, out);
    internal::Scalar resolved;
    if (tag != kStringTag && tag != kBinaryTag) resolved = internal::ResolveScalar(text);
    if (!tag.empty() && !Agrees(tag, resolved.type)) {
      return Stop(reader_.position(), fmt::format("\"{}\" cannot be read as !!{}", text,
                                                  tag.substr(tag.rfind(':') + 1)));
    }
    if (tag == kBinaryTag) return ComposeBinary(text, out);
    switch (resolved.type) {
      case ScalarType::kNull:
        out = internal::NullNode();
        return true;
      case ScalarType::kBool:
        out = internal::BoolNode(resolved.boolean);
        return true;
      case ScalarType::kInt:
        out = internal::IntNode(resolved.int64);
        return true;
      case ScalarType::kUint:
        out = internal::UintNode(resolved.uint64);
        return true;
      case ScalarType::kFloat:
        return ComposeFloat(text, resolved.real, out);
      case ScalarType::kTimestamp:
      case ScalarType::kString:
        return ComposeText(text, out);
    }
    return false;
  }

  static constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";
  static constexpr std::string_view kStringTag = "tag:yaml.org,2002:str";
  static constexpr std::string_view kBinaryTag = "tag:yaml.org,2002:binary";
  static constexpr std::string_view kMergeTag = "tag:yaml.org,2002:merge";

  // Other tags mean nothing to Kubernetes: their scalars are strings.
  static bool IsTypeTag(std::string_view tag) {
    if (tag.substr(0, kTagPrefix.size()) != kTagPrefix) return false;
    tag.remove_prefix(kTagPrefix.size());
    return tag == "str" || tag == "bool" || tag == "int" || tag == "float" || tag == "null" ||
           tag == "timestamp" || tag == "binary";
  }
  static bool Agrees(std::string_view tag, ScalarType type) {
    tag.remove_prefix(kTagPrefix.size());
    switch (type) {
      case ScalarType::kNull:
        return tag == "null";
      case ScalarType::kBool:
        return tag == "bool";
      case ScalarType::kInt:
      case ScalarType::kUint:
        return tag == "int" || tag == "float";
      case ScalarType::kFloat:
        return tag == "float";
      case ScalarType::kTimestamp:
        return tag == "timestamp";
      case ScalarType::kString:
        return tag == "str" || tag == "binary";
    }
    return false;
  }

  bool ComposeText(std::string_view text, Node& out) {
    bytes_ += text.size();
    out = internal::TextNode(arena_->Text(text));
    return true;
  }

  bool ComposeBinary(std::string_view text, Node& out) {
    std::optional<std::string> bytes = DecodeBase64(text, Newlines::kIgnore);
    if (!bytes) return Stop(reader_.position(), "!!binary is not valid base64");
    if (internal::FindInvalidUtf8(*bytes) != std::string::npos) {
      return Stop(reader_.position(),
                  "!!binary holds bytes that are not UTF-8, which JSON cannot express; write the "
                  "base64 text as a plain string where the field expects base64");
    }
    return ComposeText(*bytes, out);
  }

  // A float that JSON writes without a fraction is read back as an integer: so kubectl sees it.
  bool ComposeFloat(std::string_view text, double real, Node& out) {
    out = internal::DoubleNode(real);
    if (out.kind == Kind::kNull) {
      return Stop(reader_.position(), fmt::format("{} is not a number that JSON can express; "
                                                  "quote it if it is meant as text",
                                                  text));
    }
    constexpr double kExact = 9007199254740992.0;  // 2^53
    if (real >= -kExact && real <= kExact &&
        real == static_cast<double>(static_cast<int64_t>(real))) {
      out = internal::IntNode(static_cast<int64_t>(real));
    }
    return true;
  }

  bool ComposeList(Node& out, size_t depth, size_t& height) {
    if (depth > limits::kDocumentDepth) return TooDeep();
    size_t base = items_.size();
    for (;;) {
      if (!reader_.Next()) return false;
      if (reader_.type() == EventType::kListEnd) break;
      Node item;
      size_t below = 0;
      if (!Compose(item, depth, below)) return false;
      height = std::max(height, below);
      items_.push_back(item);
    }
    ++height;
    size_t count = items_.size() - base;
    Node* items = arena_->Array<Node>(count);
    std::copy_n(items_.data() + base, count, items);
    items_.resize(base);
    out = internal::ListNode(items, count);
    return true;
  }

  bool ComposeMap(Node& out, size_t depth, size_t& height) {
    if (depth > limits::kDocumentDepth) return TooDeep();
    size_t base = members_.size();
    std::optional<Position> merge;
    for (;;) {
      if (!reader_.Next()) return false;
      if (reader_.type() == EventType::kMapEnd) break;
      Position at = reader_.position();
      bool is_merge = IsMergeKey();
      std::string_view key;
      if (is_merge) {
        if (merge) {
          return Stop(at, fmt::format("\"<<\" is written twice in one map (first in line {}); "
                                      "merge several maps with <<: [*a, *b]",
                                      merge->line));
        }
        merge = at;
      } else if (!ComposeKey(key)) {
        return false;
      }
      if (!reader_.Next()) return false;
      Node value;
      size_t below = 0;
      Position value_at = reader_.position();
      if (!Compose(value, depth, below)) return false;
      height = std::max(height, below);
      if (!is_merge) {
        members_.push_back({{key, value}, at, false});
      } else if (!Merge(value)) {
        return Stop(value_at, "\"<<\" merges a map or a list of maps");
      }
    }
    ++height;
    return CloseMap(base, merge.has_value(), out);
  }

  bool IsMergeKey() const {
    if (reader_.type() != EventType::kScalar || reader_.text() != "<<") return false;
    return reader_.plain() || reader_.tag() == kMergeTag;
  }

  bool Merge(const Node& value) {
    if (value.kind == Kind::kMap) {
      for (uint32_t i = 0; i < value.size; ++i) {
        members_.push_back({value.as.members[i], {}, true});
      }
      return true;
    }
    if (value.kind != Kind::kList) return false;
    for (uint32_t i = 0; i < value.size; ++i) {
      if (value.as.items[i].kind != Kind::kMap || !Merge(value.as.items[i])) return false;
    }
    return true;
  }

  bool ComposeKey(std::string_view& key) {
    Position at = reader_.position();
    if (reader_.type() == EventType::kListStart || reader_.type() == EventType::kMapStart) {
      return Stop(at, reader_.type() == EventType::kMapStart && IsTemplate()
                          ? "\"{{\" looks like a template, which a plain manifest must not have"
                          : "a key of a map must be a scalar, not a list or map");
    }
    Node node;
    size_t height = 0;
    if (reader_.type() == EventType::kScalar && PlainKey(key)) return true;
    if (!Compose(node, 0, height)) return false;
    switch (node.kind) {
      case Kind::kString:
        key = {node.as.text, node.size};
        break;
      case Kind::kBool:
        key = node.as.boolean ? "true" : "false";
        break;
      case Kind::kInt:
        key = keys_.Store(std::to_string(node.as.int64));
        break;
      case Kind::kUint:
        key = keys_.Store(std::to_string(node.as.uint64));
        break;
      default:
        return Stop(at,
                    fmt::format("a key of a map must be a string, not {}", ToString(node.kind)));
    }
    if (key.size() > limits::kKeyBytes) {
      return Stop(at, fmt::format("a key of {} bytes, more than the limit of {}", key.size(),
                                  limits::kKeyBytes));
    }
    return true;
  }

  // In "{{ .Values.name }}" the inner map is a key of the outer one.
  bool IsTemplate() const {
    size_t at = reader_.offset();
    std::string_view around =
        text_.substr(std::min(text_.size(), at > 0 ? at - 1 : 0), at > 0 ? 3 : 2);
    return around.find("{{") != around.npos;
  }

  // Plain keys without an anchor are nearly all keys: they need no node, and are stored once.
  bool PlainKey(std::string_view& key) {
    if (!reader_.tag().empty() || !reader_.anchor().empty()) return false;
    std::string_view text = reader_.text();
    if (text.size() > limits::kKeyBytes) return false;
    internal::Scalar resolved;
    if (reader_.plain()) resolved = internal::ResolveScalar(text);
    if (resolved.type == ScalarType::kFloat) {
      key = keys_.Store(internal::KeyOfFloat(resolved.real));
    } else if (resolved.type == ScalarType::kString || resolved.type == ScalarType::kTimestamp) {
      key = keys_.Store(text);
    } else {
      return false;
    }
    ++nodes_;
    bytes_ += key.size();
    return true;
  }

  // Explicit members win over merged ones, and of those the first wins: the rule of YAML. (go-yaml
  // v2 lets a "<<" override what stands before it in its map.)
  bool CloseMap(size_t base, bool merged, Node& out) {
    size_t count = members_.size() - base;
    if (merged) {
      std::vector<size_t> order(count);
      for (size_t i = 0; i < count; ++i) order[i] = base + i;
      std::sort(order.begin(), order.end(), [this](size_t a, size_t b) {
        const Pending& x = members_[a];
        const Pending& y = members_[b];
        return std::tie(x.member.key, x.merged, a) < std::tie(y.member.key, y.merged, b);
      });
      std::vector<bool> hidden(count, false);
      for (size_t i = 1; i < count; ++i) {
        const Pending& member = members_[order[i]];
        hidden[order[i] - base] =
            member.merged && member.member.key == members_[order[i - 1]].member.key;
      }
      size_t kept = base;
      for (size_t i = 0; i < count; ++i) {
        if (!hidden[i]) members_[kept++] = members_[base + i];
      }
      members_.resize(kept);
      count = kept - base;
    }
    Member* members = arena_->Array<Member>(count);
    for (size_t i = 0; i < count; ++i) members[i] = members_[base + i].member;
    if (size_t twice = internal::FindRepeatedKey(members, count); twice != std::string_view::npos) {
      size_t first = base;
      while (members_[first].member.key != members[twice].key) ++first;
      return Stop(members_[base + twice].at,
                  fmt::format("the key \"{}\" is written twice in one map (first in line {})",
                              members[twice].key, members_[first].at.line));
    }
    members_.resize(base);
    out = internal::MapNode(members, count);
    return true;
  }

  std::string_view text_;
  EventReader reader_;
  std::shared_ptr<Arena> arena_;
  internal::KeyCache keys_;
  std::map<std::string, Anchor, std::less<>> anchors_;
  std::vector<Node> items_;
  std::vector<Pending> members_;
  size_t nodes_ = 0;
  size_t bytes_ = 0;
  size_t expanded_nodes_ = 0;
  size_t expanded_bytes_ = 0;
  std::string problem_;
  Position problem_at_;
};

}  // namespace

Result<std::vector<Document>> ParseYaml(std::string_view text) { return Composer(text).Run(); }

}  // namespace flotilla::value
