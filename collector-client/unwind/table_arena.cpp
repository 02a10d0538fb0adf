// SPDX-License-Identifier: Apache-2.0
// See table_arena.h.
#include "collector-client/unwind/table_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "proto/siprof/unwind_tables.h"

namespace siprof::client {

TableArena::TableArena(UniqueFd file, std::uint64_t id)
    : file_(std::move(file)),
      id_(id),
      path_(absl::StrCat("/proc/", getpid(), "/fd/", file_.get())),
      bytes_(kArenaTablesOffset) {}

absl::StatusOr<std::unique_ptr<TableArena>> TableArena::make() {
  UniqueFd file(memfd_create("siprof-tables", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return system_error(errno, "cannot make memory for", "unwind tables");
  // Where programs look for it, if nobody else is there.
  UniqueFd known(fcntl(file.get(), F_DUPFD_CLOEXEC, kArenaDescriptor));
  if (known.get() == kArenaDescriptor) file = std::move(known);
  // Pages before use: a process must never meet a hole that can't be filled.
  if (const int error = posix_fallocate(file.get(), 0, kArenaTablesOffset); error != 0)
    return system_error(error, "no memory for", "unwind tables");
  ArenaHeader header{};
  header.magic = kArenaMagic;
  header.version = kArenaVersion;
  while (header.id == 0) {
    if (getrandom(&header.id, sizeof header.id, 0) < 0 && errno != EINTR)
      return system_error(errno, "no random number for", "unwind tables");
  }
  if (pwrite(file.get(), &header, sizeof header, 0) != sizeof header ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) != 0)
    return system_error(errno, "cannot write", "unwind tables");
  return std::unique_ptr<TableArena>(new TableArena(std::move(file), header.id));
}

absl::StatusOr<std::uint32_t> TableArena::append(std::span<const std::byte> table) {
  const std::lock_guard lock(appending_);
  const std::uint64_t at = bytes_.load(std::memory_order_relaxed);
  const std::uint64_t end = (at + table.size() + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  if (end > kMaxBytes) return absl::ResourceExhaustedError("the unwind tables' memory is full");
  // Pages before use: a process must never meet a hole that can't be filled.
  if (const int error = posix_fallocate(file_.get(), 0, static_cast<off_t>(end)); error != 0)
    return system_error(error, "no memory for", "unwind tables");
  for (std::size_t done = 0; done < table.size();) {
    const ssize_t wrote =
        pwrite(file_.get(), table.data() + done, table.size() - done, static_cast<off_t>(at + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return system_error(errno, "cannot write", "unwind tables");
    done += static_cast<std::size_t>(wrote);
  }
  bytes_.store(end, std::memory_order_release);  // pairs with bytes()
  return static_cast<std::uint32_t>(at / kArenaAlignment);
}

void TableArena::name(std::span<const std::uint8_t, kBuildIdBytes> build_id, std::uint32_t place) {
  const std::lock_guard lock(appending_);
  for (std::uint32_t probe = 0; probe < kArenaIndexProbes; ++probe) {
    const auto at =
        static_cast<off_t>(kArenaIndexOffset + index_slot(build_id.data(), probe) * sizeof(ArenaIndexEntry));
    std::uint32_t taken = 0;
    constexpr off_t kTable = offsetof(ArenaIndexEntry, table);
    if (pread(file_.get(), &taken, sizeof taken, at + kTable) != sizeof taken) return;
    if (taken != 0) continue;
    if (pwrite(file_.get(), build_id.data(), build_id.size(), at) != static_cast<ssize_t>(build_id.size()))
      return;
    [[maybe_unused]] const ssize_t wrote = pwrite(file_.get(), &place, sizeof place, at + kTable);
    return;
  }
}

}  // namespace siprof::client
