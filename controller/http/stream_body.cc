#include "http/stream_body.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace flotilla::http {
namespace {

constexpr size_t kBuffer = 1u << 20;

class BodyWriter final : public ResponseWriter {
 public:
  explicit BodyWriter(std::shared_ptr<StreamBody> body) : body_(std::move(body)) {}
  ~BodyWriter() override { body_->End(); }
  bool Write(std::string_view data) override { return body_->Write(data); }

 private:
  const std::shared_ptr<StreamBody> body_;
};

}  // namespace

std::shared_ptr<ResponseWriter> NewWriter(std::shared_ptr<StreamBody> body) {
  return std::make_shared<BodyWriter>(std::move(body));
}

bool StreamBody::Write(std::string_view data) {
  MutexLock lock(mutex_);
  if (!notify_) return false;
  if (data.empty()) return true;  // an empty chunk would be the last one
  if (unsent_.size() + sending_ > kBuffer) {
    std::exchange(notify_, nullptr)(true);
    return false;
  }
  if (chunked_) fmt::format_to(std::back_inserter(unsent_), "{:x}\r\n", data.size());
  unsent_ += data;
  if (chunked_) unsent_ += "\r\n";
  Notify();
  return true;
}

void StreamBody::End() {
  MutexLock lock(mutex_);
  ended_ = true;
  if (!notify_) return;
  if (chunked_) unsent_ += "0\r\n\r\n";
  Notify();
}

void StreamBody::Notify() {
  if (!std::exchange(notified_, true)) notify_(false);
}

bool StreamBody::Take(std::string& out) {
  MutexLock lock(mutex_);
  notified_ = false;
  out.clear();
  out.swap(unsent_);
  sending_ = out.size();
  return ended_;
}

void StreamBody::Detach() {
  MutexLock lock(mutex_);
  notify_ = nullptr;
  std::string().swap(unsent_);
}

}  // namespace flotilla::http
