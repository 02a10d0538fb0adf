// SPDX-License-Identifier: Apache-2.0
// Turns windows of addresses into profiles and submits them, on a thread of its own:
// symbolizing may take seconds, draining must not wait for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "collector-client/aggregate/window.h"
#include "collector-client/export/exporter.h"
#include "collector-client/python/functions.h"
#include "collector-client/symbolize/file_opener.h"
#include "collector-client/symbolize/symbolizer.h"

namespace siprof::client {

// Where to look for names of code without a file.
struct NamePlace {
  pid_t pid = 0;  // the process's own, as its JIT writes it
  std::shared_ptr<FileOpener> opener;
};
using Openers = std::map<std::uint64_t, NamePlace>;  // by WindowSample::process

class Finisher {
 public:
  // `python` outlives it.
  Finisher(SymbolizerOptions options, const PythonFunctions& python, Exporter& exporter);
  // Finishes what was submitted.
  ~Finisher();
  Finisher(const Finisher&) = delete;
  Finisher& operator=(const Finisher&) = delete;

  // Never waits. More than a few windows behind, the oldest are dropped and counted. Metrics need no names:
  // they don't wait for those of other windows.
  void submit(std::vector<Window> windows, Openers openers, std::vector<FinishedMetrics> metrics = {});

  // Until all that was submitted is with the exporter. False: not within that time.
  bool wait(absl::Duration most);
  // From now on code whose name isn't known yet goes without; what is being asked is given up.
  void hurry() { symbolizer_.give_up(); }

  // Before ModuleCache::evict(). False: something is being finished, nothing happened.
  bool forget(const absl::flat_hash_set<const Module*>& modules);
  // True while nothing is being finished: modules may be closed.
  bool idle() const;

 private:
  struct Job {
    std::vector<Window> windows;
    Openers openers;
  };
  void run();
  void finish(Job& job);
  void finish_window(Window& window, const Openers& openers);
  void count_losses(Window& window);
  void drop(const Job& job);
  void keep(std::vector<FinishedMetrics> metrics);
  bool is_done() const { return jobs_.empty() && metrics_.empty() && !busy_; }
  void export_metrics();
  void take_carried(Window& window);

  Symbolizer symbolizer_;  // used on thread_ only but for give_up(), as the next two
  const PythonFunctions& python_;
  Counters reported_;       // losses that are in a profile already
  std::uint64_t lost_ = 0;  // profiles that could not be packed
  Exporter& exporter_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::deque<FinishedMetrics> metrics_;
  std::size_t metric_points_ = 0;  // in them
  bool busy_ = false;
  bool stopping_ = false;
  std::uint64_t dropped_windows_ = 0;
  std::uint64_t dropped_samples_ = 0;
  std::uint64_t dropped_points_ = 0;
  // Counters of dropped windows, for the next one of the same series and kind.
  std::map<std::pair<std::shared_ptr<const Series>, Kind>, Counters> carried_;
  std::thread thread_;
};

}  // namespace siprof::client
