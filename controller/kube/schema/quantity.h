// resource.Quantity: "100m", "1.5Gi", "2e3". A server writes them back in canonical form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flotilla::kube::schema {

// The canonical text ("0.1" → "100m", "1024Ki" → "1Mi"); nullopt where it is no quantity.
std::optional<std::string> CanonicalQuantity(std::string_view text);

}  // namespace flotilla::kube::schema
