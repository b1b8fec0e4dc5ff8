#include "git/transport.h"

#include <git2.h>
#include <git2/sys/transport.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "git/libgit.h"

namespace flotilla::git {
namespace {

// A request and its answer. libgit2 writes the whole request, then reads.
struct HttpStream final : git_smart_subtransport_stream {
  Conversation* conversation = nullptr;
  Service service = Service::kUploadPack;
  bool announcement = false;  // GET: there is no request to write
  bool sent = false;
  std::string body;
  std::string answer;  // of a short one
  size_t taken = 0;
  std::unique_ptr<AnswerReader> pack;  // of a long one
};

struct HttpSubtransport final : git_smart_subtransport {
  Conversation* conversation = nullptr;
};

HttpStream* Self(git_smart_subtransport_stream* stream) { return static_cast<HttpStream*>(stream); }

bool EndsNegotiation(std::string_view body) {
  constexpr std::string_view kDone = "0009done\n";
  return body.size() >= kDone.size() && body.substr(body.size() - kDone.size()) == kDone;
}

Status Send(HttpStream& stream) {
  Exchange& exchange = stream.conversation->exchange();
  // The pack follows the request that ends the negotiation. All other answers are short, and go
  // over a connection that is open already.
  if (!stream.announcement && stream.service == Service::kUploadPack &&
      EndsNegotiation(stream.body)) {
    auto pack = exchange.PostForPack(stream.service, std::move(stream.body));
    if (!pack) return Pass(pack);
    stream.pack = std::move(*pack);
    return {};
  }
  Result<std::string> answer = stream.announcement
                                   ? exchange.Announcement(stream.service, 0)
                                   : exchange.Post(stream.service, std::move(stream.body), 0);
  if (!answer) return Pass(answer);
  stream.answer = std::move(*answer);
  return {};
}

int Read(git_smart_subtransport_stream* base, char* buffer, size_t size, size_t* count) {
  HttpStream& stream = *Self(base);
  *count = 0;
  if (!stream.sent) {
    stream.sent = true;
    if (Status status = Send(stream); !status) return stream.conversation->Failed(status.error());
  }
  if (stream.pack) {
    Result<size_t> read = stream.pack->Read(buffer, size);
    if (!read) return stream.conversation->Failed(std::move(read.error()));
    *count = *read;
  } else {
    *count = std::min(size, stream.answer.size() - stream.taken);
    std::memcpy(buffer, stream.answer.data() + stream.taken, *count);
    stream.taken += *count;
  }
  if (Status status = stream.conversation->CountReceived(*count); !status) {
    return stream.conversation->Failed(status.error());
  }
  return 0;
}

int Write(git_smart_subtransport_stream* base, const char* buffer, size_t size) {
  HttpStream& stream = *Self(base);
  if (stream.sent || stream.announcement || size > limits::kGitPushBytes - stream.body.size()) {
    Error error;
    error.cls = ErrorClass::kInvalid;
    error.message =
        fmt::format("more than {} bytes to send to the Git server", limits::kGitPushBytes);
    return stream.conversation->Failed(std::move(error));
  }
  stream.body.append(buffer, size);
  return 0;
}

void FreeStream(git_smart_subtransport_stream* base) { delete Self(base); }

int Action(git_smart_subtransport_stream** out, git_smart_subtransport* base, const char* /*url*/,
           git_smart_service_t action) {
  auto stream = std::make_unique<HttpStream>();
  stream->subtransport = base;
  stream->read = Read;
  stream->write = Write;
  stream->free = FreeStream;
  stream->conversation = static_cast<HttpSubtransport*>(base)->conversation;
  stream->announcement =
      action == GIT_SERVICE_UPLOADPACK_LS || action == GIT_SERVICE_RECEIVEPACK_LS;
  stream->service = action == GIT_SERVICE_UPLOADPACK_LS || action == GIT_SERVICE_UPLOADPACK
                        ? Service::kUploadPack
                        : Service::kReceivePack;
  *out = stream.release();
  return 0;
}

int Close(git_smart_subtransport* /*base*/) { return 0; }

void FreeSubtransport(git_smart_subtransport* base) { delete static_cast<HttpSubtransport*>(base); }

int NewSubtransport(git_smart_subtransport** out, git_transport* /*owner*/, void* param) {
  auto subtransport = std::make_unique<HttpSubtransport>();
  subtransport->action = Action;
  subtransport->close = Close;
  subtransport->free = FreeSubtransport;
  subtransport->conversation = static_cast<Conversation*>(param);
  *out = subtransport.release();
  return 0;
}

int NewTransport(git_transport** out, git_remote* owner, void* payload) {
  git_smart_subtransport_definition definition{};
  definition.callback = NewSubtransport;
  definition.rpc = 1;  // every request stands alone, as HTTP's do
  definition.param = payload;
  return git_transport_smart(out, owner, &definition);
}

// Called while a pack is indexed, which takes time without any byte arriving.
int OnProgress(const git_indexer_progress* /*progress*/, void* payload) {
  auto* conversation = static_cast<Conversation*>(payload);
  if (Status status = conversation->exchange().Interrupted(); !status) {
    return conversation->Failed(status.error());
  }
  return 0;
}

int OnPackProgress(int /*stage*/, uint32_t /*current*/, uint32_t /*total*/, void* payload) {
  return OnProgress(nullptr, payload);
}

// The server's word on each reference of a push: null means done.
int OnReferencePushed(const char* name, const char* status, void* payload) {
  if (!status) return 0;
  Error error;
  // Git's own words for a branch that moved meanwhile; the rest is the decision of a hook or a
  // protected branch.
  const std::string_view reason = status;
  const bool moved = reason.find("fetch first") != reason.npos ||
                     reason.find("non-fast-forward") != reason.npos ||
                     reason.find("failed to update ref") != reason.npos ||
                     reason.find("cannot lock ref") != reason.npos;
  error.cls = moved ? ErrorClass::kConflict : ErrorClass::kDenied;
  error.message = fmt::format("the Git server refuses the push to {}: {}", name, reason);
  static_cast<Conversation*>(payload)->Failed(std::move(error));
  return 0;
}

}  // namespace

void Conversation::Attach(git_remote_callbacks& callbacks) {
  callbacks.transport = NewTransport;
  callbacks.transfer_progress = OnProgress;
  callbacks.pack_progress = OnPackProgress;
  callbacks.push_update_reference = OnReferencePushed;
  callbacks.payload = this;
}

Error Conversation::Explain(int code) const {
  const git_error* last = git_error_last();
  const bool protocol = last && (last->klass == GIT_ERROR_NET || last->klass == GIT_ERROR_CALLBACK);
  Error libgit = LibgitError(code);
  if (error_) return *error_;
  // libgit2 has no code for the limits of StartLibgit.
  if (libgit.message.find("overly large object") != std::string::npos) {
    libgit.cls = ErrorClass::kInvalid;
    libgit.message = fmt::format("the repository has an object of more than {} MiB",
                                 limits::kGitObjectBytes >> 20);
    return libgit;
  }
  if (libgit.message == "too many objects") {
    libgit.cls = ErrorClass::kInvalid;
    libgit.message =
        fmt::format("the repository has more than {} objects", limits::kGitPackObjects);
    return libgit;
  }
  // What is not found is an object on our own disk: what the remote does not have, it says itself.
  if (libgit.cls != ErrorClass::kConflict) {
    libgit.cls = protocol ? ErrorClass::kUnavailable : ErrorClass::kInternal;
  }
  return libgit;
}

int Conversation::Failed(Error error) {
  if (!error_) error_ = std::move(error);
  git_error_set_str(GIT_ERROR_NET, error_->message.c_str());
  return GIT_EUSER;
}

Status Conversation::CountReceived(size_t bytes) {
  received_ += bytes;
  if (received_ <= limits::kGitPackBytes) return {};
  return Fail(ErrorClass::kInvalid, "the repository is larger than {} MiB (packed)",
              limits::kGitPackBytes >> 20);
}

}  // namespace flotilla::git
