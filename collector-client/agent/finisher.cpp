// SPDX-License-Identifier: Apache-2.0
#include "collector-client/agent/finisher.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "collector-client/aggregate/frame_source.h"
#include "collector-client/pprof/counters.h"
#include "collector-client/pprof/profile_builder.h"
#include "proto/siprof/rates.h"

namespace siprof::client {
namespace {

constexpr std::size_t kMostJobs = 8;
constexpr std::size_t kMostMetricPoints = 500'000;  // that wait: 50 MB
// Of the exporter's counters those by which profiles were lost after they were finished.
constexpr const char* kExportLosses[] = {"export_dropped",  "spool_dropped_full", "spool_corrupt",
                                         "spool_rejected",  "spool_oversized",    "spool_disk_errors",
                                         "metrics_rejected"};

bool is_own(const CodeAddress& address) {
  return address.module != nullptr && address.module->path.ends_with("/libsiprof.so");
}

// Names of addresses, those without a file by their process.
class SymbolizedFrames : public FrameSource {
 public:
  SymbolizedFrames(Symbolizer& symbolizer, const PythonFunctions& python, const Openers& openers)
      : symbolizer_(symbolizer), python_(python), openers_(openers) {}
  ~SymbolizedFrames() override {
    for (const auto& [process, module] : anonymous_) symbolizer_.release_anonymous(module);
  }

  std::vector<SourceFrame> frames(const CodeAddress& address, std::uint64_t process) override {
    if (address.is_python()) return {python_.frame(address)};
    return symbolizer_.frames(with_module(address, process));
  }
  CodeAddress with_module(const CodeAddress& address, std::uint64_t process) {
    if (address.module != nullptr) return address;
    auto [at, is_new] = anonymous_.try_emplace(process, nullptr);
    if (is_new) {
      const auto found = openers_.find(process);
      const NamePlace place = found != openers_.end() ? found->second : NamePlace{};
      at->second = symbolizer_.anonymous_module(place.pid, place.opener);
    }
    return {at->second, address.address};
  }

