// A tree that is being edited in many places: levels are opened where they are touched, all else is
// shared with the original.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "value/value.h"

namespace flotilla::sim::api {

class Draft {
 public:
  Draft() = default;  // absent
  Draft(value::Value value) : value_(std::move(value)) {}
  Draft(Draft&&) noexcept = default;
  Draft& operator=(Draft&&) noexcept = default;

  bool IsAbsent() const { return !map_ && !list_ && value_.IsAbsent(); }
  explicit operator bool() const { return !IsAbsent(); }
  bool IsMap() const { return map_ != nullptr || value_.ref().IsMap(); }
  bool IsList() const { return list_ != nullptr || value_.ref().IsList(); }
  std::string_view String() const { return value_.ref().String(); }
  int64_t Int(int64_t otherwise = 0) const { return value_.ref().Int(otherwise); }
  bool Bool() const { return value_.ref().Bool(); }
  size_t size() const;

  // Null where there is no such member.
  Draft* Find(std::string_view key);
  // Makes a map of what is absent or null, and an absent member where there is none.
  Draft& operator[](std::string_view key);
  // The items, opened.
  std::vector<Draft>& Items();
  void Remove(std::string_view key);

  // Only where it is absent. Returns whether it was.
  bool Default(std::string_view key, value::Value value);

  value::Value Done() const;

 private:
  // References to members stay valid while others are added.
  using Members = std::deque<std::pair<std::string, Draft>>;
  void OpenMap();

  value::Value value_;
  std::unique_ptr<Members> map_;
  std::unique_ptr<std::vector<Draft>> list_;
};

}  // namespace flotilla::sim::api
