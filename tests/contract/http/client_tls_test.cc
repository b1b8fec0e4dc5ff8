// Whom every HttpClient trusts, and as whom it presents itself.
#include "certificates.h"
#include "http/server.h"
#include "subject.h"

namespace flotilla::http {
namespace {

// A server that answers with the certificate of its client.
struct TlsServer {
  TlsServer(Runtime& runtime, const Identity& identity, const std::string& client_ca = {}) {
    ServerOptions options;
    options.certificate_pem = identity.certificate_pem;
    options.key_pem = identity.key_pem;
    options.client_ca_pem = client_ca;
    server = *Serve(runtime, options, [](const ServerRequest& request) {
      return ServerResponse{200,
                            {{"X-Host", std::string(Find(request.headers, "host"))}},
                            request.client_certificate_pem,
                            {}};
    });
  }
  std::string Url(const char* host = "127.0.0.1") const {
    return fmt::format("https://{}:{}/", host, server->port());
  }
  std::unique_ptr<HttpServer> server;
};

Request With(Subject& subject, std::string url, Transport transport) {
  Request request = subject.To(Method::kPatch, std::move(url), "{}");
  request.transport = std::make_shared<const Transport>(std::move(transport));
  return request;
}

TEST_CASE("a server is trusted by the authority of its transport, and by no other") {
  Subject subject(GENERATE(from_range(Backends())));
  CertificateAuthority authority("cluster");
  CertificateAuthority other("other");
  TlsServer server(subject.runtime, authority.Issue("server", {"IP:127.0.0.1", "DNS:localhost"}));

  Transport trusting;
  trusting.ca_pem = authority.certificate_pem();
  CHECK(subject.Do(With(subject, server.Url(), trusting)));
  CHECK(subject.Do(With(subject, server.Url("localhost"), trusting)));

  Transport both;
  both.ca_pem = other.certificate_pem() + authority.certificate_pem();
  CHECK(subject.Do(With(subject, server.Url(), both)));

  Transport wrong;
  wrong.ca_pem = other.certificate_pem();
  for (const Transport& transport : {wrong, Transport()}) {
    auto answer = subject.Do(With(subject, server.Url(), transport));
    REQUIRE_FALSE(answer);
    CHECK(answer.error().cls == ErrorClass::kUnauthenticated);
    CHECK(answer.error().outcome == Outcome::kNotSent);
  }

  Transport careless;
  careless.insecure_skip_verify = true;
  CHECK(subject.Do(With(subject, server.Url(), careless)));
}

TEST_CASE("an authority that is no certificate is refused, not replaced by the system's") {
  Subject subject(GENERATE(from_range(Backends())));
  CertificateAuthority authority("cluster");
  TlsServer server(subject.runtime, authority.Issue("server", {"IP:127.0.0.1"}));
  Transport transport;
  transport.ca_pem = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n";
  auto answer = subject.Do(With(subject, server.Url(), transport));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().cls == ErrorClass::kInvalid);
  CHECK(answer.error().outcome == Outcome::kNotSent);
}

TEST_CASE("the name of the server is verified") {
  Subject subject(GENERATE(from_range(Backends())));
  CertificateAuthority authority("cluster");
  struct Case {
    const char* san;
    const char* host;
    const char* server_name;
    bool trusted;
  };
  for (const Case& each :
       {Case{"IP:127.0.0.1", "127.0.0.1", "", true}, Case{"IP:127.0.0.2", "127.0.0.1", "", false},
        Case{"DNS:127.0.0.1", "127.0.0.1", "", false}, Case{"DNS:localhost", "localhost", "", true},
        Case{"DNS:localhost", "127.0.0.1", "", false}, Case{"DNS:other", "localhost", "", false},
        Case{"DNS:kubernetes.default", "127.0.0.1", "kubernetes.default", true},
        Case{"DNS:kubernetes.default", "localhost", "kubernetes.default", true},
        Case{"DNS:localhost", "localhost", "kubernetes.default", false},
        Case{"IP:10.0.0.1", "localhost", "10.0.0.1", true}}) {
    CAPTURE(subject.backend, each.san, each.host, each.server_name);
    TlsServer server(subject.runtime, authority.Issue("kubernetes.default", {each.san}));
    Transport transport;
    transport.ca_pem = authority.certificate_pem();
    transport.server_name = each.server_name;
    auto answer = subject.Do(With(subject, server.Url(each.host), transport));
    if (each.trusted) {
      REQUIRE(answer);
      // The server is still called by the name of the URL.
      CHECK(Find(answer->headers, "x-host") ==
            fmt::format("{}:{}", each.host, server.server->port()));
    } else {
      REQUIRE_FALSE(answer);
      CHECK(answer.error().cls == ErrorClass::kUnauthenticated);
      CHECK(answer.error().outcome == Outcome::kNotSent);
    }
  }
}

TEST_CASE("a client presents its certificate") {
  Subject subject(GENERATE(from_range(Backends())));
  CertificateAuthority authority("cluster");
  CertificateAuthority clients("clients");
  TlsServer server(subject.runtime, authority.Issue("server", {"IP:127.0.0.1"}),
                   clients.certificate_pem());
  const Identity admin = clients.Issue("admin", {});
  Transport transport;
  transport.ca_pem = authority.certificate_pem();

  auto anonymous = subject.Do(With(subject, server.Url(), transport));
  REQUIRE(anonymous);
  CHECK(anonymous->body.empty());

  transport.client_cert_pem = admin.certificate_pem;
  transport.client_key_pem = admin.key_pem;
  for (int i = 0; i < 3; ++i) {  // also over kept connections and resumed sessions
    auto answer = subject.Do(With(subject, server.Url(), transport));
    REQUIRE(answer);
    CHECK(answer->body == admin.certificate_pem);
  }

  const Identity stranger = CertificateAuthority("strangers").Issue("admin", {});
  transport.client_cert_pem = stranger.certificate_pem;
  transport.client_key_pem = stranger.key_pem;
  CHECK_FALSE(subject.Do(With(subject, server.Url(), transport)));

  transport.client_key_pem = admin.key_pem;  // of another certificate
  auto mismatched = subject.Do(With(subject, server.Url(), transport));
  REQUIRE_FALSE(mismatched);
  CHECK(mismatched.error().cls == ErrorClass::kInvalid);
  CHECK(mismatched.error().outcome == Outcome::kNotSent);
}

TEST_CASE("transports never share a connection") {
  Subject subject(GENERATE(from_range(Backends())));
  CertificateAuthority authority("cluster");
  TlsServer server(subject.runtime, authority.Issue("server", {"IP:127.0.0.1"}),
                   authority.certificate_pem());
  const Identity admin = authority.Issue("admin", {});
  Transport as_admin;
  as_admin.ca_pem = authority.certificate_pem();
  as_admin.client_cert_pem = admin.certificate_pem;
  as_admin.client_key_pem = admin.key_pem;
  Transport as_nobody;
  as_nobody.ca_pem = authority.certificate_pem();
  Request admins = With(subject, server.Url(), as_admin);
  Request nobodys = With(subject, server.Url(), as_nobody);
  for (int i = 0; i < 3; ++i) {
    CHECK(subject.Do(admins)->body == admin.certificate_pem);
    CHECK(subject.Do(nobodys)->body.empty());
  }
}

TEST_CASE("a stream speaks TLS as its transport says") {
  Subject subject(GENERATE(from_range(Backends())));
  CertificateAuthority authority("cluster");
  TlsServer server(subject.runtime, authority.Issue("server", {"IP:127.0.0.1"}),
                   authority.certificate_pem());
  const Identity admin = authority.Issue("admin", {});
  Transport transport;
  transport.ca_pem = authority.certificate_pem();
  transport.client_cert_pem = admin.certificate_pem;
  transport.client_key_pem = admin.key_pem;
  Recorder recorder(subject.runtime);
  auto stream =
      subject.client->Open(With(subject, server.Url(), transport), 30s, recorder.Events());
  REQUIRE(recorder.AwaitEnd());
  CHECK(recorder.end());
  CHECK(recorder.text() == admin.certificate_pem);
}

}  // namespace
}  // namespace flotilla::http
