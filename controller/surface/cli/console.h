// What commands write: results to standard output, in the form that -o asks for, and everything
// else (progress, advice) to standard error, so that output can be piped.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "value/value.h"

namespace flotilla::surface {

enum class OutputFormat : unsigned char { kTable, kJson, kYaml, kName };
enum class Tone : unsigned char { kPlain, kGood, kBad, kWarning, kFaint };

// Columns as wide as their widest cell. Colour does not count.
class Table {
 public:
  struct Cell {
    Cell(std::string t) : text(std::move(t)) {}
    Cell(const char* t) : text(t) {}
    Cell(std::string t, Tone tone_of_it) : text(std::move(t)), tone(tone_of_it) {}
    std::string text;
    Tone tone = Tone::kPlain;
  };
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  std::string Text(bool colour) const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<Cell>> rows_;
};

class Console {
 public:
  using Write = std::function<void(std::string_view text)>;
  Console(Write out, Write err, OutputFormat format, bool colour)
      : out_(std::move(out)), err_(std::move(err)), format_(format), colour_(colour) {}

  OutputFormat format() const { return format_; }
  bool for_people() const { return format_ == OutputFormat::kTable; }
  void Out(std::string_view text) { out_(text); }  // as it is
  void OutLine(std::string_view line);
  void Note(std::string_view line);  // to standard error
  void Print(const Table& table) { out_(table.Text(colour_)); }
  std::string Paint(std::string_view text, Tone tone) const;

  // For -o json, yaml and name: an object, or several as a List. `plural` makes the names:
  // "rollouts.flotilla.dev/shop-1a2b3c4d-3".
  void PrintObject(value::Ref object, std::string_view plural);
  void PrintObjects(const std::vector<value::Value>& objects, std::string_view plural);

 private:
  Write out_;
  Write err_;
  const OutputFormat format_;
  const bool colour_;
};

std::string Paint(std::string_view text, Tone tone);
// The first ten digits of "main@sha1:<commit>" behind its branch; other texts as they are.
std::string ShortRevision(std::string_view revision);
// "-" for an empty text.
std::string OrDash(std::string_view text);

}  // namespace flotilla::surface
