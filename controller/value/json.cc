#include "value/json.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "value/arena.h"
#include "value/text.h"

namespace flotilla::value {

using internal::Arena;
using internal::Member;
using internal::Node;

namespace {

constexpr uint64_t kOnes = 0x0101010101010101u;
constexpr uint64_t kHighs = 0x8080808080808080u;

// The high bit of each byte below 0x20, of '"' and of '\\'; exact up to the first that is found.
uint64_t SpecialBytes(uint64_t eight) {
  uint64_t quote = eight ^ (kOnes * '"');
  uint64_t slash = eight ^ (kOnes * '\\');
  return (((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) |
          ((eight - kOnes * 0x20) & ~eight)) &
         kHighs;
}

// The first byte from `at` on that JSON escapes or that is not ASCII, or the end.
size_t FindSpecial(std::string_view text, size_t at) {
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + at, 8);
    if (uint64_t found = SpecialBytes(eight) | (eight & kHighs)) {
      return at + static_cast<size_t>(std::countr_zero(found)) / 8;
    }
  }
  for (; at < text.size(); ++at) {
    auto c = static_cast<unsigned char>(text[at]);
    if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') break;
  }
  return at;
}

// Recursive descent. Children gather on two stacks and move to the arena when their container
// closes, so that they lie side by side there.
class JsonParser {
 public:
  explicit JsonParser(std::string_view text)
      : text_(text),
        at_(text.data()),
        end_(text.data() + text.size()),
        arena_(std::make_shared<Arena>(text.size())),
        keys_(*arena_) {}

  Result<Value> Run() {
    if (text_.size() > limits::kDocumentBytes) {
      return internal::ParseFailure(
          {}, fmt::format("the JSON text has {} bytes, more than the limit of {}", text_.size(),
                          limits::kDocumentBytes));
    }
    if (size_t bad = internal::FindInvalidUtf8(text_); bad != std::string_view::npos) {
      return internal::ParseFailure(internal::PositionOf(text_, bad),
                                    "the text is not valid UTF-8");
    }
    Node root;
    if (ParseValue(root, 0)) {
      SkipSpace();
      if (at_ != end_) Stop("text follows the end of the document");
    }
    if (problem_) {
      auto offset = static_cast<size_t>(problem_at_ - text_.data());
      return internal::ParseFailure(internal::PositionOf(text_, offset), problem_ + detail_);
    }
    Node* kept = arena_->Array<Node>(1);
    *kept = root;
    return Value(std::move(arena_), kept);
  }

 private:
  bool Stop(const char* problem, const char* where = nullptr) {
    problem_ = problem;
    problem_at_ = where ? where : at_;
    return false;
  }

  void SkipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  bool ParseValue(Node& out, size_t depth) {
    SkipSpace();
    if (at_ == end_) return Stop("a value is missing: the text ends here");
    if (++nodes_ > limits::kDocumentNodes) return Stop("too many values in one document");
    switch (*at_) {
      case '{':
        return ParseMap(out, depth + 1);
      case '[':
        return ParseList(out, depth + 1);
      case '"': {
        std::string_view text;
        if (!ParseString(text)) return false;
        out = internal::TextNode(arena_->Text(text));
        return true;
      }
      case 't':
        out = internal::BoolNode(true);
        return Word("true");
      case 'f':
        out = internal::BoolNode(false);
        return Word("false");
      case 'n':
        out = internal::NullNode();
        return Word("null");
      default:
        return ParseNumber(out);
    }
  }

  bool Word(std::string_view word) {
    if (static_cast<size_t>(end_ - at_) < word.size() ||
        std::memcmp(at_, word.data(), word.size()) != 0) {
      return Stop("a value is expected here");
    }
    at_ += word.size();
    return true;
  }

  bool ParseList(Node& out, size_t depth) {
    if (depth > limits::kDocumentDepth) return Stop("too many nested lists and maps");
    ++at_;
    size_t base = items_.size();
    SkipSpace();
    if (at_ != end_ && *at_ == ']') {
      ++at_;
    } else {
      for (;;) {
        Node item;
        if (!ParseValue(item, depth)) return false;
        items_.push_back(item);
        SkipSpace();
        if (at_ == end_) return Stop("a list is not closed: ']' is missing");
        char c = *at_;
        if (c != ',' && c != ']') return Stop("',' or ']' is expected here");
        ++at_;
        if (c == ']') break;
      }
    }
    size_t count = items_.size() - base;
    Node* items = arena_->Array<Node>(count);
    std::copy_n(items_.data() + base, count, items);
    items_.resize(base);
    out = internal::ListNode(items, count);
    return true;
  }

  struct Pending {
    Member member;
    const char* at;  // of the key, for the message about a repeated one
  };

