#include "http/client.h"

#include "http/cpprest_client.h"
#include "http/curl_client.h"

namespace flotilla::http {

std::unique_ptr<HttpClient> NewHttpClient(Runtime& runtime) {
#ifdef FLOTILLA_HTTP_CPPREST
  return NewCpprestClient(runtime);
#else
  return NewCurlClient(runtime);
#endif
}

}  // namespace flotilla::http
