// SPDX-License-Identifier: Apache-2.0
// One profiled process from attach to end: its shared memory, its mappings, what it
// is called, and the samples on their way into the aggregator. The agent's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector-client/agent/budget.h"
#include "collector-client/agent/finisher.h"
#include "collector-client/agent/process_code.h"
#include "collector-client/agent/process_python.h"
#include "collector-client/agent/session_metrics.h"
#include "collector-client/agent/waiting_samples.h"
#include "collector-client/aggregate/aggregator.h"
#include "collector-client/attach/process_view.h"
#include "collector-client/base/clock.h"
#include "collector-client/drain/chunk_reader.h"
#include "collector-client/drain/shared_pool.h"
#include "collector-client/intake/intake.h"
#include "collector-client/unwind/module_cache.h"
#include "collector-client/unwind/module_map.h"
#include "collector-client/unwind/unwinder.h"

namespace siprof::client {

// What sessions share; outlives them.
struct Workshop {
  ModuleCache& modules;
  Unwinder& unwinder;
  TableBuilder& tables;
  Aggregator& aggregator;
  MetricWindow& metrics;
  const Clock& clock;
  PythonWorkshop python;
  NativeFrames native_frames;  // of processes that don't say themselves
};

class Session {
 public:
  // Errors: shared memory that can't be used.
  static absl::StatusOr<std::unique_ptr<Session>> begin(AttachRequest request, const Workshop& workshop,
                                                        const std::string& run_id);

  // Moves what the process has written into the aggregator; returns how many samples.
  // `final`: the process has ended.
  std::uint64_t drain(bool final);
  // The last drain found a pool that fills, a thread that nobody has asked for its name yet, or other
  // mappings: what comes next would be lost, nameless or copied if it waited.
  bool is_in_a_hurry() const { return hurry_; }

  // From an earlier session of the process, if this one sees none (it has left its /proc).
  void take_over_mappings(const Session& before);

  // Adds what happened since the last call to the window's counters and metrics.
  void account();
  // What was accounted for is in finished profiles: our death wouldn't lose it any more.
  void settle() { pool_->settle(accounted_ticks_); }
  // The agent that this process had before is gone, and took with it what it hadn't finished.
  void count_lost_agent();

  // Tells the process that the agent lives. Often enough: kHeartbeatStaleNs.
  void beat();
  // What it is asked for from now on, and how much of the program's CPU time that may cost.
  void ask_for(const Rates& rates, std::optional<double> budget_share);
  // About once a second, after a drain: lowers rates that cost too much. `agent_cpu_ns` went into this
  // process since the last time.
  void keep_budget(std::uint64_t agent_cpu_ns);
  // Tells the process of unwind tables that were made since.
  void follow_tables() { code_.follow_tables(); }
  // Looks for threads and mappings that came since; once a window.
  void refresh();

  bool ended() const { return !view_.is_alive(); }
  int pid_fd() const { return view_.pid_fd(); }
  // Unlike its pid no other's: two containers have processes of equal pids.
  std::uint64_t number() const { return number_; }
  NamePlace name_place() const { return {view_.message().pid, view_.opener()}; }
  const ProcessView& view() const { return view_; }
  const std::string& service() const { return service_; }
  const std::shared_ptr<const Series>& series() const { return series_; }
  Kind main_kind() const;
  std::uint64_t samples() const { return samples_; }
  const Rates& rates() const { return rates_; }  // in force
  const Budget& budget() const { return budget_; }
  // Since the last keep_budget().
  std::uint64_t samples_unpaid() const { return samples_unpaid_; }
  SharedCounters counters() const { return pool_->counters(); }
  const DrainStatistics& statistics() const { return reader_.statistics(); }
  const std::vector<std::string>& warnings() const { return warnings_; }

  absl::Time next_drain;       // the agent's schedule, by its steady clock
  absl::Duration drain_every;  // shorter when much comes

 private:
  static constexpr std::uint64_t kMostLostTicks = 1'000'000'000;  // the number comes from the process

  Session(ProcessView view, std::unique_ptr<SharedPool> pool, const Workshop& workshop);

  bool is_on(Kind kind) const { return (rates_.kinds & kind_bit(event_of(kind))) != 0; }
  Kind home_of(Counter counter) const;
  void find_identity(const std::string& run_id);
  void follow_python();
  void read_chains(bool final);
  void add(const RawSample& sample);
  void finish_sample(const RawSample& sample, UnwoundStack& stack, const Stack& holder);
  void count_stack(Kind kind, const UnwoundStack& stack);
  void control(const Rates& rates);
  void switch_metrics();
  void take_frames(const RawSample& sample, const ModuleMap& map);
  void unwind(const RawSample& sample, const ModuleMap& map);
  void take_holder(const RawSample& sample, const ModuleMap& map);
  const std::string& thread_name(std::uint32_t tid);
  void reclaim_dead_threads();
  void observe_cpu_time(bool now);

  const std::uint64_t number_;
  ProcessView view_;
  std::unique_ptr<SharedPool> pool_;
  Workshop workshop_;
  ProcessCode code_;
  ChunkReader reader_;
  std::shared_ptr<const Series> series_;
  std::string service_;
  std::vector<std::string> warnings_;
  ProcessPython python_;
  WaitingSamples waiting_;
  UnwoundStack stack_;  // kept for its memory, as the next one
  Stack holder_;
  std::map<std::uint32_t, std::string> thread_names_;
  Intakes intakes_;
  std::unique_ptr<SessionMetrics> metrics_;  // while the kind is on
  bool is_new_;                              // no agent has had the process before
  Rates wanted_;
  Rates rates_;
  Budget budget_;
  Spending spending_;  // since the last keep_budget()
  absl::Time begun_;
  absl::Time spending_since_;
  std::uint64_t cpu_time_paid_ns_ = 0;
  SharedCounters paid_{};
  std::uint64_t samples_unpaid_ = 0;
  std::uint64_t samples_ = 0;
  bool hurry_ = true;
  bool drained_to_the_end_ = false;  // the process has ended
  // Of attachments before: counted as lost, or in a session before this one.
  const std::uint64_t inherited_ticks_;
  std::uint64_t added_ticks_ = 0;
  // Inherited, added or dropped for a full pool, as of the last account().
  std::uint64_t accounted_ticks_ = 0;
  SharedCounters counted_{};
  DrainStatistics drained_{};
  std::uint64_t modules_without_tables_ = 0;  // since the last account()
  absl::Time threads_looked_at_ = absl::InfinitePast();
  std::size_t next_look_ = 0;  // among the idle threads
  std::uint64_t cpu_time_ns_ = 0;
  absl::Time cpu_time_at_ = absl::InfinitePast();
};

}  // namespace siprof::client
