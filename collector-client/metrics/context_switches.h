// SPDX-License-Identifier: Apache-2.0
// How often the threads of a process have been taken off a CPU. The kernel tells it of each thread alone: the
// process's own file has the main thread's, and what ended threads had is nowhere.
//
// Each thread's file costs about a quarter of all else of a look, so that a look reads a bounded number of
// them. Of a process that has more each is read in turn, and what it did since its last turn counts then:
// sums over time are right, later. What a thread does between its last turn and its end isn't seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "collector-client/metrics/proc_files.h"

namespace siprof::client {

class ContextSwitches {
 public:
  struct Counts {
    std::uint64_t voluntary = 0;
    std::uint64_t involuntary = 0;
  };

  // Before the first look: what threads have done so far counts too.
  void count_from_start() { round_ = 1; }
  // `threads`: how many there are; `most`: how many of them may be read.
  void look(ProcFolder& process, std::uint64_t threads, std::size_t most);
  // Since the last time. nullopt: no thread could be read since, or no more than their first numbers.
  std::optional<Counts> take();

  std::size_t threads_known() const { return threads_.size(); }

 private:
  struct Thread {
    Counts counts;
    std::uint64_t round = 0;  // in which it was read last
  };
  bool look_at(ProcFolder& process, std::uint32_t tid);
  void end_round(const ProcFolder& process);

  absl::flat_hash_map<std::uint32_t, Thread> threads_;
  Counts grown_;
  std::int64_t position_ = 0;  // in the folder of threads, where the next turn begins
  std::uint64_t round_ = 0;    // whole ones that are done
  bool is_seen_ = false;
};

}  // namespace siprof::client