  bool ParseMap(Node& out, size_t depth) {
    if (depth > limits::kDocumentDepth) return Stop("too many nested lists and maps");
    ++at_;
    size_t base = members_.size();
    SkipSpace();
    if (at_ != end_ && *at_ == '}') {
      ++at_;
    } else {
      for (;;) {
        SkipSpace();
        if (at_ == end_ || *at_ != '"') return Stop("a key in double quotes is expected here");
        const char* key_at = at_;
        std::string_view key;
        if (!ParseString(key)) return false;
        key = keys_.Store(key);
        SkipSpace();
        if (at_ == end_ || *at_ != ':') return Stop("':' is expected here");
        ++at_;
        Node value;
        if (!ParseValue(value, depth)) return false;
        members_.push_back({{key, value}, key_at});
        SkipSpace();
        if (at_ == end_) return Stop("a map is not closed: '}' is missing");
        char c = *at_;
        if (c != ',' && c != '}') return Stop("',' or '}' is expected here");
        ++at_;
        if (c == '}') break;
      }
    }
    size_t count = members_.size() - base;
    Member* members = arena_->Array<Member>(count);
    for (size_t i = 0; i < count; ++i) members[i] = members_[base + i].member;
    if (size_t twice = internal::FindRepeatedKey(members, count); twice != std::string_view::npos) {
      detail_ = " " + ToJson(Value(members[twice].key));
      return Stop("a map has two members with the key", members_[base + twice].at);
    }
    members_.resize(base);
    out = internal::MapNode(members, count);
    return true;
  }

  // At '"'. The result points into the text, or into scratch_ where there were escapes.
  bool ParseString(std::string_view& out) {
    ++at_;
    const char* start = at_;
    SkipPlain();
    if (at_ != end_ && *at_ == '"') {
      out = {start, static_cast<size_t>(at_ - start)};
      ++at_;
      return true;
    }
    scratch_.assign(start, at_);
    for (;;) {
      if (at_ == end_) return Stop("a string is not closed: '\"' is missing");
      if (*at_ == '"') break;
      if (*at_ != '\\') return Stop("a control character in a string must be written as an escape");
      if (!ParseEscape()) return false;
      start = at_;
      SkipPlain();
      scratch_.append(start, at_);
    }
    ++at_;
    out = scratch_;
    return true;
  }

  // To the next quote, backslash or control character.
  void SkipPlain() {
    static_assert(std::endian::native == std::endian::little);
    for (; end_ - at_ >= 8; at_ += 8) {
      uint64_t eight;
      std::memcpy(&eight, at_, 8);
      if (uint64_t found = SpecialBytes(eight)) {
        at_ += std::countr_zero(found) / 8;
        return;
      }
    }
    while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) {
      ++at_;
    }
  }

  bool ParseEscape() {
    const char* start = at_++;
    if (at_ == end_) return Stop("an escape is cut off", start);
    switch (*at_++) {
      case '"':
        scratch_ += '"';
        return true;
      case '\\':
        scratch_ += '\\';
        return true;
      case '/':
        scratch_ += '/';
        return true;
      case 'b':
        scratch_ += '\b';
        return true;
      case 'f':
        scratch_ += '\f';
        return true;
      case 'n':
        scratch_ += '\n';
        return true;
      case 'r':
        scratch_ += '\r';
        return true;
      case 't':
        scratch_ += '\t';
        return true;
      case 'u':
        break;
      default:
        return Stop("this escape does not exist in JSON", start);
    }
    uint32_t code = 0;
    if (!ParseHex(code)) return Stop("\\u needs four hexadecimal digits", start);
    if (code >= 0xDC00 && code <= 0xDFFF) return Stop("half of a surrogate pair", start);
    if (code >= 0xD800 && code <= 0xDBFF) {
      uint32_t low = 0;
      if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') {
        return Stop("half of a surrogate pair", start);
      }
      at_ += 2;
      if (!ParseHex(low) || low < 0xDC00 || low > 0xDFFF) {
        return Stop("half of a surrogate pair", start);
      }
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    internal::AppendUtf8(code, scratch_);
    return true;
  }

  bool ParseHex(uint32_t& out) {
    if (end_ - at_ < 4) return false;
    auto [end, error] = std::from_chars(at_, at_ + 4, out, 16);
    if (end != at_ + 4 || error != std::errc()) return false;
    at_ += 4;
    return true;
  }

