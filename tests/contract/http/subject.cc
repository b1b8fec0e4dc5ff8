#include "subject.h"

#include <algorithm>
#include <ostream>

#include "http/cpprest_client.h"
#include "http/curl_client.h"

namespace flotilla::http {

std::ostream& operator<<(std::ostream& out, const Backend& backend) { return out << backend.name; }

std::vector<Backend> Backends() {
  std::vector<Backend> backends = {
      {"libcurl", [](Runtime& runtime) { return NewCurlClient(runtime); }, true, true},
  };
#ifndef __SANITIZE_THREAD__  // the library is not instrumented: its locks cannot be seen
  backends.push_back({"cpprest", &NewCpprestClient, false, false});
#endif
  return backends;
}

StreamEvents Recorder::Events() {
  StreamEvents events;
  events.on_head = [this](const Response& head) {
    MutexLock lock(mutex_);
    status_ = head.status;
    changed_->Set();
  };
  events.on_data = [this](std::string_view data) {
    MutexLock lock(mutex_);
    bytes_ += data.size();
    text_ += data.substr(0, (64u << 10) - std::min<size_t>(text_.size(), 64u << 10));
    changed_->Set();
    return pause_ ? Flow::kPause : Flow::kContinue;
  };
  events.on_done = [this](Status end) {
    MutexLock lock(mutex_);
    ++ends_;
    end_ = std::move(end);
    changed_->Set();
  };
  return events;
}

bool Recorder::Await(const std::function<bool()>& happened) {
  const TimePoint deadline = runtime_.Now() + 30s;
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (happened()) return true;
      changed_->Reset();
    }
    if (changed_->Wait(deadline, {}) != WaitResult::kSet) return false;
  }
}

int Recorder::status() {
  MutexLock lock(mutex_);
  return status_;
}
size_t Recorder::bytes() {
  MutexLock lock(mutex_);
  return bytes_;
}
std::string Recorder::text() {
  MutexLock lock(mutex_);
  return text_;
}
int Recorder::ends() {
  MutexLock lock(mutex_);
  return ends_;
}
Status Recorder::end() {
  MutexLock lock(mutex_);
  return end_;
}
void Recorder::PauseAlways(bool pause) {
  MutexLock lock(mutex_);
  pause_ = pause;
}

}  // namespace flotilla::http
