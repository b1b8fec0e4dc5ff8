// The texts of manifests/demo, so that the program needs no file beside it. A test keeps them equal
// to the files.
#pragma once

namespace flotilla::surface::demo {

extern const char* const kFleet;        // fleet.yaml: the Clusters; ${PROMETHEUS}
extern const char* const kApplication;  // application.yaml: what is delivered, and how; ${GIT}
extern const char* const kShop;         // shop/web.yaml: the content of the repository

}  // namespace flotilla::surface::demo
