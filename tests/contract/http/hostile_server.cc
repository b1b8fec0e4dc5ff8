#include "hostile_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace flotilla::http {
namespace {

constexpr int kPatienceMs = 30'000;  // a test that waits longer has failed anyway

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

size_t ContentLength(std::string_view head) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos;
       at = head.find("\r\n", at + 2)) {
    std::string line(head.substr(at + 2, 64));
    if (strncasecmp(line.c_str(), "content-length:", 15) == 0) {
      return static_cast<size_t>(std::atoll(line.c_str() + 15));
    }
  }
  return 0;
}

}  // namespace

bool Peer::Await(short events, int milliseconds) {
  if (socket_ < 0) return false;
  pollfd fds[2] = {{socket_, events, 0}, {stop_, POLLIN, 0}};
  const int ready = poll(fds, stop_ < 0 ? 1 : 2, milliseconds);
  return ready > 0 && fds[1].revents == 0;
}

bool Peer::Readable(int milliseconds) { return Await(POLLIN, milliseconds); }

std::string Peer::ReadMessage() {
  for (;;) {
    const size_t end = unread_.find("\r\n\r\n");
    if (end != std::string::npos) {
      const size_t size = end + 4 + ContentLength(std::string_view(unread_).substr(0, end + 2));
      if (unread_.size() >= size) {
        std::string request = unread_.substr(0, size);
        unread_.erase(0, size);
        return request;
      }
    }
    char buffer[4096];
    if (!Await(POLLIN, kPatienceMs)) return {};
    const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) return {};
    unread_.append(buffer, static_cast<size_t>(got));
  }
}

bool Peer::Send(std::string_view bytes) {
  if (!rest_.empty() && !SendAll(std::exchange(rest_, {}))) return false;
  return SendAll(bytes);
}

bool Peer::SendAll(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!Await(POLLOUT, kPatienceMs)) return false;
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

size_t Peer::SendUntilBlocked(std::string_view piece, size_t most) {
  size_t sent_in_all = 0;
  std::string_view left = piece;
  bool blocked = false;
  while (!blocked && sent_in_all < most) {
    blocked = !Await(POLLOUT, 300);
    const ssize_t sent = send(socket_, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) break;  // gone
    if (sent < 0) continue;
    sent_in_all += static_cast<size_t>(sent);
    left.remove_prefix(static_cast<size_t>(sent));
    if (left.empty()) left = piece;
  }
  rest_ = left.size() == piece.size() ? std::string_view() : left;
  return sent_in_all;
}

void Peer::AwaitClose() {
  char buffer[65536];
  while (Await(POLLIN, kPatienceMs) && recv(socket_, buffer, sizeof buffer, 0) > 0) continue;
}

std::string Peer::ReadToEnd() {
  std::string text = std::exchange(unread_, {});
  char buffer[65536];
  while (Await(POLLIN, kPatienceMs)) {
    const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

void Peer::Close() {
  if (socket_ >= 0) close(std::exchange(socket_, -1));
}

void Peer::Reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  Close();
}

void Peer::EndSending() { shutdown(socket_, SHUT_WR); }

void Peer::ConnectTo(int port) {
  const sockaddr_in address = Loopback(port);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    std::abort();
  }
}

HostileServer::HostileServer(Runtime& runtime, std::function<void(Peer&)> script)
    : runtime_(runtime), script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = eventfd(0, EFD_CLOEXEC);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = runtime_.Spawn("hostile", [this](std::stop_token) { Accept(); });
}

HostileServer::~HostileServer() {
  const uint64_t one = 1;
  if (write(stop_, &one, sizeof one) != sizeof one) std::abort();
  acceptor_.reset();
  peers_.clear();
  close(listener_);
  close(stop_);
}

std::string HostileServer::Url(std::string_view path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
}

void HostileServer::Accept() {
  for (;;) {
    pollfd fds[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
    if (poll(fds, 2, -1) <= 0 || fds[1].revents != 0) return;
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int index = connections_++;
    peers_.push_back(runtime_.Spawn("hostile", [this, socket, index](std::stop_token) {
      Peer peer(socket, stop_, index);
      script_(peer);
    }));
  }
}

std::unique_ptr<Peer> Unconnected() {
  return std::make_unique<Peer>(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1, 0);
}

std::unique_ptr<Peer> Connect(int port) {
  auto peer = Unconnected();
  peer->ConnectTo(port);
  return peer;
}

}  // namespace flotilla::http