  bool ParseNumber(Node& out) {
    const char* start = at_;
    bool negative = *at_ == '-';
    if (negative) ++at_;
    const char* digits = at_;
    uint64_t integer = 0;  // right up to 19 digits
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') {
      integer = integer * 10 + static_cast<uint64_t>(*at_ - '0');
      ++at_;
    }
    auto count = at_ - digits;
    if (count == 0) return Stop("a value is expected here", start);
    if (count > 1 && *digits == '0') return Stop("a number must not begin with 0", start);
    bool whole = at_ == end_ || (*at_ != '.' && *at_ != 'e' && *at_ != 'E');
    if (whole && count <= 18) {
      auto value = static_cast<int64_t>(integer);
      out = internal::IntNode(negative ? -value : value);
      return true;
    }
    if (!whole && !SkipFraction()) return Stop("a digit is expected here");
    if (whole) {
      if (int64_t value = 0; std::from_chars(start, at_, value).ec == std::errc()) {
        out = internal::IntNode(value);
        return true;
      }
      if (uint64_t value = 0; !negative && std::from_chars(start, at_, value).ec == std::errc()) {
        out = internal::UintNode(value);
        return true;
      }
    }
    double real = 0;
    auto [end, error] = std::from_chars(start, at_, real);
    if (error != std::errc() || end != at_) {
      return Stop("a number is out of the range of double precision", start);
    }
    out = internal::DoubleNode(real);
    return true;
  }

  bool SkipFraction() {
    auto skip_digits = [this] {
      const char* first = at_;
      while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
      return at_ != first;
    };
    if (*at_ == '.') {
      ++at_;
      if (!skip_digits()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!skip_digits()) return false;
    }
    return true;
  }

  std::string_view text_;
  const char* at_;
  const char* end_;
  size_t nodes_ = 0;
  std::shared_ptr<Arena> arena_;
  internal::KeyCache keys_;
  std::vector<Node> items_;
  std::vector<Pending> members_;
  std::string scratch_;
  const char* problem_ = nullptr;
  const char* problem_at_ = nullptr;
  std::string detail_;
};

void AppendString(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string repaired;
  bool checked = false;
  out += '"';
  for (size_t i = 0;;) {
    size_t end = FindSpecial(text, i);
    out.append(text, i, end - i);
    if (end == text.size()) break;
    auto c = static_cast<unsigned char>(text[end]);
    if (c >= 0x80) {  // the rest is not ASCII: it has to be UTF-8
      bool check = !std::exchange(checked, true);
      if (check && internal::FindInvalidUtf8(text.substr(end)) != text.npos) {
        repaired = internal::WithReplacedInvalidUtf8(text.substr(end));
        text = repaired;
        i = 0;
        continue;
      }
      i = end;
      while (i < text.size() && static_cast<unsigned char>(text[i]) >= 0x80) ++i;
      out.append(text, end, i - end);
      continue;
    }
    i = end + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out += '"';
}

template <typename Integer>
void AppendInteger(Integer integer, std::string& out) {
  char digits[24];
  auto [end, error] = std::to_chars(digits, digits + sizeof digits, integer);
  out.append(digits, end);
}

enum class Layout { kCompact, kPretty, kCanonical };

template <Layout layout>
void Append(Ref value, std::string& out, size_t indent) {
  auto line = [&](size_t columns) {
    if constexpr (layout == Layout::kPretty) {
      out += '\n';
      out.append(columns, ' ');
    }
  };
  switch (value.kind()) {
    case Kind::kAbsent:
    case Kind::kNull:
      out += "null";
      return;
    case Kind::kBool:
      out += value.Bool() ? "true" : "false";
      return;
    case Kind::kInt:
      AppendInteger(value.Int(), out);
      return;
    case Kind::kUint:
      AppendInteger(value.Uint(), out);
      return;
    case Kind::kDouble:
      internal::AppendDouble(value.Double(), out);
      return;
    case Kind::kString:
      AppendString(value.String(), out);
      return;
    case Kind::kList: {
      out += '[';
      bool first = true;
      for (Ref item : value.Items()) {
        if (!first) out += ',';
        first = false;
        line(indent + 2);
        Append<layout>(item, out, indent + 2);
      }
      if (!first) line(indent);
      out += ']';
      return;
    }
    case Kind::kMap: {
      out += '{';
      bool first = true;
      auto member = [&](std::string_view key, Ref child) {
        if (!first) out += ',';
        first = false;
        line(indent + 2);
        AppendString(key, out);
        out += layout == Layout::kPretty ? ": " : ":";
        Append<layout>(child, out, indent + 2);
      };
      if constexpr (layout == Layout::kCanonical) {
        std::vector<std::pair<std::string_view, Ref>> sorted;
        sorted.reserve(value.size());
        for (auto [key, child] : value.Members()) sorted.emplace_back(key, child);
        std::sort(sorted.begin(), sorted.end(),
                  [](const auto& a, const auto& b) { return a.first < b.first; });
        for (auto [key, child] : sorted) member(key, child);
      } else {
        for (auto [key, child] : value.Members()) member(key, child);
      }
      if (!first) line(indent);
      out += '}';
      return;
    }
  }
}

}  // namespace

Result<Value> ParseJson(std::string_view text) { return JsonParser(text).Run(); }

std::string ToJson(Ref value) {
  std::string out;
  AppendJson(value, out);
  return out;
}

void AppendJson(Ref value, std::string& out) { Append<Layout::kCompact>(value, out, 0); }

std::string ToPrettyJson(Ref value) {
  std::string out;
  Append<Layout::kPretty>(value, out, 0);
  return out;
}

std::string ToCanonicalJson(Ref value) {
  std::string out;
  Append<Layout::kCanonical>(value, out, 0);
  return out;
}

}  // namespace flotilla::value
