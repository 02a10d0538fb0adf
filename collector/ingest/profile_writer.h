// SPDX-License-Identifier: Apache-2.0
// The only thread that writes to the store: collects validated profiles and metrics
// of all streams into batches and answers each stream after the store has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "collector.pb.h"
#include "collector/ingest/ingest_metrics.h"
#include "collector/ingest/ingest_options.h"
#include "collector/store/store.h"

namespace siprof::collector {

// A stream, as the writer sees it. Called on the writer's thread, never with the writer's lock held.
class ProfileSource {
 public:
  virtual ~ProfileSource() = default;
  virtual void answer(const v1::Ack& ack) = 0;
  // The store can't take profiles now: nothing more of this source is written or answered.
  virtual void give_up(const absl::Status& why) = 0;
  virtual bool gave_up() const = 0;
  // There may be room again, after a refused has_room().
  virtual void room_again() = 0;
};

class ProfileWriter {
 public:
  ProfileWriter(const IngestOptions& options, Store& store, IngestMetrics& metrics);
  ~ProfileWriter();  // stops

  // False while the queue is full; `source` is then told by room_again(). Any thread.
  bool has_room(const std::shared_ptr<ProfileSource>& source);

  // Takes what came even if there is no room: ask before the work of decoding it. Any thread.
  void submit(IncomingProfile profile, std::shared_ptr<ProfileSource> source);
  void submit(IncomingMetrics metrics, std::shared_ptr<ProfileSource> source);

  // Writes what is queued, then ends the thread. What is submitted later is dropped unanswered.
  void stop();

 private:
  struct Item {
    std::variant<IncomingProfile, IncomingMetrics> incoming;
    std::shared_ptr<ProfileSource> source;
    std::size_t bytes;
    std::uint64_t sequence;
    bool is_metrics() const { return std::holds_alternative<IncomingMetrics>(incoming); }
  };
  // One per item of a batch.
  using Results = std::vector<absl::StatusOr<Stored>>;

  void queue(Item item);
  void run();
  std::vector<Item> next_batch();
  void write(std::vector<Item> batch);
  template <typename Incoming>
  void write_all(std::vector<Item>& batch, Results& results);
  void answer(const Item& item, const absl::StatusOr<Stored>& result);
  void wake_waiting();
  bool batch_is_due() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::size_t max_queue_bytes_;
  const std::size_t batch_profiles_;
  const absl::Duration batch_wait_;
  Store& store_;
  IngestMetrics& metrics_;

  absl::Mutex mutex_;
  std::deque<Item> queue_ ABSL_GUARDED_BY(mutex_);
  std::size_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::weak_ptr<ProfileSource>> waiting_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace siprof::collector
