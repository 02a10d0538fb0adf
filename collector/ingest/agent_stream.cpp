// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/agent_stream.h"

#include <grpcpp/alarm.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "collector/ingest/metrics_intake.h"
#include "collector/ingest/profile_intake.h"
#include "collector/ingest/status_text.h"
#include "collector/ingest/stream_set.h"
#include "spdlog/spdlog.h"

namespace siprof::collector {
namespace {

constexpr std::uint32_t kProtocolVersion = 1;
constexpr std::size_t kAgentIdDigits = 32;
// Profiles and metrics of one stream that wait for the store or for the agent to read the answer.
constexpr std::size_t kMaxUnanswered = 256;
// How long an agent may leave its answers unread before the stream is cut.
constexpr absl::Duration kMaxUnread = absl::Seconds(60);
constexpr absl::Duration kMaxGoodbye = absl::Seconds(5);

bool is_agent_id(const std::string& text) {
  return text.size() == kAgentIdDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

grpc::Status bad_message(const char* what) {
  return {grpc::StatusCode::INVALID_ARGUMENT, what};
}

// An alarm that is due at once. A new one each time: setting one again while its function still runs
// would destroy that function.
void run_on_grpc_thread(std::function<void()> function) {
  auto alarm = std::make_shared<grpc::Alarm>();
  alarm->Set(gpr_now(GPR_CLOCK_MONOTONIC), [alarm, function = std::move(function)](bool) mutable {
    const auto last = std::move(alarm);  // breaks the circle: it holds this function
    function();
  });
}

}  // namespace

AgentStream::AgentStream(grpc::CallbackServerContext* call, StreamContext& context, std::string token)
    : call_(call), context_(context), token_(std::move(token)), opened_(absl::Now()) {}

void AgentStream::start() {
  self_ = shared_from_this();
  context_.metrics.stream_opened();
  absl::MutexLock lock(&mutex_);
  reading_ = false;
  advance();
}

void AgentStream::OnDone() {
  context_.metrics.stream_closed();
  context_.streams.remove(shared_from_this());
  // Last: the writer may still hold a reference, or this was the last one.
  const auto last = std::move(self_);
}

void AgentStream::OnReadDone(bool ok) {
  if (ok) return take_message();
  absl::MutexLock lock(&mutex_);
  reading_ = false;
  no_more_input_ = true;
  advance();
}

// Context: gRPC's thread that finished the read, or another of its after room_again().
void AgentStream::take_message() {
  bool greeted;
  {
    absl::MutexLock lock(&mutex_);
    greeted = greeted_ && !ending_ && !finished_;
  }
  if (greeted && !context_.writer.has_room(shared_from_this())) return;  // room_again() goes on from here
  v1::AgentMessage message;
  const grpc::ByteBuffer bytes = incoming_;  // the same memory: deserializing gives its own back
  grpc::Status status =
      grpc::GenericDeserialize<grpc::ProtoBufferReader, v1::AgentMessage>(&incoming_, &message);
  incoming_.Clear();
  status = status.ok() ? handle(message) : take_unreadable(bytes);
  if (!status.ok()) end(status);
  absl::MutexLock lock(&mutex_);
  reading_ = false;
  advance();
}

grpc::Status AgentStream::handle(const v1::AgentMessage& message) {
  if (message.has_hello()) return agent_id_.empty() ? greet(message.hello()) : bad_message("a second hello");
  if (agent_id_.empty()) return bad_message("the first message has to be hello");
  if (message.has_profile()) {
    take_profile(message.profile());
  } else if (message.has_metrics()) {
    take_metrics(message.metrics());
  } else {
    return bad_message("a message that is neither hello, profile nor metrics");
  }
  return grpc::Status::OK;
}

grpc::Status AgentStream::greet(const v1::Hello& hello) {
  if (hello.protocol_version() != kProtocolVersion) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            absl::StrCat("this collector speaks protocol version ", kProtocolVersion, ", the agent version ",
                         hello.protocol_version(), ": install the same siprof on both sides")};
  }
  if (!is_agent_id(hello.agent_id())) return bad_message("agent_id has to be 32 lower-case hex digits");
  agent_id_ = hello.agent_id();
  v1::CollectorMessage message;
  message.mutable_welcome()->set_protocol_version(kProtocolVersion);
  message.mutable_welcome()->set_collector_version(SIPROF_VERSION);
  message.mutable_welcome()->set_max_message_bytes(context_.options.max_message_bytes);
  absl::MutexLock lock(&mutex_);
  greeted_ = true;
  send(message);
  send_configuration();
  return grpc::Status::OK;
}

void AgentStream::take_profile(const v1::Profile& profile) {
  context_.metrics.received(profile.pprof_gzip().size());
  auto incoming = take_in(profile, agent_id_, context_.options.limits, absl::Now());
  if (incoming.ok()) return submit(*std::move(incoming));
  context_.metrics.rejected(refusal_class(incoming.status()));
  reject(profile.sequence(), "profile", incoming.status());
}

void AgentStream::take_metrics(const v1::Metrics& metrics) {
  context_.metrics.metrics_received(static_cast<std::size_t>(metrics.points_size()));
  auto incoming = take_in(metrics, agent_id_, context_.options.limits, absl::Now());
  if (incoming.ok()) return submit(*std::move(incoming));
  context_.metrics.metrics_rejected(refusal_class(incoming.status()));
  reject(metrics.sequence(), "metrics", incoming.status());
}

