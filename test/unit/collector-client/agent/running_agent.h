// SPDX-License-Identifier: Apache-2.0
// An agent on a thread of this program, and an exporter that keeps what it is given.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "collector-client/agent/agent.h"
#include "collector-client/pprof/profile_builder.h"
#include "test/unit/collector-client/export/temporary_folder.h"

namespace siprof::client {

class FakeExporter : public Exporter {
 public:
  void submit(FinishedProfile profile) override {
    const std::lock_guard lock(mutex_);
    profiles_.push_back(std::move(profile));
  }
  void submit(FinishedMetrics metrics) override {
    const std::lock_guard lock(mutex_);
    metrics_.push_back(std::move(metrics));
  }
  absl::Status flush(absl::Time) override { return absl::OkStatus(); }
  std::map<std::string, std::uint64_t> counters() const override {
    return {{"sent", 7}, {"spool_dropped_full", 3}};
  }

  std::vector<FinishedProfile> profiles() const {
    const std::lock_guard lock(mutex_);
    return profiles_;
  }
  std::vector<FinishedMetrics> metrics() const {
    const std::lock_guard lock(mutex_);
    return metrics_;
  }
  // Over all windows, of points with that label.
  double metric_total(const MetricInfo& metric, std::string_view label = {}) const {
    double sum = 0;
    for (const FinishedMetrics& finished : metrics()) {
      for (const MetricPoint& point : finished.points)
        if (point.metric == &metric && point.label == label) sum += point.value;
    }
    return sum;
  }
  // Sum over all profiles of the value at `index`; `label_pid` 0: of all processes.
  std::int64_t total(int index, pid_t label_pid = 0) const {
    std::int64_t sum = 0;
    for (const FinishedProfile& finished : profiles()) {
      const auto profile = unpack_profile(finished.pprof_gzip);
      if (!profile.ok()) return -1;
      for (const auto& sample : profile->sample()) {
        bool matches = label_pid == 0;
        for (const auto& label : sample.label()) {
          matches |=
              profile->string_table(static_cast<int>(label.key())) == "pid" && label.num() == label_pid;
        }
        if (matches) sum += sample.value(index);
      }
    }
    return sum;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<FinishedProfile> profiles_;
  std::vector<FinishedMetrics> metrics_;
};

inline AgentSettings quick_settings() {
  AgentSettings settings;
  settings.linger = absl::Milliseconds(300);
  settings.run_id = "run-1";
  settings.symbols.worker_program = "/bin/false";  // names aren't what is tested
  return settings;
}

// Where processes reach the agent of a test, those of other users too.
class AgentPlace {
 public:
  AgentPlace() { chmod(folder_.path().c_str(), 0755); }
  std::string path() const { return folder_.path() + "/agent.sock"; }

 private:
  TemporaryFolder folder_;
};

class RunningAgent {
 public:
  RunningAgent(const AgentPlace& place, AgentSettings settings, RawMessage first = {})
      : path_(place.path()),
        agent_(std::make_unique<Agent>(std::move(settings), *Listener::open("", path_, 0666), exporter)),
        thread_([this, first = std::move(first)]() mutable { agent_->run(std::move(first)); }) {}
  ~RunningAgent() {
    agent_->stop();
    if (thread_.joinable()) thread_.join();
  }

  Agent& agent() { return *agent_; }
  // Until it has ended by itself.
  void wait() { thread_.join(); }
  void stop_and_wait() {
    agent_->stop();
    thread_.join();
  }
  nlohmann::json status() const {
    const auto text = ask_status(path_);
    return text.ok() ? nlohmann::json::parse(*text) : nlohmann::json();
  }

  FakeExporter exporter;

 private:
  std::string path_;
  std::unique_ptr<Agent> agent_;
  std::thread thread_;
};

// Asks every 10 ms for up to 10 s.
template <typename Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    usleep(10'000);
  }
  return false;
}

}  // namespace siprof::client
