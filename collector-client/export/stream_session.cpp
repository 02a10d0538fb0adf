// SPDX-License-Identifier: Apache-2.0
// The agent's half of siprof.v1.Collector/Connect.
#include "collector-client/export/stream_session.h"

#include <grpcpp/client_context.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "collector-client/base/clock.h"
#include "collector-client/base/presentable.h"
#include "collector-client/export/channel.h"
#include "collector.grpc.pb.h"

namespace siprof::client {
namespace {

constexpr std::uint32_t kProtocolVersion = 1;
constexpr std::size_t kMaxInFlight = 64;
constexpr absl::Duration kReadAgainAfter = absl::Seconds(1);  // what the spool can't read now

absl::Status from_grpc(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

class StreamSession::Stream {
 public:
  Stream(std::shared_ptr<grpc::Channel> channel, grpc::ClientContext* context)
      : stub_(v1::Collector::NewStub(std::move(channel))), stream_(stub_->Connect(context)) {}

  bool write(const v1::AgentMessage& message) { return stream_->Write(message); }
  bool read(v1::CollectorMessage* message) { return stream_->Read(message); }
  void writes_done() { stream_->WritesDone(); }
  absl::Status finish() { return from_grpc(stream_->Finish()); }

 private:
  std::unique_ptr<v1::Collector::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::CollectorMessage>> stream_;
};

absl::Status StreamSession::run(WhenEmpty when_empty) {
  absl::StatusOr<std::string> token = read_token(settings_);
  if (!token.ok()) return token.status();
  auto channel = make_channel(settings_);
  if (!channel.ok()) return channel.status();
  grpc::ClientContext context;
  if (!token->empty()) context.AddMetadata("authorization", absl::StrCat("Bearer ", *token));
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return absl::OkStatus();
    context_ = &context;
    last_progress_ = steady_now();
  }
  Stream stream(*std::move(channel), &context);
  std::thread reader([&] { read_all(&stream); });
  absl::Status status = greet(&stream);
  if (status.ok()) status = send_all(&stream, when_empty);
  bool ended_by_peer = false;
  {
    const std::lock_guard lock(mutex_);
    ended_by_peer = ended_;
    if (stopped_) status = absl::OkStatus();
    context_ = nullptr;
  }
  if (!ended_by_peer) context.TryCancel();
  reader.join();
  const absl::Status end = stream.finish();
  // Where the collector ended the stream, its reason is the one to show.
  if (!status.ok() && ended_by_peer && !end.ok()) return end;
  return status;
}

absl::Status StreamSession::greet(Stream* stream) {
  v1::AgentMessage message;
  v1::Hello* hello = message.mutable_hello();
  hello->set_protocol_version(kProtocolVersion);
  hello->set_agent_id(spool_->agent_id());
  hello->set_agent_version(SIPROF_VERSION);
  (*hello->mutable_resource())["host.name"] = presentable(settings_.host_name);
  (*hello->mutable_resource())["process.pid"] = absl::StrCat(::getpid());
  stream->write(message);  // a failure shows as the end of reading
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(settings_.answer_timeout),
                    [&] { return stopped_ || ended_ || welcomed_; });
  if (stopped_ || welcomed_) return absl::OkStatus();
  return ended_ ? absl::UnavailableError("the collector closed the connection")
                : absl::DeadlineExceededError("no answer: is this a siprof collector's gRPC port?");
}

absl::Status StreamSession::send_all(Stream* stream, WhenEmpty when_empty) {
  std::unique_lock lock(mutex_);
  while (!stopped_ && !ended_) {
    keep_pace(&lock);
    if (stopped_ || ended_) break;
    std::optional<Spool::Item> item;
    if (in_flight_.size() < kMaxInFlight) {
      appended_ = false;
      absl::StatusOr<std::optional<Spool::Item>> next = spool_->next_after(cursor_);
      if (!next.ok()) {
        changed_.wait_for(lock, absl::ToChronoNanoseconds(kReadAgainAfter),
                          [&] { return stopped_ || ended_; });
        continue;
      }
      item = *std::move(next);
    }
    if (item) {
      lock.unlock();
      const absl::Status status = send_one(stream, *item);
      lock.lock();
      if (!status.ok()) return status;
      continue;
    }
    if (in_flight_.empty() && when_empty == WhenEmpty::kEnd) return absl::OkStatus();
    const auto may_go_on = [&] {
      return stopped_ || ended_ || (in_flight_.size() < kMaxInFlight && appended_) ||
             (in_flight_.empty() && when_empty == WhenEmpty::kEnd);
    };
    if (in_flight_.empty()) {
      changed_.wait(lock, may_go_on);
    } else if (!changed_.wait_for(lock, absl::ToChronoNanoseconds(settings_.answer_timeout), may_go_on) &&
               steady_now() - last_progress_ >= settings_.answer_timeout) {
      return absl::DeadlineExceededError("the collector no longer acknowledges");
    }
  }
  return stopped_ ? absl::OkStatus() : absl::UnavailableError("the collector closed the connection");
}

void StreamSession::keep_pace(std::unique_lock<std::mutex>* lock) {
  while (!stopped_ && !ended_) {
    const absl::Duration left = last_sent_ + min_send_interval_ - steady_now();
    if (left <= absl::ZeroDuration()) return;
    changed_.wait_for(*lock, absl::ToChronoNanoseconds(left));
  }
}

absl::Status StreamSession::send_one(Stream* stream, const Spool::Item& item) {
  v1::AgentMessage message;
  const bool is_readable = message.ParseFromString(item.bytes);
  const bool fits = max_message_bytes_ == 0 || item.bytes.size() <= max_message_bytes_;
  {
    const std::lock_guard lock(mutex_);
    cursor_ = item.sequence;
    if (is_readable && fits)
      in_flight_.emplace(item.sequence, message.has_metrics() ? Content::kMetrics : Content::kProfile);
    last_progress_ = last_sent_ = steady_now();
  }
  if (!is_readable) {
    // Of an agent that took bytes for text. Kept, it would stand in the way of all behind it.
    spdlog::warn("message {} of spool {} is dropped: it cannot be read", item.sequence, spool_->folder());
    spool_->remove(item.sequence, Spool::Fate::kCorrupt);
    return absl::OkStatus();
  }
  if (!fits) {
    spdlog::warn("{} of {} bytes dropped: the collector takes at most {}",
                 message.has_metrics() ? "metrics" : "a profile", item.bytes.size(), max_message_bytes_);
    spool_->remove(item.sequence, Spool::Fate::kOversized);
    return absl::OkStatus();
  }
  if (stream->write(message)) return absl::OkStatus();
  // Let the reader find the reason: the stream is over.
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(settings_.answer_timeout),
                    [&] { return ended_ || stopped_; });
  return absl::UnavailableError("the connection to the collector broke");
}

