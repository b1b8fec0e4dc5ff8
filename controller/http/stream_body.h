// What has been written to a streamed answer and not been sent yet: between the thread that writes
// and the connection that sends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/runtime.h"
#include "http/server.h"

namespace flotilla::http {

class StreamBody {
 public:
  // `head` is sent first. `notify` tells the connection, from any thread, that there is something
  // to Take, or (cut) that its peer does not read and it must close. It must not call back here.
  StreamBody(bool chunked, std::string head, std::function<void(bool cut)> notify)
      : chunked_(chunked), unsent_(std::move(head)), notify_(std::move(notify)) {}

  // See ResponseWriter. Any thread.
  bool Write(std::string_view data);
  void End();

  // Of the connection: what is to be sent next goes to `out`, whose former content has been sent.
  // Returns whether the body has ended.
  bool Take(std::string& out);
  // `notify` is not called after this; what is written from now on is dropped.
  void Detach();

 private:
  void Notify();

  Mutex mutex_;
  const bool chunked_;
  std::string unsent_;
  size_t sending_ = 0;
  bool notified_ = false;
  bool ended_ = false;
  std::function<void(bool cut)> notify_;  // empty: detached
};

// Ends `body` when it is destroyed.
std::shared_ptr<ResponseWriter> NewWriter(std::shared_ptr<StreamBody> body);

}  // namespace flotilla::http