grpc::Status AgentStream::take_unreadable(const grpc::ByteBuffer& message) {
  grpc::Slice bytes;
  std::optional<std::uint64_t> sequence;
  if (!agent_id_.empty() && message.DumpToSingleSlice(&bytes).ok())
    sequence = sequence_of_metrics({reinterpret_cast<const char*>(bytes.begin()), bytes.size()});
  if (!sequence) return bad_message("not a siprof.v1.AgentMessage");
  const auto why =
      absl::InvalidArgumentError("metrics that can't be read: a text isn't UTF-8, or they are malformed");
  context_.metrics.metrics_received(0);
  context_.metrics.metrics_rejected(refusal_class(why));
  reject(*sequence, "metrics", why);
  return grpc::Status::OK;
}

template <typename Incoming>
void AgentStream::submit(Incoming incoming) {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_ || finished_) return;
    ++in_writer_;
  }
  context_.writer.submit(std::move(incoming), shared_from_this());
}

void AgentStream::reject(std::uint64_t sequence, const char* what, const absl::Status& why) {
  spdlog::info("agent {}: {} {} rejected: {}", agent_id_, what, sequence, text_of(why));
  v1::Ack ack;
  ack.set_sequence(sequence);
  ack.set_result(v1::Ack::REJECTED);
  ack.set_reason(text_of(why));
  absl::MutexLock lock(&mutex_);
  send_ack(ack);
}

void AgentStream::answer(const v1::Ack& ack) {
  absl::MutexLock lock(&mutex_);
  --in_writer_;
  send_ack(ack);
  advance();
}

void AgentStream::give_up(const absl::Status& why) {
  {
    absl::MutexLock lock(&mutex_);
    gave_up_ = true;
  }
  end({grpc::StatusCode::UNAVAILABLE, text_of(why)});
}

bool AgentStream::gave_up() const {
  absl::MutexLock lock(&mutex_);
  return gave_up_;
}

// Decoding is for gRPC's threads, the writer's has better things to do.
void AgentStream::room_again() {
  run_on_grpc_thread([weak = weak_from_this()] {
    if (const auto stream = weak.lock()) stream->take_message();
  });
}

void AgentStream::send(const v1::CollectorMessage& message) {
  if (ending_ || finished_) return;
  bool own_buffer = false;
  grpc::ByteBuffer buffer;
  // Serializing to memory doesn't fail.
  (void)grpc::GenericSerialize<grpc::ProtoBufferWriter, v1::CollectorMessage>(message, &buffer, &own_buffer);
  outgoing_.push_back(std::move(buffer));
}

void AgentStream::send_ack(const v1::Ack& ack) {
  v1::CollectorMessage message;
  *message.mutable_ack() = ack;
  send(message);
}

void AgentStream::send_configuration() {
  v1::CollectorMessage message;
  *message.mutable_configuration() = configuration_for(*context_.configuration.get(), agent_id_);
  send(message);
}

// Starts whatever may be started. The reactor's rules: one read and one write at a time, one Finish(),
// nothing after it.
void AgentStream::advance() {
  if (finished_) return;
  if (!writing_ && !outgoing_.empty()) {
    writing_ = true;
    last_written_ = absl::Now();
    // No buffer hint although more may follow: with one, OnWriteDone() waits for a write that never comes.
    StartWrite(&outgoing_.front());
  }
  if (writing_) {
    // Both ways to the end below wait for the last answer.
  } else if (ending_ || cancelled_) {
    return finish(cancelled_ ? grpc::Status::CANCELLED : *ending_);
  } else if (no_more_input_ && in_writer_ == 0) {
    return finish(grpc::Status::OK);
  }
  const bool may_read = !reading_ && !no_more_input_ && !ending_ && !cancelled_;
  if (may_read && in_writer_ + outgoing_.size() < kMaxUnanswered) {
    reading_ = true;
    StartRead(&incoming_);
  }
}

void AgentStream::finish(const grpc::Status& status) {
  finished_ = true;
  Finish(status);
}

void AgentStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  outgoing_.pop_front();
  if (!ok) {
    cancelled_ = true;
    outgoing_.clear();
  }
  advance();
}

void AgentStream::OnCancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  // The one being written is gRPC's until OnWriteDone().
  outgoing_.resize(writing_ ? 1 : 0);
  advance();
}

void AgentStream::push_configuration() {
  absl::MutexLock lock(&mutex_);
  if (!greeted_) return;
  send_configuration();
  advance();
}

void AgentStream::end(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (ending_ || finished_) return;
  spdlog::info("stream of {} ended: {}", call_->peer(), status.error_message());
  context_.metrics.stream_refused(
      absl::AsciiStrToLower(absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()))));
  ending_ = status;
  ending_since_ = absl::Now();
  advance();
}

void AgentStream::look_after(absl::Time now) {
  if (context_.tokens.has_file() && !context_.tokens.get()->contains(token_)) {
    end({grpc::StatusCode::UNAUTHENTICATED, "this token has been taken from the collector's token file"});
  }
  bool silent;
  {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    silent = !greeted_ && now - opened_ > context_.options.hello_timeout;
    const bool unread = writing_ && now - last_written_ > kMaxUnread;
    const bool lingering = ending_ && now - ending_since_ > kMaxGoodbye;
    if (unread || lingering) call_->TryCancel();
  }
  if (silent) end({grpc::StatusCode::DEADLINE_EXCEEDED, "no hello in time"});
}

}  // namespace siprof::collector