void StreamSession::read_all(Stream* stream) {
  v1::CollectorMessage message;
  while (stream->read(&message)) handle(message);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void StreamSession::handle(const v1::CollectorMessage& message) {
  if (message.has_ack()) return handle_ack(message.ack());
  if (message.has_welcome()) {
    {
      const std::lock_guard lock(mutex_);
      welcomed_ = true;
      max_message_bytes_ = message.welcome().max_message_bytes();
    }
    changed_.notify_all();
    if (events_.on_welcome) events_.on_welcome();
  }
  if (message.has_configuration()) {
    {
      const std::lock_guard lock(mutex_);
      min_send_interval_ =
          absl::Nanoseconds(std::max<std::int64_t>(0, message.configuration().min_send_interval_nanos()));
    }
    changed_.notify_all();
    if (events_.on_configuration) events_.on_configuration(message.configuration());
  }
}

void StreamSession::handle_ack(const v1::Ack& ack) {
  Content content = Content::kProfile;
  {
    const std::lock_guard lock(mutex_);
    const auto sent = in_flight_.find(ack.sequence());
    if (sent != in_flight_.end()) content = sent->second;
  }
  Spool::Fate fate = Spool::Fate::kAcknowledged;
  if (ack.result() == v1::Ack::REJECTED)
    fate = content == Content::kMetrics ? Spool::Fate::kMetricsRejected : Spool::Fate::kRejected;
  spool_->remove(ack.sequence(), fate);
  {
    const std::lock_guard lock(mutex_);
    in_flight_.erase(ack.sequence());
    last_progress_ = steady_now();
    appended_ = true;  // there may be more behind what was in flight
  }
  changed_.notify_all();
  if (events_.on_ack) events_.on_ack(ack, content);
}

void StreamSession::wake() {
  const std::lock_guard lock(mutex_);
  appended_ = true;
  changed_.notify_all();
}

void StreamSession::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  if (context_ != nullptr) context_->TryCancel();
  changed_.notify_all();
}

}  // namespace siprof::client
