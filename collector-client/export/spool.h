// SPDX-License-Identifier: Apache-2.0
// The queue between the agent and its collector: every message gets a sequence
// number and stays, in a file of its own, until it is acknowledged. Survives
// kill -9 of the agent; bounded in bytes, the oldest go first and are counted.
//
// A folder belongs to one agent at a time (a lock file). Its identity (agent_id)
// and the numbers already given out are in the file `agent`: numbers are taken
// from it in blocks, so that none is given twice even after a kill -9.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/base/unique_fd.h"
#include "collector.pb.h"

namespace siprof::client {

class Spool {
 public:
  struct Limits {
    std::uint64_t bytes = 256u << 20;
    // What is held in memory when the disk takes nothing.
    std::uint64_t memory_bytes = 16u << 20;
  };

  // Takes `folder`, or a numbered subfolder of it where a living agent has it.
  // Errors: a folder that cannot be made, or 64 agents at work in it.
  static absl::StatusOr<std::unique_ptr<Spool>> open(const std::string& folder, Limits limits);

  // Subfolders with messages whose agent is gone, now locked by the caller. They
  // keep their own agent_id: what they hold may have been stored already.
  static std::vector<std::unique_ptr<Spool>> take_orphans(const std::string& folder, Limits limits);

  // Gives the message its number and stores it. Never fails: what the disk
  // doesn't take stays in memory, what doesn't fit is counted. Any thread.
  std::uint64_t append(v1::AgentMessage message);

  struct Item {
    std::uint64_t sequence;
    std::string bytes;  // a serialized AgentMessage
  };
  // The first message after `sequence`; none: nullopt. Corrupt ones are dropped and counted, those
  // of another version are left where they are. Errors: it cannot be read now (EMFILE, EIO, …): ask
  // again later; after kMostReads of that it waits on the disk for the agent's next start.
  absl::StatusOr<std::optional<Item>> next_after(std::uint64_t sequence);
  static constexpr int kMostReads = 30;

  enum class Fate { kAcknowledged, kRejected, kMetricsRejected, kOversized, kCorrupt };
  // The message's way is over. Unknown numbers are no error: an acknowledgement
  // may come after the bound has dropped the message.
  void remove(std::uint64_t sequence, Fate fate);

  const std::string& agent_id() const { return agent_id_; }
  const std::string& folder() const { return folder_; }
  std::size_t size() const;
  std::map<std::string, std::uint64_t> counters() const;

 private:
  struct Entry {
    std::uint64_t bytes = 0;
    std::optional<std::string> in_memory;  // none: in its file
    int failed_reads = 0;
  };

  Spool(std::string folder, UniqueFd lock, Limits limits)
      : folder_(std::move(folder)), lock_(std::move(lock)), limits_(limits) {}

  absl::Status load();
  void load_files();
  absl::Status load_identity();
  absl::Status reserve_numbers();
  void store(std::uint64_t sequence, std::string bytes);
  void make_room(std::uint64_t bytes);
  void make_room_in_memory(std::uint64_t bytes);
  using Position = std::map<std::uint64_t, Entry>::iterator;
  absl::StatusOr<std::string> read(Position entry) const;
  // True: it isn't among those that wait any more.
  bool give_up(Position entry, const absl::Status& why);
  void set_aside(Position entry, const char* counter, const absl::Status& why);
  void forget(Position entry);
  std::string path_of(std::uint64_t sequence) const;

  const std::string folder_;
  const UniqueFd lock_;
  const Limits limits_;
  std::string agent_id_;

  mutable std::mutex mutex_;
  std::map<std::uint64_t, Entry> entries_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t reserved_until_ = 1;  // numbers below this are covered by the file `agent`
  std::uint64_t bytes_ = 0;
  std::uint64_t memory_bytes_ = 0;
  bool disk_is_failing_ = false;
  std::map<std::string, std::uint64_t> counters_;
};

}  // namespace siprof::client
