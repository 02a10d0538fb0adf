// SPDX-License-Identifier: Apache-2.0
// The agent's unwind tables in memory that profiled processes map (proto/siprof/unwind_tables.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "collector-client/base/unique_fd.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof::client {

class TableArena {
 public:
  // Errors: what the kernel says of the memory.
  static absl::StatusOr<std::unique_ptr<TableArena>> make();

  // Where the table lies, in units of kArenaAlignment, never 0. Nobody sees it before it is whole. Any
  // thread. Errors: RESOURCE_EXHAUSTED: no memory, or more than kMaxBytes.
  absl::StatusOr<std::uint32_t> append(std::span<const std::byte> table);

  // Lets programs find the table by their build-id (20 bytes) before the agent knows them. Any thread. A full
  // index leaves it out.
  void name(std::span<const std::uint8_t, kBuildIdBytes> build_id, std::uint32_t place);

  // Any thread.
  std::uint64_t id() const { return id_; }
  std::uint64_t bytes() const {
    return bytes_.load(std::memory_order_acquire);
  }  // pairs with append()'s release
  // By which a process of this user and PID namespace may open it.
  const std::string& path() const { return path_; }

  static constexpr std::uint64_t kMaxBytes = 1ull << 30;

 private:
  TableArena(UniqueFd file, std::uint64_t id);

  UniqueFd file_;
  std::uint64_t id_;
  std::string path_;
  std::mutex appending_;
  std::atomic<std::uint64_t> bytes_;
};

}  // namespace siprof::client
