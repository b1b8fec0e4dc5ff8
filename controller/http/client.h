// The HttpClient that flotilla uses: libcurl, or cpprestsdk where it was built with
// -DFLOTILLA_HTTP_CLIENT=cpprest. Both are always built and pass the same tests.
#pragma once

#include <memory>

#include "http/http.h"

namespace flotilla::http {

// `runtime` must outlive the client. Destroying the client cancels what is under way and waits.
std::unique_ptr<HttpClient> NewHttpClient(Runtime& runtime);

}  // namespace flotilla::http
