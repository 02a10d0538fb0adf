// SPDX-License-Identifier: Apache-2.0
// Keeps a session with the collector going; see stream_session.h for its inside.
#include "collector-client/export/stream_exporter.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "collector-client/export/backoff.h"
#include "collector-client/export/channel.h"
#include "collector-client/export/metric_messages.h"
#include "collector-client/export/spool.h"
#include "collector-client/export/stream_session.h"
#include "collector.pb.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMaxReasons = 32;  // of rejections, that are remembered as logged
// Not all that leaves the spool is acknowledged: some is found to be of no use.
constexpr absl::Duration kFlushLook = absl::Milliseconds(200);

// A peer that doesn't like what it is offered hangs up without a word: it speaks TLS and we don't, or, with
// TLS 1.3, it wants another client certificate.
const char* hint(const StreamSettings& settings, const absl::Status& status, bool connected) {
  const std::string message(status.message());
  const bool hung_up = message.find("Socket closed") != std::string::npos ||
                       message.find("reset by peer") != std::string::npos;
  if (connected || !absl::IsUnavailable(status) || !hung_up) return "";
  if (!settings.collector.starts_with("https:")) return " (does it speak TLS? then write https:// instead)";
  return settings.tls.cert.empty() ? " (does it want a client certificate? give --tls-cert and --tls-key)"
                                   : " (is the client certificate one that it trusts? see --tls-cert)";
}

v1::AgentMessage to_message(FinishedProfile profile) {
  v1::AgentMessage message;
  v1::Profile* out = message.mutable_profile();
  out->set_kind(profile.kind);
  out->set_start_unix_nanos(absl::ToUnixNanos(profile.start));
  out->set_duration_nanos(absl::ToInt64Nanoseconds(profile.duration));
  out->mutable_attributes()->insert(profile.attributes.begin(), profile.attributes.end());
  out->set_pprof_gzip(std::move(profile.pprof_gzip));
  out->mutable_counters()->insert(profile.counters.begin(), profile.counters.end());
  return message;
}

class StreamExporter : public Exporter {
 public:
  StreamExporter(const StreamSettings& settings, std::unique_ptr<Spool> spool, ConfigurationSink sink)
      : settings_(settings), spool_(std::move(spool)), sink_(std::move(sink)) {
    sender_ = std::thread([this] { keep_connected(); });
  }

