#include "http/http.h"

#include <algorithm>

namespace flotilla::http {

const char* ToString(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kHead:
      return "HEAD";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
  }
  return "GET";
}

std::string_view Find(const Headers& headers, std::string_view name) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (const auto& [key, value] : headers) {
    if (std::equal(key.begin(), key.end(), name.begin(), name.end(),
                   [&](char a, char b) { return lower(a) == lower(b); })) {
      return value;
    }
  }
  return {};
}

Result<Response> Do(Runtime& runtime, HttpClient& client, Request request, std::stop_token stop) {
  // Shared, because on_done may still be inside Set when the wait below has returned.
  struct Answer {
    std::unique_ptr<Event> arrived;
    // What stands where the wait ends without an answer: a simulated process that has crashed.
    Result<Response> result = Fail(ErrorClass::kCancelled, "the process has ended");
  };
  auto answer = std::make_shared<Answer>();
  answer->arrived = runtime.NewEvent();
  client.Send(std::move(request), std::move(stop), [answer](Result<Response> result) {
    answer->result = std::move(result);
    answer->arrived->Set();
  });
  // Without deadline or stop: Send itself keeps the request's deadline and obeys `stop`.
  answer->arrived->Wait(kForever, {});
  return std::move(answer->result);
}

}  // namespace flotilla::http
