// A value that must not be seen (a password, a token, a private key).
//
// It prints as "[redacted]" in fmt and in logs, is not convertible to a string by accident, and is
// wiped from memory when it is destroyed, moved from or assigned to.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace flotilla {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value);
  Secret(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  // For the one place that needs the value itself. The view lives as long as this.
  std::string_view Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

  // In constant time for values of one length.
  friend bool operator==(const Secret& a, const Secret& b);

 private:
  std::string value_;
};

// Overwrites the text, in a way that no optimiser removes, and leaves it empty.
void Wipe(std::string& text);

// Takes the same time wherever the first difference is. The length is not hidden.
bool ConstantTimeEquals(std::string_view a, std::string_view b);

}  // namespace flotilla

template <>
struct fmt::formatter<flotilla::Secret> : fmt::formatter<fmt::string_view> {
  template <typename Context>
  auto format(const flotilla::Secret&, Context& context) const {
    return fmt::formatter<fmt::string_view>::format("[redacted]", context);
  }
};
