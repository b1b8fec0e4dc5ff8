// What a command's exit code means. Documented for scripts: never change a meaning.
#pragma once

namespace flotilla::surface {

enum ExitCode : int {
  kDone = 0,
  kError = 1,
  kPartial = 2,  // some clusters are missing, or there are differences
  kBlocked = 3,  // somebody or something has to decide first
  kTimeOut = 4,  // it goes on; this command waited long enough
};

}  // namespace flotilla::surface