  ~StreamExporter() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (session_ != nullptr) session_->stop();
      if (orphan_session_ != nullptr) orphan_session_->stop();
      changed_.notify_all();
    }
    sender_.join();
    if (adopter_.joinable()) adopter_.join();
  }

  void submit(FinishedProfile profile) override { append(to_message(std::move(profile))); }

  void submit(FinishedMetrics metrics) override {
    for (v1::AgentMessage& message : metric_messages(metrics)) append(std::move(message));
  }

  absl::Status flush(absl::Time deadline) override {
    std::unique_lock lock(mutex_);
    retry_now_ = true;  // the program may end after this: no waiting out of a back-off
    changed_.notify_all();
    while (spool_->size() > 0) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) {
        return absl::DeadlineExceededError(
            absl::StrCat(spool_->size(), " profiles wait in ", spool_->folder(), ": ", last_error_));
      }
      changed_.wait_for(lock, absl::ToChronoNanoseconds(std::min(left, kFlushLook)));
    }
    return absl::OkStatus();
  }

  std::map<std::string, std::uint64_t> counters() const override {
    std::map<std::string, std::uint64_t> counters = spool_->counters();
    const std::lock_guard lock(mutex_);
    counters["export_connects"] = connects_;
    counters["export_connect_failures"] = failures_;
    counters["export_connected"] = connected_ ? 1 : 0;
    return counters;
  }

 private:
  SessionEvents events() {
    return {sink_, [this] { welcomed(); },
            [this](const v1::Ack& ack, Content content) { acknowledged(ack, content); }};
  }

  void append(v1::AgentMessage message) {
    spool_->append(std::move(message));
    const std::lock_guard lock(mutex_);
    if (session_ != nullptr) session_->wake();
  }

  void keep_connected() {
    Backoff backoff(settings_.first_retry, settings_.last_retry);
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      StreamSession session(settings_, spool_.get(), events());
      session_ = &session;
      got_ack_ = false;
      const absl::Time started = absl::Now();
      lock.unlock();
      const absl::Status status = session.run(WhenEmpty::kWait);
      lock.lock();
      session_ = nullptr;
      const bool was_connected = std::exchange(connected_, false);
      if (stopping_) return;
      disconnected(status, was_connected);
      if (got_ack_ || absl::Now() - started > settings_.last_retry) backoff.reset();
      retry_now_ = false;
      changed_.wait_for(lock, absl::ToChronoNanoseconds(backoff.next()),
                        [&] { return stopping_ || retry_now_; });
    }
  }

  // Under mutex_. Each new reason is a line; the same one again isn't.
  void disconnected(const absl::Status& status, bool was_connected) {
    ++failures_;
    const std::string reason =
        absl::StrCat("collector ", settings_.collector, ": ", absl::StatusCodeToString(status.code()), ": ",
                     std::string(status.message()), hint(settings_, status, was_connected));
    if (reason != last_error_)
      spdlog::warn("{}; trying again, profiles wait in {}", reason, spool_->folder());
    last_error_ = reason;
  }

  void welcomed() {
    const std::lock_guard lock(mutex_);
    ++connects_;
    connected_ = true;
    if (!last_error_.empty()) spdlog::warn("collector {}: connected", settings_.collector);
    last_error_.clear();
    if (!adopter_.joinable() && !stopping_) adopter_ = std::thread([this] { send_orphans(); });
  }

  void acknowledged(const v1::Ack& ack, Content content) {
    const std::lock_guard lock(mutex_);
    got_ack_ = true;
    if (ack.result() == v1::Ack::REJECTED && reasons_.size() < kMaxReasons &&
        reasons_.insert(ack.reason()).second) {
      // A collector that is older than its agents takes none; profiles go on.
      if (content == Content::kMetrics)
        spdlog::warn("collector {} rejects metrics: {}", settings_.collector, ack.reason());
      else
        spdlog::error("collector {} rejects a profile: {}", settings_.collector, ack.reason());
    }
    changed_.notify_all();
  }

  // What agents that were killed beside this one have left, once per start. It
  // goes under their own identities, so that repeats are noticed.
  void send_orphans() {
    const Spool::Limits limits{settings_.spool_bytes};
    for (auto& spool : Spool::take_orphans(settings_.spool, limits)) {
      StreamSession session(settings_, spool.get(), {nullptr, nullptr, nullptr});
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        orphan_session_ = &session;
      }
      const absl::Status status = session.run(WhenEmpty::kEnd);
      const std::lock_guard lock(mutex_);
      orphan_session_ = nullptr;
      if (!status.ok())
        spdlog::info("left over spool {}: {}", spool->folder(), std::string(status.message()));
    }
  }

  const StreamSettings settings_;
  const std::unique_ptr<Spool> spool_;
  const ConfigurationSink sink_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  StreamSession* session_ = nullptr;
  StreamSession* orphan_session_ = nullptr;
  bool stopping_ = false;
  bool connected_ = false;
  bool got_ack_ = false;
  bool retry_now_ = false;
  std::uint64_t connects_ = 0;
  std::uint64_t failures_ = 0;
  std::string last_error_;
  std::set<std::string> reasons_;
  std::thread sender_;
  std::thread adopter_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Exporter>> make_stream_exporter(const StreamSettings& settings,
                                                               ConfigurationSink on_configuration) {
  // Both are read again at each connect; here they only tell mistakes early.
  if (auto channel = make_channel(settings); !channel.ok()) return channel.status();
  if (auto token = read_token(settings); !token.ok()) return token.status();
  absl::StatusOr<std::unique_ptr<Spool>> spool = Spool::open(settings.spool, {settings.spool_bytes});
  if (!spool.ok()) return spool.status();
  return std::make_unique<StreamExporter>(settings, *std::move(spool), std::move(on_configuration));
}

}  // namespace siprof::client
