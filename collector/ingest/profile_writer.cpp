// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/profile_writer.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "collector/ingest/status_text.h"
#include "spdlog/spdlog.h"

namespace siprof::collector {
namespace {

// Only these say that the profile itself is at fault; anything else is worth another try later.
bool is_final(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsOutOfRange(status);
}

// Near enough for a bound, at a tenth of the cost of SpaceUsedLong(), which was a tenth of all of ingest.
std::size_t estimated_bytes(const perftools::profiles::Profile& profile) {
  using namespace perftools::profiles;
  const auto count = [](int size) { return static_cast<std::size_t>(size); };
  std::size_t bytes = sizeof(IncomingProfile) + count(profile.function_size()) * sizeof(Function) +
                      count(profile.mapping_size()) * sizeof(Mapping);
  for (const Sample& sample : profile.sample()) {
    bytes += sizeof(Sample) + count(sample.location_id_size() + sample.value_size()) * sizeof(std::int64_t) +
             count(sample.label_size()) * sizeof(Label);
  }
  for (const Location& location : profile.location()) {
    bytes += sizeof(Location) + count(location.line_size()) * sizeof(Line);
  }
  for (const std::string& text : profile.string_table()) bytes += sizeof(std::string) + text.capacity();
  return bytes;
}

std::size_t estimated_bytes(const IncomingMetrics& metrics) {
  constexpr std::size_t kNodeBytes = 48;  // of a map, besides its texts
  std::size_t bytes = sizeof(IncomingMetrics) + metrics.points.size() * sizeof(MetricPoint);
  for (const MetricPoint& point : metrics.points) {
    bytes += point.metric.name.capacity() + point.metric.unit.capacity();
    for (const auto& [name, value] : point.labels)
      bytes += kNodeBytes + 2 * sizeof(std::string) + name.capacity() + value.capacity();
  }
  return bytes;
}

std::vector<absl::StatusOr<Stored>> call(Store& store, std::span<const IncomingProfile> batch) {
  return store.write(batch);
}

std::vector<absl::StatusOr<Stored>> call(Store& store, std::span<const IncomingMetrics> batch) {
  return store.write_metrics(batch);
}

}  // namespace

ProfileWriter::ProfileWriter(const IngestOptions& options, Store& store, IngestMetrics& metrics)
    : max_queue_bytes_(options.max_queue_bytes),
      batch_profiles_(options.batch_profiles),
      batch_wait_(options.batch_wait),
      store_(store),
      metrics_(metrics),
      thread_([this] { run(); }) {}

ProfileWriter::~ProfileWriter() {
  stop();
}

void ProfileWriter::stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

bool ProfileWriter::has_room(const std::shared_ptr<ProfileSource>& source) {
  absl::MutexLock lock(&mutex_);
  if (queue_bytes_ < max_queue_bytes_) return true;
  waiting_.push_back(source);
  return false;
}

void ProfileWriter::submit(IncomingProfile profile, std::shared_ptr<ProfileSource> source) {
  const std::size_t bytes = estimated_bytes(profile.profile);
  const std::uint64_t sequence = profile.sequence;
  queue({std::move(profile), std::move(source), bytes, sequence});
}

void ProfileWriter::submit(IncomingMetrics metrics, std::shared_ptr<ProfileSource> source) {
  const std::size_t bytes = estimated_bytes(metrics);
  const std::uint64_t sequence = metrics.sequence;
  queue({std::move(metrics), std::move(source), bytes, sequence});
}

void ProfileWriter::queue(Item item) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  queue_bytes_ += item.bytes;
  queue_.push_back(std::move(item));
  metrics_.set_queue(queue_.size(), queue_bytes_);
}

bool ProfileWriter::batch_is_due() const {
  return stopping_ || queue_.size() >= batch_profiles_ || queue_bytes_ >= max_queue_bytes_;
}

