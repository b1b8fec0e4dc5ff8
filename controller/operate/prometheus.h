// Asks a cluster's Prometheus: directly by its URL, or through the API server's service proxy.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "deliver/gate.h"
#include "http/http.h"
#include "operate/member.h"

namespace flotilla::operate {

using OnQueryAnswer = std::function<void(Result<deliver::QueryAnswer>)>;

// One instant query. `headers` carry the credentials of a direct URL. Invalid where the member has no
// Prometheus. Never blocks; `on_answer` is called exactly once, never from inside.
void SendQuery(http::HttpClient& http, const std::shared_ptr<Member>& member,
               const http::Headers& headers, const std::string& promql, Duration timeout,
               std::stop_token stop, OnQueryAnswer on_answer);

// The body of an answer of /api/v1/query, with its HTTP status.
Result<deliver::QueryAnswer> ParseQueryAnswer(int status, std::string_view body);

}  // namespace flotilla::operate
