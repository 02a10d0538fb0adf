// SPDX-License-Identifier: Apache-2.0
// Lock, identity and files of a spool at its start.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "collector-client/base/file_io.h"
#include "collector-client/base/text.h"
#include "collector-client/export/spool.h"
#include "collector-client/export/spool_file.h"

namespace siprof::client {
namespace {

constexpr std::uint64_t kReservedAtOnce = 4096;
constexpr int kMaxAgents = 64;

std::string agent_file(const std::string& folder) {
  return absl::StrCat(folder, "/agent");
}

std::string subfolder(const std::string& folder, int number) {
  return number == 0 ? folder : absl::StrCat(folder, "/agent-", number);
}

// No fd: another living agent has the folder.
absl::StatusOr<UniqueFd> lock_folder(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/lock");
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error(errno, "cannot open", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return UniqueFd();
  return system_error(errno, "cannot lock", path);
}

absl::StatusOr<std::string> new_agent_id() {
  std::string random(16, '\0');
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return system_error(errno, "cannot read random numbers for", "the agent's identity");
  }
  return std::string(absl::BytesToHexString(random));
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(folder.c_str())) {
    while (const dirent* entry = ::readdir(dir)) names.emplace_back(entry->d_name);
    ::closedir(dir);
  }
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Spool>> Spool::open(const std::string& folder, Limits limits) {
  for (int number = 0; number < kMaxAgents; ++number) {
    const std::string candidate = subfolder(folder, number);
    if (absl::Status status = make_folders(candidate); !status.ok()) return status;
    absl::StatusOr<UniqueFd> lock = lock_folder(candidate);
    if (!lock.ok()) return lock.status();
    if (!*lock) continue;
    std::unique_ptr<Spool> spool(new Spool(candidate, *std::move(lock), limits));
    if (absl::Status status = spool->load(); !status.ok()) return status;
    return spool;
  }
  return absl::ResourceExhaustedError(absl::StrCat("spool ", folder, " is used by ", kMaxAgents,
                                                   " agents: give this one its own with --spool"));
}

std::vector<std::unique_ptr<Spool>> Spool::take_orphans(const std::string& folder, Limits limits) {
  std::vector<std::unique_ptr<Spool>> orphans;
  for (int number = 0; number < kMaxAgents; ++number) {
    const std::string candidate = subfolder(folder, number);
    if (::access(absl::StrCat(candidate, "/lock").c_str(), F_OK) != 0) continue;
    absl::StatusOr<UniqueFd> lock = lock_folder(candidate);
    if (!lock.ok() || !*lock) continue;
    std::unique_ptr<Spool> spool(new Spool(candidate, *std::move(lock), limits));
    if (spool->load().ok() && spool->size() > 0) orphans.push_back(std::move(spool));
  }
  return orphans;
}

absl::Status Spool::load() {
  load_files();
  return load_identity();
}

void Spool::load_files() {
  for (const std::string& name : names_in(folder_)) {
    const std::string path = absl::StrCat(folder_, "/", name);
    // What a killed agent was writing.
    if (std::string_view(name).ends_with(".tmp")) ::unlink(path.c_str());
    const std::uint64_t sequence = sequence_of_file(name);
    struct stat info {};
    // No agent gets that far: such a name is not ours, and numbers after it would begin anew.
    constexpr std::uint64_t kLargest = std::uint64_t{1} << 62;
    if (sequence == 0 || sequence > kLargest || ::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      continue;
    entries_.emplace(sequence, Entry{static_cast<std::uint64_t>(info.st_size), std::nullopt});
    bytes_ += static_cast<std::uint64_t>(info.st_size);
  }
  make_room(0);
  if (!entries_.empty()) next_sequence_ = entries_.rbegin()->first + 1;
}

absl::Status Spool::load_identity() {
  // "ID NUMBER\n": the identity and the first number that was never given out.
  const absl::StatusOr<std::string> file = read_file(agent_file(folder_), 4096);
  if (file.ok()) {
    const std::vector<std::string_view> parts = split(trim(*file), ' ');
    std::uint64_t next = 0;
    if (parts.size() == 2 && parts[0].size() == 32 && absl::SimpleAtoi(to_absl(parts[1]), &next)) {
      agent_id_ = std::string(parts[0]);
      next_sequence_ = std::max(next_sequence_, next);
    }
  }
  if (agent_id_.empty()) {
    if (file.ok()) spdlog::warn("spool {}: identity is corrupt, a new one is taken", folder_);
    absl::StatusOr<std::string> id = new_agent_id();
    if (!id.ok()) return id.status();
    agent_id_ = *std::move(id);
  }
  reserved_until_ = next_sequence_;
  if (absl::Status status = reserve_numbers(); !status.ok()) {
    // Nothing of this run can be taken for a repeat under an identity of its own.
    disk_is_failing_ = true;
    ++counters_["spool_disk_errors"];
    spdlog::error("spool: {}; profiles wait in memory", std::string(status.message()));
    if (absl::StatusOr<std::string> id = new_agent_id(); id.ok()) agent_id_ = *std::move(id);
  }
  return absl::OkStatus();
}

absl::Status Spool::reserve_numbers() {
  const std::uint64_t until = next_sequence_ + kReservedAtOnce;
  const absl::Status status =
      write_file_atomically(agent_file(folder_), absl::StrCat(agent_id_, " ", until, "\n"));
  if (status.ok()) {
    reserved_until_ = until;
    return status;
  }
  // The disk takes nothing. A stale reservation would let the next start give
  // the same numbers again: without the file it takes a new identity.
  ::unlink(agent_file(folder_).c_str());
  return status;
}

}  // namespace siprof::client