 private:
  Symbolizer& symbolizer_;
  const PythonFunctions& python_;
  const Openers& openers_;
  std::map<std::uint64_t, const Module*> anonymous_;
};

std::vector<CodeAddress> addresses_of(const Window& window, SymbolizedFrames& names) {
  absl::flat_hash_set<CodeAddress> addresses;
  for (const WindowSample& sample : window.samples) {
    for (const auto& stack : {sample.stack, sample.holder}) {
      if (stack == nullptr) continue;
      for (const CodeAddress& address : *stack)
        if (!address.is_python()) addresses.insert(names.with_module(address, sample.process));
    }
  }
  return {addresses.begin(), addresses.end()};
}

// Of the rate in force, as the kind's intake has stated it.
std::int64_t stated(const Window& window, const char* name, std::int64_t otherwise) {
  const auto found = window.counters.find(name);
  return found == window.counters.end() || found->second == 0 ? otherwise
                                                              : static_cast<std::int64_t>(found->second);
}

std::int64_t period_of(const Window& window) {
  switch (window.kind) {
    case Kind::kCpu:
    case Kind::kWall:
      return 1'000'000'000 / stated(window, "sampling_hz", 100);
    case Kind::kHeap:
      return stated(window, "heap_interval_bytes", kDefaultHeapIntervalBytes);
    case Kind::kLock:
    case Kind::kIo:
    case Kind::kErrors:
      break;
  }
  return 1;
}

}  // namespace

Finisher::Finisher(SymbolizerOptions options, const PythonFunctions& python, Exporter& exporter)
    : symbolizer_(std::move(options)), python_(python), exporter_(exporter), thread_([this] { run(); }) {}

Finisher::~Finisher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Finisher::submit(std::vector<Window> windows, Openers openers, std::vector<FinishedMetrics> metrics) {
  if (windows.empty() && metrics.empty()) return;
  const std::lock_guard lock(mutex_);
  keep(std::move(metrics));
  changed_.notify_all();
  if (windows.empty()) return;
  if (jobs_.size() >= kMostJobs) {
    drop(jobs_.front());
    jobs_.pop_front();
  }
  jobs_.push_back({std::move(windows), std::move(openers)});
}

// Under mutex_.
void Finisher::keep(std::vector<FinishedMetrics> metrics) {
  for (FinishedMetrics& one : metrics) {
    metric_points_ += one.points.size();
    metrics_.push_back(std::move(one));
  }
  while (metric_points_ > kMostMetricPoints) {
    const std::size_t oldest = metrics_.front().points.size();
    if (dropped_points_ == 0) spdlog::warn("metrics are dropped: they wait for profiles to be finished");
    dropped_points_ += oldest;
    metric_points_ -= oldest;
    metrics_.pop_front();
  }
}

// On thread_.
void Finisher::export_metrics() {
  std::deque<FinishedMetrics> metrics;
  {
    const std::lock_guard lock(mutex_);
    metrics.swap(metrics_);
    metric_points_ = 0;
  }
  for (FinishedMetrics& one : metrics) exporter_.submit(std::move(one));
}

// Under mutex_. Its samples are lost, what was counted beside them isn't: the process has
// been told that it is accounted for.
void Finisher::drop(const Job& job) {
  spdlog::warn("{} profiles dropped: names take longer to find than profiles to record", job.windows.size());
  dropped_windows_ += job.windows.size();
  for (const Window& window : job.windows) {
    for (const WindowSample& sample : window.samples)
      dropped_samples_ += static_cast<std::uint64_t>(sample.values[0]);
    add_counters(&carried_[{window.series, window.kind}], window.counters);
  }
}

// Of dropped windows before this one.
void Finisher::take_carried(Window& window) {
  const std::lock_guard lock(mutex_);
  const auto found = carried_.find({window.series, window.kind});
  if (found == carried_.end()) return;
  const Counters own = std::exchange(window.counters, std::move(found->second));
  add_counters(&window.counters, own);
  carried_.erase(found);
}

bool Finisher::wait(absl::Duration most) {
  const auto is_finished = [this] { return is_done(); };
  std::unique_lock lock(mutex_);
  if (most < absl::InfiniteDuration())
    return changed_.wait_for(lock, absl::ToChronoNanoseconds(most), is_finished);
  changed_.wait(lock, is_finished);
  return true;
}

bool Finisher::idle() const {
  const std::lock_guard lock(mutex_);
  return jobs_.empty() && !busy_;
}

bool Finisher::forget(const absl::flat_hash_set<const Module*>& modules) {
  const std::lock_guard lock(mutex_);  // held, it keeps the thread from beginning
  if (busy_ || !jobs_.empty()) return false;
  symbolizer_.forget(modules);
  return true;
}

void Finisher::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty() || !metrics_.empty(); });
    if (jobs_.empty() && metrics_.empty()) return;
    Job job;
    if (!jobs_.empty()) {
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    busy_ = true;
    lock.unlock();
    export_metrics();
    finish(job);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

void Finisher::finish(Job& job) {
  for (Window& window : job.windows) {
    finish_window(window, job.openers);
    export_metrics();  // of windows that have ended meanwhile
  }
  symbolizer_.trim();
}

// What finishing cost and lost since the last profile. A dropped window's loss is in the next one.
void Finisher::count_losses(Window& window) {
  Counters now = symbolizer_.counters();
  now["agent_cpu_ns"] = symbolizer_.worker_cpu_ns();
  {
    const std::lock_guard lock(mutex_);
    now["profiles_lost"] = lost_ + dropped_windows_;
    now["samples_unfinished"] = dropped_samples_;
    now["metric_points_dropped"] = dropped_points_;
  }
  const Counters exported = exporter_.counters();
  for (const char* name : kExportLosses) {
    if (const auto found = exported.find(name); found != exported.end()) now.insert(*found);
  }
  for (const auto& [name, value] : now) {
    std::uint64_t& known = reported_[name];
    if (value > known) window.counters[name] += value - known;
    known = value;
  }
}

void Finisher::finish_window(Window& window, const Openers& openers) {
  SymbolizedFrames names(symbolizer_, python_, openers);
  const std::vector<CodeAddress> addresses = addresses_of(window, names);
  symbolizer_.prepare(addresses);
  take_carried(window);
  count_losses(window);
  BuildOptions options;
  options.period = period_of(window);
  options.is_own = is_own;
  const std::string kind(kind_info(window.kind).name);
  for (const perftools::profiles::Profile& profile : build_profiles(window, names, options)) {
    absl::StatusOr<std::string> packed = pack_profile(profile);
    if (!packed.ok()) {
      ++lost_;
      spdlog::error("a {} profile is lost: {}", kind, packed.status().ToString());
      continue;
    }
    FinishedProfile finished;
    finished.kind = kind;
    finished.start = window.start;
    finished.duration = window.duration;
    finished.attributes = window.series->attributes;
    finished.pprof_gzip = *std::move(packed);
    finished.counters = std::exchange(window.counters, {});
    exporter_.submit(std::move(finished));
  }
}

}  // namespace siprof::client
