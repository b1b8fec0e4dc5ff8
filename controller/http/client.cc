#include "http/client.h"

#include "http/curl_client.h"

namespace flotilla::http {

std::unique_ptr<HttpClient> NewHttpClient(Runtime& runtime) { return NewCurlClient(runtime); }

}  // namespace flotilla::http
