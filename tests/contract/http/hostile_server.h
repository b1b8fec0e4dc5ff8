// A server made of raw sockets, which does to its clients what a script says. Plain TCP: what it
// does wrong is HTTP.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/runtime.h"

namespace flotilla::http {

// One connection, as the script sees it. Every call returns at once when the server is destroyed.
class Peer {
 public:
  Peer(int socket, int stop, int index) : socket_(socket), stop_(stop), index_(index) {}
  ~Peer() { Close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  int index() const { return index_; }  // 0: the first connection
  // Header and body (by Content-Length) of the next request or answer; "" where none comes.
  std::string ReadMessage();
  bool Send(std::string_view bytes);  // false: the peer is gone
  // Sends `piece` again and again until the peer has not taken anything for 300 ms, or `most` bytes
  // are sent; returns their number. The next Send first completes the last piece.
  size_t SendUntilBlocked(std::string_view piece, size_t most);
  // Is there something to read, or the end, within that time?
  bool Readable(int milliseconds);
  void AwaitClose();  // reads until the peer closes
  std::string ReadToEnd();
  void Close();
  void Reset();       // RST instead of FIN
  void EndSending();  // FIN, and goes on reading
  void ConnectTo(int port);

 private:
  bool Await(short events, int milliseconds);
  bool SendAll(std::string_view bytes);

  int socket_;
  const int stop_;
  const int index_;
  std::string unread_;
  std::string_view rest_;
};

class HostileServer {
 public:
  // `script` runs once for each connection, on a task of its own; then the connection is closed.
  HostileServer(Runtime& runtime, std::function<void(Peer&)> script);
  ~HostileServer();
  std::string Url(std::string_view path = "/") const;
  int port() const { return port_; }
  int connections() const { return connections_; }

 private:
  void Accept();

  Runtime& runtime_;
  const std::function<void(Peer&)> script_;
  int listener_ = -1;
  int stop_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::vector<std::unique_ptr<Task>> peers_;
  std::unique_ptr<Task> acceptor_;
};

// A socket connected to 127.0.0.1, for tests that attack a server.
std::unique_ptr<Peer> Connect(int port);
std::unique_ptr<Peer> Unconnected();

}  // namespace flotilla::http
