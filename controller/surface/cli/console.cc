#include "surface/cli/console.h"

#include <algorithm>

#include "kube/resource.h"
#include "value/json.h"
#include "value/yaml.h"

namespace flotilla::surface {
namespace {

constexpr size_t kGap = 3;

// Characters, not bytes.
size_t WidthOf(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string FullName(value::Ref object, std::string_view plural) {
  const std::string group = kube::GvkOf(object).group;
  std::string name(plural);
  if (!group.empty()) name += "." + group;
  return name + "/" + std::string(kube::NameOf(object));
}

}  // namespace

std::string Paint(std::string_view text, Tone tone) {
  static constexpr const char* kCodes[] = {"", "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[2m"};
  if (tone == Tone::kPlain) return std::string(text);
  return kCodes[static_cast<size_t>(tone)] + std::string(text) + "\x1b[0m";
}

std::string Table::Text(bool colour) const {
  std::vector<size_t> widths;
  for (const std::string& header : headers_) widths.push_back(WidthOf(header));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i].text));
  }
  std::string text;
  auto add = [&](const std::vector<Cell>& row, bool paint) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += paint ? Paint(row[i].text, row[i].tone) : row[i].text;
      if (i + 1 < row.size()) text.append(widths[i] - WidthOf(row[i].text) + kGap, ' ');
    }
    text += '\n';
  };
  add({headers_.begin(), headers_.end()}, false);
  for (const auto& row : rows_) add(row, colour);
  return text;
}

void Console::OutLine(std::string_view line) { out_(std::string(line) + "\n"); }
void Console::Note(std::string_view line) { err_(std::string(line) + "\n"); }

std::string Console::Paint(std::string_view text, Tone tone) const {
  return surface::Paint(text, colour_ ? tone : Tone::kPlain);
}

void Console::PrintObject(value::Ref object, std::string_view plural) {
  switch (format_) {
    case OutputFormat::kTable:
    case OutputFormat::kName:
      OutLine(FullName(object, plural));
      return;
    case OutputFormat::kJson:
      OutLine(value::ToPrettyJson(object));
      return;
    case OutputFormat::kYaml:
      Out(value::ToYaml(object));
      return;
  }
}

void Console::PrintObjects(const std::vector<value::Value>& objects, std::string_view plural) {
  if (format_ == OutputFormat::kName) {
    for (const value::Value& object : objects) OutLine(FullName(object, plural));
    return;
  }
  PrintObject(value::Value::Map(
                  {{"apiVersion", "v1"}, {"kind", "List"}, {"items", value::Value::List(objects)}}),
              plural);
}

std::string ShortRevision(std::string_view revision) {
  constexpr std::string_view kMark = "@sha1:";
  const size_t at = revision.find(kMark);
  if (at == std::string_view::npos) return OrDash(revision);
  return std::string(revision.substr(0, at)) + "@" +
         std::string(revision.substr(at + kMark.size(), 10));
}

std::string OrDash(std::string_view text) { return text.empty() ? "-" : std::string(text); }

}  // namespace flotilla::surface
