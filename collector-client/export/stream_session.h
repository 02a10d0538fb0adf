// SPDX-License-Identifier: Apache-2.0
// One connection to the collector, from hello until it breaks: sends what the
// spool holds, in order, and removes what is acknowledged.
//
// Two threads: the one that calls run() writes, one of its own reads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "collector-client/export/exporter.h"
#include "collector-client/export/settings.h"
#include "collector-client/export/spool.h"

namespace grpc {
class ClientContext;
}

namespace siprof::client {

// What a message carries.
enum class Content { kProfile, kMetrics };

// What a session tells its exporter; called on the session's threads.
struct SessionEvents {
  ConfigurationSink on_configuration;  // may be empty
  std::function<void()> on_welcome;
  std::function<void(const v1::Ack&, Content)> on_ack;  // after the spool has let go of it
};

enum class WhenEmpty { kWait, kEnd };

class StreamSession {
 public:
  StreamSession(const StreamSettings& settings, Spool* spool, SessionEvents events)
      : settings_(settings), spool_(spool), events_(std::move(events)) {}

  // Once per object. OK: stopped, or the spool is empty and `when_empty` says end.
  // Errors: why the connection could not be made or broke.
  absl::Status run(WhenEmpty when_empty);

  // Something was appended to the spool. Any thread.
  void wake();
  // Ends run() promptly, whatever it waits for. Any thread, also before run().
  void stop();

 private:
  class Stream;

  absl::Status greet(Stream* stream);
  absl::Status send_all(Stream* stream, WhenEmpty when_empty);
  absl::Status send_one(Stream* stream, const Spool::Item& item);
  // Sends nothing before the pause that the collector asked for is over.
  void keep_pace(std::unique_lock<std::mutex>* lock);
  void read_all(Stream* stream);
  void handle(const v1::CollectorMessage& message);
  void handle_ack(const v1::Ack& ack);

  const StreamSettings& settings_;
  Spool* const spool_;
  const SessionEvents events_;

  std::mutex mutex_;
  std::condition_variable changed_;
  grpc::ClientContext* context_ = nullptr;  // while run() runs
  bool stopped_ = false;
  bool ended_ = false;  // by the collector or the network
  bool welcomed_ = false;
  bool appended_ = true;
  std::uint64_t max_message_bytes_ = 0;
  std::uint64_t cursor_ = 0;                    // last sequence that was written
  std::map<std::uint64_t, Content> in_flight_;  // by sequence
  absl::Time last_progress_;
  absl::Time last_sent_;
  absl::Duration min_send_interval_;
};

}  // namespace siprof::client
