// SPDX-License-Identifier: Apache-2.0
// Order, bounds and counters of the spool. Its folder, lock and identity are
// in spool_folder.cpp.
#include "collector-client/export/spool.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/export/spool_file.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMaxFileBytes = 256u << 20;

void set_sequence(v1::AgentMessage* message, std::uint64_t sequence) {
  if (message->has_profile()) message->mutable_profile()->set_sequence(sequence);
  if (message->has_metrics()) message->mutable_metrics()->set_sequence(sequence);
}

}  // namespace

std::string Spool::path_of(std::uint64_t sequence) const {
  return absl::StrCat(folder_, "/", spool_file_name(sequence));
}

std::uint64_t Spool::append(v1::AgentMessage message) {
  const std::lock_guard lock(mutex_);
  if (next_sequence_ >= reserved_until_) {
    // On a full disk the numbers go on uncovered: reserve_numbers has seen to it
    // that the next start takes a new identity.
    if (absl::Status status = reserve_numbers(); !status.ok()) ++counters_["spool_disk_errors"];
  }
  const std::uint64_t sequence = next_sequence_++;
  set_sequence(&message, sequence);
  store(sequence, message.SerializeAsString());
  ++counters_["spool_appended"];
  return sequence;
}

void Spool::store(std::uint64_t sequence, std::string bytes) {
  const std::string file = wrap_spool_file(sequence, bytes);
  if (file.size() > limits_.bytes) {
    ++counters_["spool_dropped_full"];
    return;
  }
  make_room(file.size());
  Entry entry{file.size(), std::nullopt};
  const absl::Status status = write_file_atomically(path_of(sequence), file);
  if (status.ok()) {
    if (disk_is_failing_) spdlog::warn("spool {} takes profiles again", folder_);
    disk_is_failing_ = false;
  } else {
    ++counters_["spool_disk_errors"];
    if (!disk_is_failing_) {
      spdlog::error("spool: {}; profiles wait in memory, at most {} MiB of them",
                    std::string(status.message()), limits_.memory_bytes >> 20);
    }
    disk_is_failing_ = true;
    if (bytes.size() > limits_.memory_bytes) {
      ++counters_["spool_dropped_full"];
      return;
    }
    make_room_in_memory(bytes.size());
    memory_bytes_ += bytes.size();
    entry = {bytes.size(), std::move(bytes)};
  }
  bytes_ += entry.bytes;
  entries_.emplace(sequence, std::move(entry));
}

void Spool::make_room(std::uint64_t bytes) {
  while (!entries_.empty() && bytes_ + bytes > limits_.bytes) {
    if (++counters_["spool_dropped_full"] == 1) {
      spdlog::warn("spool {} has reached {} bytes: the oldest profiles go (--spool-bytes)", folder_,
                   limits_.bytes);
    }
    forget(entries_.begin());
  }
}

void Spool::make_room_in_memory(std::uint64_t bytes) {
  for (auto entry = entries_.begin();
       entry != entries_.end() && memory_bytes_ + bytes > limits_.memory_bytes;) {
    const auto current = entry++;
    if (!current->second.in_memory) continue;
    ++counters_["spool_dropped_full"];
    forget(current);
  }
}

void Spool::forget(Position entry) {
  bytes_ -= entry->second.bytes;
  if (entry->second.in_memory) {
    memory_bytes_ -= entry->second.bytes;
  } else {
    ::unlink(path_of(entry->first).c_str());
  }
  entries_.erase(entry);
}

absl::StatusOr<std::string> Spool::read(Position entry) const {
  if (entry->second.in_memory) return *entry->second.in_memory;
  if (entry->second.bytes > kMaxFileBytes) return absl::DataLossError("too large");
  absl::StatusOr<std::string> file = read_file(path_of(entry->first), kMaxFileBytes);
  if (!file.ok()) return file.status();
  return unwrap_spool_file(entry->first, *file);
}

absl::StatusOr<std::optional<Spool::Item>> Spool::next_after(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.upper_bound(sequence); entry != entries_.end();) {
    const auto current = entry++;
    absl::StatusOr<std::string> bytes = read(current);
    if (bytes.ok()) return Item{current->first, *std::move(bytes)};
    if (!give_up(current, bytes.status())) return bytes.status();
  }
  return std::nullopt;
}

// Only what can never be read is deleted: a process out of descriptors, a disk that is
// away for a moment or a newer version's file must not cost a profile.
bool Spool::give_up(Position entry, const absl::Status& why) {
  if (absl::IsDataLoss(why) || absl::IsNotFound(why)) {
    ++counters_["spool_corrupt"];
    spdlog::warn("spool file {} is dropped: {}", path_of(entry->first), std::string(why.message()));
    forget(entry);
    return true;
  }
  if (absl::IsUnimplemented(why)) {
    set_aside(entry, "spool_other_version", why);
    return true;
  }
  if (++entry->second.failed_reads < kMostReads) return false;
  set_aside(entry, "spool_unreadable", why);
  return true;
}

// Left on the disk, for the agent's next start or another version of it.
void Spool::set_aside(Position entry, const char* counter, const absl::Status& why) {
  ++counters_[counter];
  spdlog::warn("spool file {} is left where it is: {}", path_of(entry->first), std::string(why.message()));
  bytes_ -= entry->second.bytes;
  entries_.erase(entry);
}

void Spool::remove(std::uint64_t sequence, Fate fate) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(sequence);
  if (entry == entries_.end()) return;
  switch (fate) {
    case Fate::kAcknowledged:
      ++counters_["spool_acknowledged"];
      break;
    case Fate::kRejected:
      ++counters_["spool_rejected"];
      break;
    case Fate::kMetricsRejected:
      ++counters_["metrics_rejected"];
      break;
    case Fate::kOversized:
      ++counters_["spool_oversized"];
      break;
    case Fate::kCorrupt:
      ++counters_["spool_corrupt"];
      break;
  }
  forget(entry);
}

std::size_t Spool::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::map<std::string, std::uint64_t> Spool::counters() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::uint64_t> counters = counters_;
  counters["spool_waiting"] = entries_.size();
  counters["spool_waiting_bytes"] = bytes_;
  return counters;
}

}  // namespace siprof::client
