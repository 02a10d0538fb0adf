// SPDX-License-Identifier: Apache-2.0
// siprof-collector: builds the store, the gRPC and the HTTP server from the
// command line, waits for SIGTERM or SIGINT, takes them down in order.
#include <signal.h>
#include <sys/resource.h>

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <variant>

#include "absl/strings/str_cat.h"
#include "collector/http/http_server.h"
#include "collector/ingest/ingest_server.h"
#include "collector/options.h"
#include "collector/store/sqlite/sqlite_reader.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace siprof::collector {
namespace {

constexpr int kUsageError = 2;
constexpr time_t kMaintenanceSeconds = 10;

IngestOptions ingest_options(const Options& options) {
  IngestOptions ingest;
  ingest.address = options.grpc.text();
  ingest.tokens_file = options.tokens_file;
  ingest.configuration_file = options.config_file;
  ingest.tls_cert_file = options.tls_cert_file;
  ingest.tls_key_file = options.tls_key_file;
  ingest.tls_client_ca_file = options.tls_client_ca_file;
  ingest.limits.oldest = absl::Nanoseconds(options.tiers.front().keep_ns);
  return ingest;
}

HttpOptions http_options(const Options& options) {
  HttpOptions http;
  http.host = options.http.host;
  http.port = options.http.port;
  http.web_tokens_file = options.web_tokens_file;
  http.tls_cert_file = options.tls_cert_file;
  http.tls_key_file = options.tls_key_file;
  http.any_host = options.insecure;
  return http;
}

// SIGTERM and SIGINT end it; SIGHUP rereads files; in between the store is kept tidy.
void serve(const sigset_t& signals, sqlite::SqliteStore& store, IngestServer& ingest,
           prometheus::Gauge& bytes) {
  while (true) {
    bytes.Set(static_cast<double>(store.bytes()));
    const timespec wait{kMaintenanceSeconds, 0};
    const int signal = sigtimedwait(&signals, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) return;
    if (signal == SIGHUP) ingest.reload();
    if (const absl::Status status = store.maintain(); !status.ok())
      spdlog::error("removing old profiles: {}", std::string(status.message()));
  }
}

absl::Status run(const Options& options, const sigset_t& signals) {
  auto store = sqlite::SqliteStore::open({options.store_dir, options.tiers, options.store_bytes, {}});
  if (!store.ok()) return store.status();
  auto reader = sqlite::SqliteReader::open(options.store_dir, options.tiers.front());
  if (!reader.ok()) return reader.status();
  prometheus::Registry registry;
  prometheus::Gauge& bytes = prometheus::BuildGauge()
                                 .Name("siprof_store_bytes")
                                 .Help("Size of the store on disk")
                                 .Register(registry)
                                 .Add({});
  auto ingest = IngestServer::start(ingest_options(options), **store, registry);
  if (!ingest.ok()) return ingest.status();
  auto http = HttpServer::start(http_options(options), **reader, **store, registry);
  if (!http.ok()) return http.status();
  // Scripts read these two lines.
  const Address dashboard{options.http.host, (*http)->port()};
  const Address grpc{options.grpc.host, (*ingest)->port()};
  std::fprintf(stderr, "siprof-collector: dashboard %s://%s\nsiprof-collector: grpc %s\n",
               options.tls_cert_file.empty() ? "http" : "https", dashboard.text().c_str(),
               grpc.text().c_str());
  serve(signals, **store, **ingest, bytes);
  spdlog::info("stopping");
  // First what writes, then what reads; the store closes last, with this frame.
  (*ingest)->stop();
  return absl::OkStatus();
}

// Blocked in every thread, for they inherit it: only sigtimedwait() sees them.
// A full disk quota and a reader that went away are errors, not deaths.
sigset_t set_up_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Each agent and each browser is a connection; with the usual 1024 some hundreds of them would leave the
// store without files.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    spdlog::warn("can't raise the limit of open files: {}", std::strerror(errno));
}

int main_of(int argc, const char* const* argv) {
  spdlog::set_default_logger(spdlog::stderr_logger_mt("siprof-collector"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  const sigset_t signals = set_up_signals();
  raise_descriptor_limit();
  const auto options = parse_options(argc, argv);
  if (!options.ok()) {
    std::fprintf(stderr, "siprof-collector: %s\n", std::string(options.status().message()).c_str());
    return kUsageError;
  }
  if (const auto* printed = std::get_if<Printed>(&*options)) {
    std::fputs(printed->text.c_str(), stdout);
    return 0;
  }
  const absl::Status status = run(std::get<Options>(*options), signals);
  if (status.ok()) return 0;
  std::fprintf(stderr, "siprof-collector: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace
}  // namespace siprof::collector

int main(int argc, char** argv) {
  return siprof::collector::main_of(argc, argv);
}
