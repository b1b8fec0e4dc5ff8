#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>

#include "base/encoding.h"
#include "base/limits.h"

namespace flotilla {
namespace {

// A text of somebody else's: bounded, without passwords.
void AppendText(std::string& line, std::string_view text) {
  if (text.size() > limits::kLogTextBytes) {
    std::string cut(text.substr(0, limits::kLogTextBytes));
    fmt::format_to(std::back_inserter(cut), " [{} bytes more]",
                   text.size() - limits::kLogTextBytes);
    AppendJsonString(line, RedactUrls(cut));
  } else if (text.find("://") != std::string_view::npos) {
    AppendJsonString(line, RedactUrls(text));
  } else {
    AppendJsonString(line, text);
  }
}

bool IsUserInfo(char c) {
  return c > ' ' && c < 0x7F && c != '/' && c != '?' && c != '#' && c != '"' && c != '\'';
}

}  // namespace

struct Logger::Core {
  const Runtime& runtime;
  LogSink sink;
};

const char* ToString(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

void LogField::AppendTo(std::string& line) const {
  line += ',';
  AppendJsonString(line, key_);
  line += ':';
  auto out = std::back_inserter(line);
  struct Visitor {
    std::string& line;
    std::back_insert_iterator<std::string>& out;
    void operator()(bool value) const { line += value ? "true" : "false"; }
    void operator()(int64_t value) const { fmt::format_to(out, "{}", value); }
    void operator()(uint64_t value) const { fmt::format_to(out, "{}", value); }
    void operator()(double value) const {
      if (std::isfinite(value)) {
        fmt::format_to(out, "{}", value);
      } else {
        fmt::format_to(out, "\"{}\"", value);  // JSON has no NaN and no infinity
      }
    }
    void operator()(std::string_view value) const { AppendText(line, value); }
    void operator()(Duration value) const { AppendJsonString(line, FormatDuration(value)); }
    void operator()(WallTime value) const { AppendJsonString(line, FormatMicroTime(value)); }
    void operator()(const Secret*) const { line += "\"[redacted]\""; }
    void operator()(const Error* error) const {
      AppendText(line, fmt::format("{}: {}", ToString(error->cls), error->ToString()));
    }
  };
  std::visit(Visitor{line, out}, value_);
}

LogSink LogToDescriptor(int descriptor) {
  auto mutex = std::make_shared<Mutex>();  // keeps lines whole where one write is not enough
  return [descriptor, mutex](std::string_view line) {
    MutexLock lock(*mutex);
    while (!line.empty()) {
      const ssize_t written = write(descriptor, line.data(), line.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      line.remove_prefix(static_cast<size_t>(written));
    }
  };
}

Logger::Logger(const Runtime& runtime, LogSink sink, LogLevel least)
    : core_(std::make_shared<const Core>(Core{runtime, std::move(sink)})), least_(least) {}

Logger Logger::With(LogFields fields) const {
  Logger narrowed = *this;
  if (core_) {
    for (const LogField& field : fields) field.AppendTo(narrowed.context_);
  }
  return narrowed;
}

void Logger::Log(LogLevel level, std::string_view message, LogFields fields) const {
  if (!Enabled(level)) return;
  std::string line;
  line.reserve(128 + message.size() + context_.size());
  fmt::format_to(std::back_inserter(line), R"({{"time":"{}","level":"{}","message":)",
                 FormatMicroTime(core_->runtime.WallNow()), ToString(level));
  AppendText(line, message);
  line += context_;
  for (const LogField& field : fields) field.AppendTo(line);
  line += "}\n";
  core_->sink(line);
}

std::string RedactUrls(std::string_view text) {
  std::string redacted;
  for (;;) {
    const size_t scheme = text.find("://");
    if (scheme == std::string_view::npos) break;
    const size_t begin = scheme + 3;
    size_t end = begin;
    while (end < text.size() && IsUserInfo(text[end])) ++end;
    // The last '@' ends the user information: a password may hold one that nobody escaped.
    const size_t at = text.substr(begin, end - begin).rfind('@');
    const size_t colon = text.substr(begin, end - begin).find(':');
    if (at != std::string_view::npos && colon != std::string_view::npos && colon < at) {
      redacted += text.substr(0, begin + colon + 1);
      redacted += "[redacted]";
      text.remove_prefix(begin + at);
    } else {
      redacted += text.substr(0, begin);
      text.remove_prefix(begin);
    }
  }
  redacted += text;
  return redacted;
}

}  // namespace flotilla
