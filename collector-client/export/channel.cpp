// SPDX-License-Identifier: Apache-2.0
// gRPC channel and credentials by the settings.
#include "collector-client/export/channel.h"

#include <grpc/support/log.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"
#include "collector-client/base/url.h"

namespace siprof::client {
namespace {

constexpr std::uint16_t kDefaultPort = 9460;
constexpr std::size_t kMaxPemBytes = 1 << 20;
constexpr std::size_t kMaxTokenBytes = 8192;
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;

// gRPC's own lines would go to stderr, which may be the app's.
void log_grpc_line(gpr_log_func_args* args) {
  spdlog::debug("grpc: {}", args->message);
}

absl::Status read_pem(const std::string& path, const char* what, std::string* into) {
  if (path.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> pem = read_file(path, kMaxPemBytes);
  if (!pem.ok())
    return absl::Status(pem.status().code(), absl::StrCat(what, ": ", std::string(pem.status().message())));
  *into = *std::move(pem);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials(const StreamSettings& settings,
                                                                      bool tls) {
  const TlsFiles& files = settings.tls;
  if (!tls) {
    if (!files.ca.empty() || !files.cert.empty() || !files.key.empty()) {
      return absl::InvalidArgumentError("--tls-… options need a collector address that begins with https://");
    }
    return grpc::InsecureChannelCredentials();
  }
  if (files.cert.empty() != files.key.empty()) {
    return absl::InvalidArgumentError("mTLS needs both --tls-cert and --tls-key");
  }
  grpc::SslCredentialsOptions options;
  absl::Status status = read_pem(files.ca, "--tls-ca", &options.pem_root_certs);
  if (status.ok()) status = read_pem(files.cert, "--tls-cert", &options.pem_cert_chain);
  if (status.ok()) status = read_pem(files.key, "--tls-key", &options.pem_private_key);
  if (!status.ok()) return status;
  return grpc::SslCredentials(options);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> make_channel(const StreamSettings& settings) {
  static std::once_flag once;
  std::call_once(once, [] { gpr_set_log_function(log_grpc_line); });
  const absl::StatusOr<Url> url = parse_url(settings.collector, kDefaultPort);
  if (!url.ok()) return url.status();
  auto with = credentials(settings, url->tls);
  if (!with.ok()) return with.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A channel lives for one attempt: back-off is the exporter's, and nothing of
  // a failed attempt is shared with the next.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // http_proxy is the app's variable, not ours: a collector on loopback must not go there.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(url->authority(), *with, arguments);
}

absl::StatusOr<std::string> read_token(const StreamSettings& settings) {
  std::string token = settings.token;
  if (token.empty() && !settings.token_file.empty()) {
    absl::StatusOr<std::string> file = read_file(settings.token_file, kMaxTokenBytes);
    if (!file.ok()) return file.status();
    token = std::string(trim(*file));
  }
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
    return absl::InvalidArgumentError("the token holds blanks or characters that are not ASCII");
  }
  return token;
}

}  // namespace siprof::client
