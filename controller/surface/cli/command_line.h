// The command line: `flotilla controller` and the verbs for people.
#pragma once

#include "surface/platform.h"

namespace flotilla::surface {

// Parses and runs. The result is the exit code (surface/cli/exit_code.h).
int RunCommandLine(const Platform& platform, int argc, const char* const* argv);

}  // namespace flotilla::surface