// Empty: nothing came for a while, or all is written and the writer stops.
std::vector<ProfileWriter::Item> ProfileWriter::next_batch() {
  const auto has_work = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !queue_.empty(); };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&has_work), batch_wait_)) return {};
  mutex_.AwaitWithTimeout(absl::Condition(this, &ProfileWriter::batch_is_due), batch_wait_);
  std::vector<Item> batch;
  while (!queue_.empty() && batch.size() < batch_profiles_) {
    queue_bytes_ -= queue_.front().bytes;
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  metrics_.set_queue(queue_.size(), queue_bytes_);
  return batch;
}

void ProfileWriter::run() {
  for (;;) {
    std::vector<Item> batch = next_batch();
    // Once something of a source couldn't be stored, nothing of its sort after it may be: a store may
    // remember only the highest sequence, and would then take the one sent again for a duplicate.
    std::erase_if(batch, [](const Item& item) { return item.source->gave_up(); });
    if (!batch.empty()) write(std::move(batch));
    wake_waiting();
    absl::MutexLock lock(&mutex_);
    if (stopping_ && queue_.empty()) return;
  }
}

// Moves what the store is to have out of the batch.
template <typename Incoming>
void ProfileWriter::write_all(std::vector<Item>& batch, Results& results) {
  std::vector<Incoming> all;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Incoming* incoming = std::get_if<Incoming>(&batch[i].incoming);
    if (incoming == nullptr) continue;
    all.push_back(std::move(*incoming));
    places.push_back(i);
  }
  if (all.empty()) return;
  const Results written = call(store_, all);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (written.size() == all.size())
      results[places[i]] = written[i];
    else
      results[places[i]] = absl::InternalError(
          absl::StrCat("the store answered ", written.size(), " times to a batch of ", all.size()));
  }
}

void ProfileWriter::write(std::vector<Item> batch) {
  Results results(batch.size(), absl::StatusOr<Stored>(absl::InternalError("not written")));
  const absl::Time start = absl::Now();
  write_all<IncomingProfile>(batch, results);
  write_all<IncomingMetrics>(batch, results);
  metrics_.wrote(absl::Now() - start);
  const auto failed = std::ranges::find_if(
      results, [](const auto& result) { return !result.ok() && !is_final(result.status()); });
  if (failed != results.end())
    spdlog::warn("the store takes no profiles now: {}", failed->status().ToString());
  for (std::size_t i = 0; i < batch.size(); ++i) answer(batch[i], results[i]);
}

void ProfileWriter::answer(const Item& item, const absl::StatusOr<Stored>& result) {
  if (!result.ok() && !is_final(result.status())) {
    metrics_.store_failed();
    item.source->give_up(absl::UnavailableError(
        absl::StrCat("the store takes no profiles now, send them again later: ", text_of(result.status()))));
    return;
  }
  v1::Ack ack;
  ack.set_sequence(item.sequence);
  if (!result.ok()) {
    ack.set_result(v1::Ack::REJECTED);
    ack.set_reason(text_of(result.status()));
    item.is_metrics() ? metrics_.metrics_rejected("store") : metrics_.rejected("store");
  } else if (*result == Stored::kDuplicate) {
    ack.set_result(v1::Ack::DUPLICATE);
    item.is_metrics() ? metrics_.metrics_duplicate() : metrics_.duplicate();
  } else {
    ack.set_result(v1::Ack::STORED);
    item.is_metrics() ? metrics_.metrics_stored() : metrics_.stored();
  }
  item.source->answer(ack);
}

// As many as a batch made room for, in the order they came. When none of those has anything left to
// submit, the next look at the queue wakes the following ones.
void ProfileWriter::wake_waiting() {
  std::deque<std::weak_ptr<ProfileSource>> woken;
  {
    absl::MutexLock lock(&mutex_);
    if (queue_bytes_ >= max_queue_bytes_) return;
    while (!waiting_.empty() && woken.size() < batch_profiles_) {
      woken.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }
  for (const auto& weak : woken) {
    if (const auto source = weak.lock()) source->room_again();
  }
}

}  // namespace siprof::collector
