// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/ingest_server.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "collector/ingest/collector_service.h"
#include "collector/ingest/ingest_metrics.h"
#include "collector/ingest/server_credentials.h"
#include "collector/ingest/status_text.h"
#include "collector/ingest/stream_set.h"
#include "spdlog/spdlog.h"

namespace siprof::collector {
namespace {

constexpr absl::Duration kHousekeeping = absl::Seconds(1);
constexpr std::chrono::seconds kGoodbye{3};
constexpr char kServiceName[] = "siprof.v1.Collector";

// gRPC writes to stderr by itself, an error for each bad handshake that anybody on the network tries.
void log_of_grpc(gpr_log_func_args* entry) {
  const auto level = entry->severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::info : spdlog::level::debug;
  spdlog::log(level, "grpc: {}", entry->message);
}

// Process-wide switches; repeating them does no harm.
void set_up_process() {
  // Debian's abseil looks for lock cycles at every lock: 2 % of ingest. Tests with TSan find them as well.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  gpr_set_log_function(log_of_grpc);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
}

void set_limits(grpc::ServerBuilder& builder, const IngestOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  // Reflection still is a synchronous service with a thread a call: few, and bounded.
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 1);
  builder.SetResourceQuota(grpc::ResourceQuota("ingest").Resize(options.max_network_bytes).SetMaxThreads(8));
  // Otherwise a second collector on the same port would silently take half of the streams.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 64);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 300'000);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  // A dead agent is noticed within 40 s; agents may ping as often as every 5 s.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
}

template <typename Value>
bool look(Reloadable<Value>& value, Look when, IngestMetrics& metrics) {
  const auto result = value.look(when);
  if (result.ok() && *result == Reloaded::kUnchanged) return false;
  metrics.reloaded(result.status());
  if (!result.ok()) spdlog::error("{}; what was in force before stays", text_of(result.status()));
  return result.ok();
}

}  // namespace

class IngestServer::State {
 public:
  State(IngestOptions options, Store& store, prometheus::Registry& registry)
      : options_(std::move(options)),
        store_(store),
        metrics_(registry),
        configuration_(options_.configuration_file, parse_configuration("{}").value(), read_configuration),
        tokens_(options_.tokens_file, TokenSet(), TokenSet::read),
        streams_(options_.max_streams),
        writer_(options_, store, metrics_),
        service_({options_, writer_, metrics_, configuration_, tokens_, streams_}) {}

  absl::Status start();
  void reload(Look when);
  void stop();
  int port() const { return port_; }

 private:
  void keep_house();

  const IngestOptions options_;
  Store& store_;
  IngestMetrics metrics_;
  absl::Mutex looking_;  // held while files are looked at
  Reloadable<FleetConfiguration> configuration_;
  Reloadable<TokenSet> tokens_;
  StreamSet streams_;
  ProfileWriter writer_;
  CollectorService service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;

  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread housekeeping_;
};

absl::Status IngestServer::State::start() {
  if (const auto result = tokens_.look(Look::kAlways); !result.ok()) return result.status();
  if (const auto result = configuration_.look(Look::kAlways); !result.ok()) return result.status();
  auto credentials = server_credentials(options_);
  if (!credentials.ok()) return credentials.status();
  set_up_process();
  grpc::ServerBuilder builder;
  set_limits(builder, options_);
  builder.AddListeningPort(options_.address, *std::move(credentials), &port_);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0) {
    return absl::UnavailableError(absl::StrCat("can't listen on --grpc ", options_.address,
                                               ": the port is taken, or it is no address of this machine"));
  }
  housekeeping_ = std::thread([this] { keep_house(); });
  return absl::OkStatus();
}

void IngestServer::State::reload(Look when) {
  absl::MutexLock lock(&looking_);
  look(tokens_, when, metrics_);  // a stream with a revoked token ends at look_after()
  if (!look(configuration_, when, metrics_)) return;
  const auto streams = streams_.all();
  for (const auto& stream : streams) stream->push_configuration();
  spdlog::info("new configuration sent to {} agents", streams.size());
}

void IngestServer::State::keep_house() {
  for (;;) {
    server_->GetHealthCheckService()->SetServingStatus(kServiceName, store_.ready().ok());
    reload(Look::kIfChanged);
    for (const auto& stream : streams_.all()) stream->look_after(absl::Now());
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), kHousekeeping)) return;
  }
}

void IngestServer::State::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (housekeeping_.joinable()) housekeeping_.join();
  if (!server_) return;
  server_->GetHealthCheckService()->Shutdown();
  streams_.close();
  writer_.stop();
  for (const auto& stream : streams_.all()) {
    stream->end({grpc::StatusCode::UNAVAILABLE, "the collector stops: try again later"});
  }
  server_->Shutdown(std::chrono::system_clock::now() + kGoodbye);
  server_->Wait();
  server_.reset();
}

IngestServer::IngestServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

IngestServer::~IngestServer() {
  stop();
}

absl::StatusOr<std::unique_ptr<IngestServer>> IngestServer::start(IngestOptions options, Store& store,
                                                                  prometheus::Registry& registry) {
  auto state = std::make_unique<State>(std::move(options), store, registry);
  if (auto status = state->start(); !status.ok()) return status;
  return std::unique_ptr<IngestServer>(new IngestServer(std::move(state)));
}

int IngestServer::port() const {
  return state_->port();
}
void IngestServer::reload() {
  state_->reload(Look::kAlways);
}
void IngestServer::stop() {
  state_->stop();
}

}  // namespace siprof::collector
