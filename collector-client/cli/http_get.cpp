// SPDX-License-Identifier: Apache-2.0
// Connects, optionally by TLS, sends one request and reads until the server
// closes; every wait ends at the deadline.
#include "collector-client/cli/http_get.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/unique_fd.h"
#include "collector-client/cli/resolve.h"

namespace siprof::client {
namespace {

using SslContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

absl::Status tls_error(const std::string& what) {
  char reason[256] = "no reason given";
  if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, reason, sizeof reason);
  return absl::UnavailableError(absl::StrCat(what, ": ", reason));
}

absl::Status wait_for(int fd, short events, absl::Time deadline) {
  for (;;) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::DeadlineExceededError("the server did not answer in time");
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot wait for the server");
  }
}

absl::StatusOr<UniqueFd> connect_to(const SocketAddress& to, absl::Time deadline) {
  UniqueFd fd(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return absl::ErrnoToStatus(errno, "cannot make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.length) == 0) return fd;
  if (errno != EINPROGRESS) return absl::ErrnoToStatus(errno, "cannot connect");
  if (absl::Status status = wait_for(fd.get(), POLLOUT, deadline); !status.ok()) return status;
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot connect");
  return fd;
}

absl::StatusOr<UniqueFd> connect_to(const Url& url, absl::Time deadline) {
  auto addresses = resolve(url.host, url.port, deadline);
  if (!addresses.ok()) return addresses.status();
  absl::StatusOr<UniqueFd> fd = absl::NotFoundError("no address");
  for (const SocketAddress& address : *addresses) {
    fd = connect_to(address, deadline);
    if (fd.ok()) break;
  }
  return fd;
}

absl::StatusOr<SslContext> tls_context(const HttpRequest& request) {
  SslContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (context == nullptr) return tls_error("TLS cannot be set up");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const int loaded = request.tls_ca.empty()
                         ? SSL_CTX_load_verify_file(context.get(), "/etc/ssl/certs/ca-certificates.crt")
                         : SSL_CTX_load_verify_file(context.get(), request.tls_ca.c_str());
  if (loaded != 1) return tls_error("cannot read the certificates to trust (--tls-ca FILE)");
  if (request.tls_cert.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(context.get(), request.tls_cert.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), request.tls_key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return tls_error("cannot use --tls-cert and --tls-key");
  }
  return context;
}

// Bytes to and from the server, with or without TLS.
class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> open(const HttpRequest& request, absl::Time deadline) {
    absl::StatusOr<UniqueFd> fd = connect_to(request.url, deadline);
    if (!fd.ok()) return fd.status();
    std::unique_ptr<Connection> connection(new Connection(*std::move(fd), deadline));
    if (request.url.tls) {
      if (absl::Status status = connection->start_tls(request); !status.ok()) return status;
    }
    return connection;
  }

  absl::Status write_all(std::string_view bytes) {
    while (!bytes.empty()) {
      std::size_t done = 0;
      const absl::Status status = retry("cannot send the request", [&] { return write_some(bytes, &done); });
      if (!status.ok()) return status;
      bytes.remove_prefix(done);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> read_all(std::size_t max_bytes) {
    std::string bytes, buffer(65536, '\0');
    for (;;) {
      std::size_t got = 0;
      const absl::Status status = retry("the connection broke", [&] { return read_some(&buffer, &got); });
      if (!status.ok()) return status;
      if (got == 0) return bytes;
      bytes.append(buffer, 0, got);
      if (bytes.size() > max_bytes) {
        return absl::ResourceExhaustedError(
            absl::StrCat("the answer has more than ", max_bytes, " bytes: ask for less"));
      }
    }
  }

 private:
  enum class Step { kDone, kWantRead, kWantWrite, kFailed };

  Connection(UniqueFd fd, absl::Time deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  absl::Status start_tls(const HttpRequest& request) {
    auto context = tls_context(request);
    if (!context.ok()) return context.status();
    context_ = *std::move(context);
    ssl_.reset(SSL_new(context_.get()));
    if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), fd_.get()) != 1) return tls_error("TLS cannot be set up");
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_.get());
    const char* host = request.url.host.c_str();
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, host) != 1) {
      SSL_set_tlsext_host_name(ssl_.get(), host);
      X509_VERIFY_PARAM_set1_host(verify, host, 0);
    }
    return retry(absl::StrCat("TLS with ", host), [&] { return after_tls(SSL_connect(ssl_.get())); });
  }

  template <typename Try>
  absl::Status retry(const std::string& what, Try attempt) {
    for (;;) {
      const Step step = attempt();
      if (step == Step::kDone) return absl::OkStatus();
      if (step == Step::kFailed) return ssl_ != nullptr ? tls_error(what) : absl::ErrnoToStatus(errno, what);
      const absl::Status status = wait_for(fd_.get(), step == Step::kWantRead ? POLLIN : POLLOUT, deadline_);
      if (!status.ok()) return status;
    }
  }

  Step after_tls(int result) {
    if (result > 0) return Step::kDone;
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return Step::kWantRead;
      case SSL_ERROR_WANT_WRITE:
        return Step::kWantWrite;
      case SSL_ERROR_ZERO_RETURN:
        return Step::kDone;
      default:
        return Step::kFailed;
    }
  }

  Step after_call(ssize_t result, Step wanted, std::size_t* done) {
    if (result >= 0) {
      *done = static_cast<std::size_t>(result);
      return Step::kDone;
    }
    return errno == EAGAIN || errno == EINTR ? wanted : Step::kFailed;
  }

  Step write_some(std::string_view bytes, std::size_t* done) {
    if (ssl_ != nullptr) return after_tls(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), done));
    return after_call(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), Step::kWantWrite, done);
  }

  Step read_some(std::string* into, std::size_t* got) {
    if (ssl_ != nullptr) return after_tls(SSL_read_ex(ssl_.get(), into->data(), into->size(), got));
    return after_call(::recv(fd_.get(), into->data(), into->size(), 0), Step::kWantRead, got);
  }

  UniqueFd fd_;
  const absl::Time deadline_;
  SslContext context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
};

}  // namespace

absl::StatusOr<HttpAnswer> http_get(const HttpRequest& request) {
  const absl::Time deadline = absl::Now() + request.timeout;
  auto connection = Connection::open(request, deadline);
  if (!connection.ok()) {
    return absl::Status(connection.status().code(), absl::StrCat(request.url.authority(), ": ",
                                                                 std::string(connection.status().message())));
  }
  std::string base = request.url.path;
  while (!base.empty() && base.back() == '/') base.pop_back();
  std::string text = absl::StrCat("GET ", base, request.path, " HTTP/1.1\r\nHost: ", request.url.authority(),
                                  "\r\nConnection: close\r\nUser-Agent: siprof/", SIPROF_VERSION, "\r\n");
  if (!request.token.empty()) absl::StrAppend(&text, "Authorization: Bearer ", request.token, "\r\n");
  text += "\r\n";
  if (absl::Status status = (*connection)->write_all(text); !status.ok()) return status;
  absl::StatusOr<std::string> bytes = (*connection)->read_all(request.max_bytes);
  if (!bytes.ok()) return bytes.status();
  return parse_http_answer(*bytes);
}

}  // namespace siprof::client
