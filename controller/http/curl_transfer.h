// One exchange over libcurl: what was asked, what has come back, and how it ended. Internal to the
// curl backend; everything but the construction runs on the reactor.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "http/http.h"
#include "http/url.h"

namespace flotilla::http {

class CurlTransfer {
 public:
  // A unary exchange.
  CurlTransfer(Runtime& runtime, uint64_t id, Request request, std::stop_token stop,
               OnDone on_done);
  // A stream.
  CurlTransfer(Runtime& runtime, uint64_t id, Request request, Duration idle, StreamEvents events);
  ~CurlTransfer();
  CurlTransfer(const CurlTransfer&) = delete;
  CurlTransfer& operator=(const CurlTransfer&) = delete;

  uint64_t id() const { return id_; }
  bool is_stream() const { return ended_ != nullptr; }
  // Of a stream, for any thread: set after the last callback has returned.
  Event& ended() { return *ended_; }
  const Request& request() const { return request_; }
  const std::stop_token& stop() const { return stop_; }

  // Why it must not be sent, if so.
  Status Check();

  // Sets up `easy` (a CURL*), which the transfer uses until Release.
  Status Prepare(void* easy, bool http2);
  void* easy() const { return easy_; }
  // Takes the handle back, clean.
  void* Release();

  // The next moment at which time can end this exchange, and the error if it has come.
  TimePoint Due() const;
  Error Overdue() const;

  // The end as libcurl tells it (a CURLcode), or for another reason. Calls on_done, unless that
  // has happened.
  void Finish(int code);
  void Finish(Error error);
  void Finish(ErrorClass cls, std::string_view why);
  void Resume();

  // Has the peer been sent any part of the request?
  bool Sent() const;
  // The last moment at which something arrived; the start where nothing has.
  TimePoint last_byte() const { return last_byte_; }
  bool answered() const { return header_bytes_ > 0; }
  bool delivered() const { return delivered_; }

  // Cancels when the caller's stop token says so; belongs to the reactor.
  std::optional<std::stop_callback<std::function<void()>>> on_stop;
  TimePoint scheduled = kForever;  // the entry of this transfer in the reactor's list of due times
  void* pool = nullptr;            // the reactor's

 private:
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static int OnConnected(void* self, char*, char*, int, int);

  bool AcceptHeaderLine(std::string_view line);
  Error Describe(int code) const;
  Error MakeError(ErrorClass cls, std::string_view why) const;  // its outcome from Sent()
  void Deliver(Result<Response> result);

  Runtime& runtime_;
  const uint64_t id_;
  Request request_;
  Url url_;
  const std::stop_token stop_;

  OnDone on_done_;  // of a unary exchange

  StreamEvents events_;
  const std::unique_ptr<Event> ended_;  // null: unary
  const Duration idle_{};

  void* easy_ = nullptr;
  struct Lists;  // header and address lists that libcurl reads during the transfer
  std::unique_ptr<Lists> lists_;
  std::array<char, 256> curl_message_{};

  Response response_;
  size_t header_bytes_ = 0;
  bool head_complete_ = false;
  bool paused_ = false;       // the reader asked for a pause
  bool curl_paused_ = false;  // and libcurl was told so
  bool in_callback_ = false;  // on_head or on_data is running
  bool delivered_ = false;    // on_done has been called
  int attempts_ = 0;
  std::optional<Error> failure_;  // why we made libcurl stop
  TimePoint last_byte_;
};

}  // namespace flotilla::http
