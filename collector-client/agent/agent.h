// SPDX-License-Identifier: Apache-2.0
// The agent: takes processes that attach, drains them, cuts windows and hands them on.
// One thread runs it; `record` runs it inside its own process, `siprof agent` alone.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collector-client/agent/finisher.h"
#include "collector-client/agent/replies.h"
#include "collector-client/agent/session.h"
#include "collector-client/attach/listener.h"
#include "collector.pb.h"

namespace siprof::client {

struct AgentSettings {
  absl::Duration window = absl::Seconds(10);
  // Without processes for this long it ends; infinite: only when told to.
  absl::Duration linger = absl::InfiniteDuration();
  // Joining is open to whoever can reach the socket (its permissions decide); else to
  // the same user, root, and children of known processes that changed their user.
  bool open_to_others = false;
  // At the end names are looked for this long; what has none by then goes by its file's.
  absl::Duration finish_within = absl::InfiniteDuration();
  std::optional<double>
      budget_share;  // of each program's CPU time, that it may cost to profile it; none: any
  // Which levels the metrics of a process that has ended within a window have.
  MetricWindow::EndedLevels ended_levels = MetricWindow::EndedLevels::kLast;
  std::string run_id;
  SymbolizerOptions symbols;
  NativeFrames native_frames = NativeFrames::kApp;  // of processes that don't say themselves
  std::string table_folder;  // where unwind tables are kept from run to run; empty: nowhere
  const Clock* clock = &Clock::system();
};

class Agent {
 public:
  Agent(AgentSettings settings, Listener listener, Exporter& exporter);
  ~Agent();

  // Until stop(), or until it has lingered long enough. Everything recorded is with
  // the exporter when it returns. `first`: a message that came before there was an agent.
  void run(RawMessage first);

  // Any thread, signal handlers too.
  void stop();

  // From the collector; any thread, in force at the next turn.
  void configure(const v1::Configuration& configuration);

 private:
  struct Waiting {
    Connection connection;
    absl::Time until;
  };

  bool is_stopping() const;
  void turn();
  void poll_for(absl::Duration time);
  void accept_all();
  void wake();
  void show_tables();
  void accept_from(int socket_fd);
  void welcome(Connection connection);
  bool has_room_for(const Peer& peer);
  void hear(Waiting& waiting, bool* done);
  void attach(RawMessage message, const Peer& peer);
  bool is_trusted(const Peer& peer) const;
  bool may_join(const AttachRequest& request, const Peer& peer) const;
  void answer_status(Connection connection);
  absl::Time steady_now() const;
  absl::Duration until_window_start(absl::Time wall) const;
  void close_doors();
  void finish();
  void drain_due();
  void end_session(std::size_t index);
  void cut_if_due(bool now);
  void forget_files();
  void account_for_self();
  void apply_configuration();
  void apply_to(Session& session);
  void keep_budgets();
  absl::Duration until_next_wake();
  bool should_end();

  AgentSettings settings_;
  Listener listener_;
  Exporter& exporter_;
  const Clock& clock_;
  v1::Configuration in_force_;  // of the collector's
  ModuleCache modules_;
  Unwinder unwinder_;
  PythonModules python_modules_;
  PythonFunctions python_functions_;
  UniqueFd wake_;  // eventfd
  TableBuilder tables_;
  std::uint64_t tables_shown_ = 0;  // TableBuilder::generation()
  absl::Time tables_shown_at_ = absl::InfinitePast();
  Aggregator aggregator_;
  MetricWindow metrics_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<Waiting> waiting_;
  absl::Time accept_again_ = absl::InfinitePast();  // later than now: no descriptor was left
  Replies replies_;
  std::set<std::string> secrets_;                        // of processes that attached, for their children
  Openers openers_;                                      // of the window
  std::map<std::shared_ptr<const Series>, Kind> ended_;  // whose processes ended in the window
  absl::Time last_cut_;                                  // these four by steady_now()
  absl::Time next_cut_;
  absl::Time files_forgotten_at_ = absl::InfinitePast();  // a last_cut_
  std::uint64_t modules_at_cut_ = 0;                      // ModuleCache::moment()
  std::uint64_t functions_at_cut_ = 0;                    // PythonFunctions::moment()
  absl::Time next_beat_;
  absl::Time last_busy_;
  std::uint64_t own_cpu_ns_ = 0;
  absl::Time next_budget_;
  std::uint64_t loop_cpu_ns_ = 0;  // of this thread, that sessions have been told of
  std::uint64_t attached_ = 0;
  std::uint64_t refused_ = 0;
  std::atomic<bool> stopping_{false};

  std::mutex configuration_mutex_;  // guards the two below
  v1::Configuration configuration_;
  bool has_new_configuration_ = false;

  std::unique_ptr<Finisher> finisher_;  // last: ends first
};

}  // namespace siprof::client
