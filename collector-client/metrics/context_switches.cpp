// SPDX-License-Identifier: Apache-2.0
#include "collector-client/metrics/context_switches.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include "collector-client/base/unique_fd.h"

namespace siprof::client {
namespace {

constexpr std::size_t kListBytes = 8192;
constexpr std::size_t kEntryBytes = 32;  // at most, of a name of up to ten digits

std::optional<std::uint32_t> thread_in(const char* name) {
  std::uint32_t tid = 0;
  const char* end = name + strlen(name);
  const auto [at, error] = std::from_chars(name, end, tid);
  if (error != std::errc() || at != end || tid == 0) return std::nullopt;
  return tid;
}

bool has_thread(const ProcFolder& process, std::uint32_t tid) {
  const std::string path = "task/" + std::to_string(tid);
  return faccessat(process.fd(), path.c_str(), F_OK, 0) == 0;
}

}  // namespace

void ContextSwitches::look(ProcFolder& process, std::uint64_t threads, std::size_t most) {
  if (process.fd() < 0) return;
  const UniqueFd folder(openat(process.fd(), "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return;
  if (threads <= most) position_ = 0;  // all of them
  if (position_ != 0 && lseek(folder.get(), position_, SEEK_SET) != position_) position_ = 0;
  alignas(dirent64) std::array<char, kListBytes> list;
  std::size_t read = 0;
  while (read < most) {
    const std::size_t wanted = std::clamp((most - read + 2) * kEntryBytes, kEntryBytes * 4, list.size());
    const long bytes = syscall(SYS_getdents64, folder.get(), list.data(), wanted);
    if (bytes <= 0) return end_round(process);
    for (long at = 0; at < bytes && read < most;) {
      const auto* entry = reinterpret_cast<const dirent64*>(list.data() + at);
      at += entry->d_reclen;
      position_ = entry->d_off;
      const std::optional<std::uint32_t> tid = thread_in(entry->d_name);
      if (tid && look_at(process, *tid)) ++read;
    }
  }
}

bool ContextSwitches::look_at(ProcFolder& process, std::uint32_t tid) {
  const std::string path = "task/" + std::to_string(tid) + "/status";
  const std::string_view status = process.read(path.c_str());
  const std::optional<std::uint64_t> voluntary = number_behind(status, "voluntary_ctxt_switches");
  const std::optional<std::uint64_t> involuntary = number_behind(status, "nonvoluntary_ctxt_switches");
  if (!voluntary || !involuntary) return false;
  const Counts now{*voluntary, *involuntary};
  auto [at, is_new] = threads_.try_emplace(tid);
  Thread& thread = at->second;
  // Threads of the first round were there before; those that come later began while we looked.
  Counts before = thread.counts;
  if (is_new && round_ == 0) before = now;
  // Another thread by now, that has the number of one that has ended.
  if (now.voluntary < before.voluntary || now.involuntary < before.involuntary) before = {};
  grown_.voluntary += now.voluntary - before.voluntary;
  grown_.involuntary += now.involuntary - before.involuntary;
  is_seen_ = is_seen_ || !is_new || round_ != 0;
  thread = {now, round_};
  return true;
}

// The list moves up when threads end, so that one that lives may be passed over: only what isn't there goes,
// or it would count from 0 again.
void ContextSwitches::end_round(const ProcFolder& process) {
  position_ = 0;
  ++round_;
  absl::erase_if(threads_, [&](const auto& entry) {
    return entry.second.round + 1 < round_ && !has_thread(process, entry.first);
  });
}

std::optional<ContextSwitches::Counts> ContextSwitches::take() {
  if (!std::exchange(is_seen_, false)) return std::nullopt;
  return std::exchange(grown_, {});
}

}  // namespace siprof::client
