// SPDX-License-Identifier: Apache-2.0
// A profiled process as the agent may look at it: by the descriptors it handed over,
// which stay right when pids are reused, namespaces differ or the user changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "collector-client/attach/attach_request.h"
#include "collector-client/base/resource.h"
#include "collector-client/symbolize/file_opener.h"

namespace siprof::client {

class ProcessView {
 public:
  explicit ProcessView(AttachRequest request);

  // Files as the process sees them (its root). Shared: symbolizing may outlive the process.
  const std::shared_ptr<FileOpener>& opener() const { return opener_; }

  bool is_alive() const;
  // Readable when the process has ended; -1: not known to this kernel, poll is_alive().
  int pid_fd() const { return request_.pid.get(); }

  // The text of its mappings; empty after an exec or its end. `live`: read now, not a copy.
  std::string read_maps() const;
  // Its executable mappings when it attached.
  const std::string& first_maps() const { return request_.first_maps; }
  bool maps_are_live() const { return request_.message.maps_are_live != 0 && request_.maps; }

  // False: the thread is gone; nullopt: not to be seen (any more).
  std::optional<bool> has_thread(std::uint32_t tid) const;
  // A thread's name; empty when it is gone.
  std::string thread_name(std::uint32_t tid) const;
  // CPU time used so far by all its threads, ended ones too. nullopt: not to be seen.
  std::optional<std::uint64_t> cpu_time_ns() const;

  // True if both are the same process (not the same number).
  bool same_process(const ProcessView& other) const;

  const AttachMessage& message() const { return request_.message; }
  const Environment& environment() const { return request_.environment; }
  const std::string& executable() const { return request_.executable; }
  int memory_fd() const { return request_.memory.get(); }
  // Its folder in /proc; -1: it gave none.
  int proc_fd() const { return request_.proc.get(); }

  ProcessFacts facts() const;

 private:
  std::string read_proc(const std::string& file, std::size_t most) const;
  std::vector<std::string> stat_fields() const;

  AttachRequest request_;
  std::shared_ptr<FileOpener> opener_;
};

}  // namespace siprof::client
