// SPDX-License-Identifier: Apache-2.0
// Who is let in: tokens, TLS, client certificates. The certificates are made by
// openssl(1) when the test runs, so that none of them can expire.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "test/collector/ingest_raw_socket.h"
#include "test/collector/ingest_support.h"

namespace siprof::collector {
namespace {

using grpc::StatusCode;

// Two authorities that don't know each other, a server's and a client's certificate of the first,
// a client's of the second.
class Certificates {
 public:
  Certificates() {
    authority("ours");
    authority("theirs");
    signed_by("ours", "server", "subjectAltName=IP:127.0.0.1");
    signed_by("ours", "client", "subjectAltName=DNS:agent");
    signed_by("theirs", "stranger", "subjectAltName=DNS:agent");
  }
  std::string file(const std::string& name) const { return folder_.path(name); }
  std::string content(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(file(name)).rdbuf();
    return out.str();
  }
  IngestOptions options() const {
    IngestOptions options;
    options.tls_cert_file = file("server.crt");
    options.tls_key_file = file("server.key");
    return options;
  }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  static constexpr char kNewKey[] = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ";
  void openssl(const std::string& arguments) const {
    REQUIRE(std::system(("openssl " + arguments + " >/dev/null 2>&1").c_str()) == 0);
  }
  void authority(const std::string& name) const {
    openssl(kNewKey + file(name + ".key") + " -x509 -days 2 -subj /CN=" + name + " -out " +
            file(name + ".crt"));
  }
  void signed_by(const std::string& ca, const std::string& name, const std::string& extension) const {
    openssl(kNewKey + file(name + ".key") + " -subj /CN=" + name + " -out " + file(name + ".csr"));
    const std::string extensions = folder_.write(name + ".ext", extension);
    openssl("x509 -req -days 2 -CAcreateserial -in " + file(name + ".csr") + " -CA " + file(ca + ".crt") +
            " -CAkey " + file(ca + ".key") + " -extfile " + extensions + " -out " + file(name + ".crt"));
  }
  TemporaryFolder folder_;
};

std::shared_ptr<grpc::Channel> tls_channel(const TestServer& server, const Certificates& certificates,
                                           const std::string& trusted, const std::string& own = "") {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = certificates.content(trusted + ".crt");
  if (!own.empty()) {
    tls.pem_cert_chain = certificates.content(own + ".crt");
    tls.pem_private_key = certificates.content(own + ".key");
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(server.address(), grpc::SslCredentials(tls), arguments);
}

void check_let_in(const std::shared_ptr<grpc::Channel>& channel, const std::string& token = "") {
  static std::uint64_t sequence = 0;
  TestAgent agent(channel, token);
  agent.greet();
  REQUIRE(agent.send(sample_profile(++sequence)));
  CHECK(agent.next_ack().result() == v1::Ack::STORED);
  CHECK(agent.close().ok());
}

grpc::Status end_of(const std::shared_ptr<grpc::Channel>& channel, const std::string& token = "") {
  TestAgent agent(channel, token);
  agent.send_hello();
  return agent.status();
}

std::string start_error(const IngestOptions& options) {
  FakeStore store;
  prometheus::Registry registry;
  IngestOptions local = options;
  local.address = "127.0.0.1:0";
  return std::string(IngestServer::start(local, store, registry).status().message());
}

TEST_CASE("with a token file only a known token is let in") {
  const TemporaryFolder folder;
  IngestOptions options;
  options.tokens_file = folder.write("tokens", "alpha\nbeta\n");
  TestServer server(options);
  const grpc::Status none = end_of(server.channel());
  CHECK(none.error_code() == StatusCode::UNAUTHENTICATED);
  CHECK(none.error_message() == "a token is needed: give the agent --token or SIPROF_TOKEN");
  for (const char* wrong : {"gamma", "alph", "alphaa"}) {
    CHECK(end_of(server.channel(), wrong).error_message() == "this collector doesn't know the agent's token");
  }
  for (const char* good : {"alpha", "beta"}) check_let_in(server.channel(), good);
  CHECK(server.counter("siprof_ingest_streams_refused_total", "unauthenticated") == 4);
}

TEST_CASE("a token taken from the file ends its streams, a new one is let in, without a restart") {
  const TemporaryFolder folder;
  IngestOptions options;
  options.tokens_file = folder.write("tokens", "alpha\nbeta\n");
  TestServer server(options);
  TestAgent revoked(server.channel(), "alpha"), kept(server.channel(), "beta");
  revoked.greet();
  kept.greet(std::string(32, 'b'));
  folder.write("tokens", "beta\ngamma\n");
  CHECK(revoked.status().error_code() == StatusCode::UNAUTHENTICATED);
  check_let_in(server.channel(), "gamma");
  REQUIRE(kept.send(sample_profile(1)));
  CHECK(kept.next_ack().result() == v1::Ack::STORED);
}

TEST_CASE("a token file that others can read doesn't start") {
  const TemporaryFolder folder;
  IngestOptions options;
  options.tokens_file = folder.write("tokens", "alpha\n");
  chmod(options.tokens_file.c_str(), 0644);
  CHECK(start_error(options).find("can be read or written by every user: chmod o-rw") != std::string::npos);
}

TEST_CASE("TLS lets in who trusts the collector's certificate, and nobody in plaintext") {
  const Certificates certificates;
  TestServer server(certificates.options());
  check_let_in(tls_channel(server, certificates, "ours"));
  CHECK(end_of(tls_channel(server, certificates, "theirs")).error_code() == StatusCode::UNAVAILABLE);
  CHECK(end_of(server.channel()).error_code() == StatusCode::UNAVAILABLE);
  send_and_hang_up(server.server->port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  send_and_hang_up(server.server->port(), "\x16\x03\x01\x02");
  check_let_in(tls_channel(server, certificates, "ours"));
  CHECK(server.store.stored() == 2);
}

TEST_CASE("with a client authority only its certificates are let in, and the token is needed as well") {
  const Certificates certificates;
  IngestOptions options = certificates.options();
  options.tls_client_ca_file = certificates.file("ours.crt");
  options.tokens_file = certificates.folder().write("tokens", "alpha\n");
  TestServer server(options);
  check_let_in(tls_channel(server, certificates, "ours", "client"), "alpha");
  CHECK(end_of(tls_channel(server, certificates, "ours", "client")).error_code() ==
        StatusCode::UNAUTHENTICATED);
  CHECK(end_of(tls_channel(server, certificates, "ours"), "alpha").error_code() == StatusCode::UNAVAILABLE);
  CHECK(end_of(tls_channel(server, certificates, "ours", "stranger"), "alpha").error_code() ==
        StatusCode::UNAVAILABLE);
  CHECK(server.store.stored() == 1);
}

TEST_CASE("TLS options that can't work are named at the start") {
  const Certificates certificates;
  IngestOptions options = certificates.options();
  options.tls_key_file.clear();
  CHECK(start_error(options) == "--tls-cert and --tls-key go together: give both");
  options.tls_key_file = certificates.file("client.key");
  CHECK(start_error(options).find("isn't the key of --tls-cert") != std::string::npos);
  options.tls_key_file = certificates.file("server.crt");
  CHECK(start_error(options).find("no PEM key") != std::string::npos);
  options.tls_key_file = certificates.file("missing");
  CHECK(start_error(options) == "--tls-key " + options.tls_key_file + ": No such file or directory");
  options = certificates.options();
  options.tls_cert_file = certificates.file("server.key");
  CHECK(start_error(options).find("--tls-cert") == 0);
  options = IngestOptions();
  options.tls_client_ca_file = certificates.file("ours.crt");
  CHECK(start_error(options) == "--tls-client-ca needs --tls-cert and --tls-key");
}

}  // namespace
}  // namespace siprof::collector
