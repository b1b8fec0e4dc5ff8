// Structured logs: one JSON object per line, for machines first.
//
//   log.Info("stage done", {{"application", app.name}, {"stage", 2}, {"took", Duration(...)}});
//   {"time":"2026-11-20T08:15:30.123456Z","level":"info","message":"stage done","application":...}
//
// A Logger is a cheap value: copy it, pass it by value, narrow it by With. The default one discards
// everything. Nothing that is Secret prints, and the password of a URL in any text prints as
// "[redacted]". Safe for concurrent use when its sink is.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/runtime.h"
#include "base/secret.h"
#include "base/time.h"

namespace flotilla {

enum class LogLevel : unsigned char { kDebug, kInfo, kWarning, kError };
const char* ToString(LogLevel level);

// A key and a value. Refers to its texts: build it in the call that logs it.
class LogField {
 public:
  LogField(std::string_view key, std::string_view text) : key_(key), value_(text) {}
  LogField(std::string_view key, const std::string& text)
      : key_(key), value_(std::string_view(text)) {}
  LogField(std::string_view key, const char* text) : key_(key), value_(std::string_view(text)) {}
  LogField(std::string_view key, bool value) : key_(key), value_(value) {}
  LogField(std::string_view key, double value) : key_(key), value_(value) {}
  LogField(std::string_view key, Duration value) : key_(key), value_(value) {}
  LogField(std::string_view key, WallTime value) : key_(key), value_(value) {}
  LogField(std::string_view key, const Secret& value) : key_(key), value_(&value) {}
  LogField(std::string_view key, const Error& error) : key_(key), value_(&error) {}
  template <std::signed_integral T>
  LogField(std::string_view key, T value) : key_(key), value_(static_cast<int64_t>(value)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) LogField(std::string_view key, T value)
      : key_(key), value_(static_cast<uint64_t>(value)) {}

  void AppendTo(std::string& line) const;  // ,"key":value

 private:
  std::string_view key_;
  std::variant<bool, int64_t, uint64_t, double, std::string_view, Duration, WallTime, const Secret*,
               const Error*>
      value_;
};

using LogFields = std::initializer_list<LogField>;

// Gets whole lines, each with its newline, possibly from several threads at once.
using LogSink = std::function<void(std::string_view line)>;

// Writes each line to the file descriptor whole. Errors of writing are ignored: there is nobody to
// tell.
LogSink LogToDescriptor(int descriptor);

class Logger {
 public:
  Logger() = default;
  // The runtime gives the time of each line and must outlive the Logger and its copies.
  Logger(const Runtime& runtime, LogSink sink, LogLevel least = LogLevel::kInfo);

  // A Logger whose every line has these fields too.
  Logger With(LogFields fields) const;

  bool Enabled(LogLevel level) const { return core_ && level >= least_; }
  void Log(LogLevel level, std::string_view message, LogFields fields = {}) const;
  void Debug(std::string_view message, LogFields fields = {}) const {
    if (Enabled(LogLevel::kDebug)) Log(LogLevel::kDebug, message, fields);
  }
  void Info(std::string_view message, LogFields fields = {}) const {
    if (Enabled(LogLevel::kInfo)) Log(LogLevel::kInfo, message, fields);
  }
  void Warning(std::string_view message, LogFields fields = {}) const {
    if (Enabled(LogLevel::kWarning)) Log(LogLevel::kWarning, message, fields);
  }
  void Error(std::string_view message, LogFields fields = {}) const {
    if (Enabled(LogLevel::kError)) Log(LogLevel::kError, message, fields);
  }

 private:
  struct Core;
  std::shared_ptr<const Core> core_;
  std::string context_;  // rendered fields of With
  LogLevel least_ = LogLevel::kInfo;
};

// The text with the password of every "scheme://user:password@" replaced by "[redacted]". For
// messages of libraries that quote URLs.
std::string RedactUrls(std::string_view text);

}  // namespace flotilla
