// Zstandard frames.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace flotilla {

// With a checksum and the size of the content. The same input gives the same bytes (one version of
// libzstd provided).
std::string Compress(std::string_view bytes, int level = 3);

// Invalid where the input is not exactly one whole frame that states its size, or expands to more
// than `limit` bytes. No more than `limit` is ever allocated for the output, whatever the frame
// claims.
Result<std::string> Decompress(std::string_view frame, size_t limit);

}  // namespace flotilla
