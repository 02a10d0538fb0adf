// SPDX-License-Identifier: Apache-2.0
// CPU time, memory, threads, descriptors, faults, context switches and disk I/O of a process, from outside:
// by its folder in /proc.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "collector-client/metrics/context_switches.h"
#include "collector-client/metrics/metric_source.h"
#include "collector-client/metrics/metric_table.h"
#include "collector-client/metrics/proc_files.h"

namespace siprof::client {
namespace {

// Threads whose context switches a look reads.
constexpr std::size_t kMostThreadsWhole = 256;
constexpr std::size_t kMostThreadsBetween = 16;
// CPU time is told in ticks of a hundredth of a second: over less than this a share of it says nothing.
constexpr absl::Duration kLeastForShare = absl::Milliseconds(200);
// A process attaches with its first tick of CPU time. One that took longer was there before its agent.
constexpr absl::Duration kYoung = absl::Seconds(10);

double ticks_per_second() {
  static const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return ticks;
}

// By the clock that stat's start time is told by.
absl::Duration since_boot() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

class ProcessMetrics : public MetricSource {
 public:
  explicit ProcessMetrics(const MetricSubject& subject)
      : folder_(subject.proc_fd), clock_(subject.clock), is_new_(subject.is_new) {}

  void look(Look look) override {
    std::optional<ProcStat> stat = parse_stat(folder_.read("stat"));
    if (!stat) {  // it has ended and was reaped, or isn't to be seen (any more)
      if (look == Look::kWhole) threads_ = resident_bytes_ = virtual_bytes_ = descriptors_ = std::nullopt;
      return;
    }
    const absl::Time now = steady_time(clock_);
    if (!begun_) begin(*stat, now);
    seen_ = now;
    user_ticks_.see(stat->user_ticks);
    system_ticks_.see(stat->system_ticks);
    minor_faults_.see(stat->minor_faults);
    major_faults_.see(stat->major_faults);
    look_at_io();
    switches_.look(folder_, stat->threads, look == Look::kBetween ? kMostThreadsBetween : kMostThreadsWhole);
    if (look != Look::kLast) look_at_levels(*stat, look);
  }

  void report(MetricOutput& out) override {
    report_cpu(out);
    out.add(kPagingFaults, minor_faults_.take(), "minor");
    out.add(kPagingFaults, major_faults_.take(), "major");
    out.add(kDiskIo, read_bytes_.take(), "read");
    out.add(kDiskIo, write_bytes_.take(), "write");
    if (const auto switches = switches_.take()) {
      out.add(kContextSwitches, static_cast<double>(switches->voluntary), "voluntary");
      out.add(kContextSwitches, static_cast<double>(switches->involuntary), "involuntary");
    }
    out.add(kMemoryUsage, resident_bytes_);
    out.add(kMemoryVirtual, virtual_bytes_);
    out.add(kThreadCount, threads_);
    out.add(kDescriptorCount, descriptors_);
  }

 private:
  void begin(const ProcStat& stat, absl::Time now) {
    const absl::Duration age =
        since_boot() - absl::Seconds(static_cast<double>(stat.start_ticks) / ticks_per_second());
    begun_ = now;
    if (!is_new_ || age > kYoung) return;
    begun_ = now - std::max(age, absl::ZeroDuration());
    for (Increase* one :
         {&user_ticks_, &system_ticks_, &minor_faults_, &major_faults_, &read_bytes_, &write_bytes_})
      one->count_from(0);
    switches_.count_from_start();
  }

  // Of the process's own reading and writing what went to and came from disks. Closed to us after a change of
  // user, or with hidden /proc.
  void look_at_io() {
    const std::string_view io = folder_.read("io");
    if (const auto bytes = number_behind(io, "read_bytes")) read_bytes_.see(*bytes);
    if (const auto bytes = number_behind(io, "write_bytes")) write_bytes_.see(*bytes);
  }

  // A process whose main thread has ended shows neither memory nor descriptors in its folder. One that ends
  // within the window has what it had.
  void look_at_levels(const ProcStat& stat, Look look) {
    static const auto page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
    const bool has_memory = stat.virtual_bytes != 0;
    if (!has_memory && look != Look::kWhole) return;
    threads_ = static_cast<double>(stat.threads);
    virtual_bytes_ = has_memory ? std::optional(static_cast<double>(stat.virtual_bytes)) : std::nullopt;
    resident_bytes_ =
        has_memory ? std::optional(static_cast<double>(stat.resident_pages) * page_bytes) : std::nullopt;
    descriptors_ = has_memory ? folder_.descriptors() : std::nullopt;
    if (look == Look::kWhole) cpus_ = allowed_cpus(folder_.read("status"));
  }

  void report_cpu(MetricOutput& out) {
    const std::optional<double> user = user_ticks_.take();
    const std::optional<double> system = system_ticks_.take();
    if (!user || !system) return;
    const double user_s = *user / ticks_per_second();
    const double system_s = *system / ticks_per_second();
    out.add(kCpuTime, user_s, "user");
    out.add(kCpuTime, system_s, "system");
    const absl::Duration time = seen_ - *begun_;
    begun_ = seen_;
    if (!cpus_ || time < kLeastForShare) return;
    const double cpu_s = absl::ToDoubleSeconds(time) * static_cast<double>(*cpus_);
    out.add(kCpuUtilization, user_s / cpu_s, "user");
    out.add(kCpuUtilization, system_s / cpu_s, "system");
  }

  ProcFolder folder_;
  const Clock& clock_;
  const bool is_new_;
  std::optional<absl::Time> begun_;  // since when CPU time counts that wasn't reported yet
  absl::Time seen_;
  Increase user_ticks_, system_ticks_, minor_faults_, major_faults_, read_bytes_, write_bytes_;
  ContextSwitches switches_;
  std::optional<double> resident_bytes_, virtual_bytes_, threads_, descriptors_;
  std::optional<std::uint64_t> cpus_;
};

}  // namespace

std::unique_ptr<MetricSource> make_process_metrics(const MetricSubject& subject) {
  return std::make_unique<ProcessMetrics>(subject);
}

}  // namespace siprof::client
